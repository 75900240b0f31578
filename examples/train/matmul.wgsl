// C = A B, in tiles; `matrix.wgsl` comes before. A workgroup computes 64 x 64 elements of C. Each of its 8 x 8 invocations
// computes four blocks of 4 x 4 elements, which are 32 rows and 32 columns apart.
//
// Elements beyond an edge are read as 0 and never written. Each element of C is summed in the order of k, without atomics,
// so the result has the same bits every time.

const DEPTH = 16u; // part of k that a tile covers
const WIDTH = 16u; // width of a tile, in vectors of 4
const SLOTS = 256u; // DEPTH * WIDTH
const INVOCATIONS = 64u;

// 64 rows of A and 64 columns of B, as vectors of 4, for each depth.
var<workgroup> a_tile: array<vec4<f32>, SLOTS>;
var<workgroup> b_tile: array<vec4<f32>, SLOTS>;

// Returns the position of a slot in a tile: x is the vector, y is the depth. Neighbouring invocations read neighbouring
// elements: along the depth if the matrix is contiguous in that direction, otherwise across it.
fn place(slot: u32, along_depth: bool) -> vec2<u32> {
    return select(vec2(slot % WIDTH, slot / WIDTH), vec2(slot / DEPTH, slot % DEPTH), along_depth);
}

fn load_a(i: u32, depth: u32) -> f32 {
    return select(0.0, a[a_at(i, depth)], i < m && depth < k);
}

fn load_b(depth: u32, j: u32) -> f32 {
    return select(0.0, b[b_at(depth, j)], depth < k && j < n);
}

// Element [r][s] of the result is left[r] * right[s].
fn outer(left: vec4<f32>, right: vec4<f32>) -> mat4x4<f32> {
    return mat4x4(left.x * right, left.y * right, left.z * right, left.w * right);
}

fn store_block(i: u32, j: u32, block: mat4x4<f32>) {
    for (var s = 0u; s < 4u; s += 1u) {
        store(i, j + s, block[0][s]);
        store(i + 1u, j + s, block[1][s]);
        store(i + 2u, j + s, block[2][s]);
        store(i + 3u, j + s, block[3][s]);
    }
}

@compute @workgroup_size(8, 8)
fn matmul(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    run = group.z;
    let top = group.y * 64u;
    let left = group.x * 64u;
    var sum00 = mat4x4<f32>();
    var sum01 = mat4x4<f32>();
    var sum10 = mat4x4<f32>();
    var sum11 = mat4x4<f32>();
    for (var start = 0u; start < k; start += DEPTH) {
        for (var slot = index; slot < SLOTS; slot += INVOCATIONS) {
            let from_a = place(slot, a_column == 1u);
            let i = top + from_a.x * 4u;
            let a_depth = start + from_a.y;
            a_tile[from_a.y * WIDTH + from_a.x] =
                vec4(load_a(i, a_depth), load_a(i + 1u, a_depth), load_a(i + 2u, a_depth), load_a(i + 3u, a_depth));
            let from_b = place(slot, b_row == 1u);
            let j = left + from_b.x * 4u;
            let b_depth = start + from_b.y;
            b_tile[from_b.y * WIDTH + from_b.x] =
                vec4(load_b(b_depth, j), load_b(b_depth, j + 1u), load_b(b_depth, j + 2u), load_b(b_depth, j + 3u));
        }
        workgroupBarrier();
        for (var depth = 0u; depth < DEPTH; depth += 1u) {
            let upper = a_tile[depth * WIDTH + local.y];
            let lower = a_tile[depth * WIDTH + 8u + local.y];
            let near = b_tile[depth * WIDTH + local.x];
            let far = b_tile[depth * WIDTH + 8u + local.x];
            sum00 += outer(upper, near);
            sum01 += outer(upper, far);
            sum10 += outer(lower, near);
            sum11 += outer(lower, far);
        }
        workgroupBarrier();
    }
    let i = top + local.y * 4u;
    let j = left + local.x * 4u;
    store_block(i, j, sum00);
    store_block(i, j + 32u, sum01);
    store_block(i + 32u, j, sum10);
    store_block(i + 32u, j + 32u, sum11);
}
