// C = A B for small matrices: one invocation for each element of C. `matmul.wgsl` of the example works in tiles of 64 x 64,
// which are mostly empty for a minibatch of the digits.
//
// Element (i, j) of a matrix is element  first + i*row + j*column  of its buffer. A is m x k, B is k x n, C is m x n.

override m: u32;
override n: u32;
override k: u32;
override a_first: u32;
override a_row: u32;
override a_column: u32;
override b_first: u32;
override b_row: u32;
override b_column: u32;
override c_first: u32;
override c_row: u32;
override c_column: u32;
// What is applied to a sum before it is written: 0 nothing, 1 the rectifier, 2 the derivative of the rectifier.
override finish: u32;

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> c: array<f32>;

@compute @workgroup_size(64)
fn product(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= m * n) {
        return;
    }
    let i = id.x / n;
    let j = id.x % n;
    var from_a = a_first + i * a_row;
    var from_b = b_first + j * b_column;
    var sum = 0.0;
    for (var depth = 0u; depth < k; depth += 1u) {
        sum += a[from_a] * b[from_b];
        from_a += a_column;
        from_b += b_row;
    }
    let at = c_first + i * c_row + j * c_column;
    if (finish == 1u) {
        sum = max(sum, 0.0);
    } else if (finish == 2u && c[at] <= 0.0) {
        // C still holds the output of the rectifier.
        sum = 0.0;
    }
    c[at] = sum;
}
