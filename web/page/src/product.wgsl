// C = A B for small matrices, with one invocation for each element of C; `matrix.wgsl` comes before. Tiles of 64 x 64 would
// be mostly empty for a minibatch of the digits.

@compute @workgroup_size(64)
fn product(@builtin(global_invocation_id) id: vec3<u32>) {
    run = id.z;
    let i = id.x / n;
    let j = id.x % n;
    if (i >= m) {
        return;
    }
    var from_a = a_at(i, 0u);
    var from_b = b_at(0u, j);
    var sum = 0.0;
    for (var depth = 0u; depth < k; depth += 1u) {
        sum += a[from_a] * b[from_b];
        from_a += a_column;
        from_b += b_row;
    }
    store(i, j, sum);
}
