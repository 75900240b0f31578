// The gradients of the listed rows of one table, and where each of them is. One workgroup per row. It sums the terms of its
// row in a fixed order, so no atomics are needed.

override dim: u32;

@group(0) @binding(0) var<storage, read> slopes: array<f32>;
@group(0) @binding(1) var<storage, read> other: array<f32>; // the other table
@group(0) @binding(2) var<storage, read> list: array<u32>;
@group(0) @binding(3) var<storage, read> starts: array<u32>;
@group(0) @binding(4) var<storage, read> terms: array<vec2<u32>>; // a pair, and its row in the other table
@group(0) @binding(5) var<storage, read_write> grad: array<f32>;
@group(0) @binding(6) var<storage, read_write> inverse: array<u32>;

@compute @workgroup_size(64)
fn gradient(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) index: u32) {
    let k = id.x;
    let first = starts[k];
    let end = starts[k + 1u];
    if first == end { // beyond the end of the list
        return;
    }
    if index == 0u {
        inverse[list[k]] = k;
    }
    for (var j = index; j < dim; j += 64u) {
        var sum = 0.0;
        for (var at = first; at < end; at++) {
            let term = terms[at];
            sum += slopes[term.x] * other[term.y * dim + j];
        }
        grad[k * dim + j] = sum;
    }
}
