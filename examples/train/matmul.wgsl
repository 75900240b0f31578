// C = A B, in tiles: a workgroup makes 64 x 64 elements of C, and each of its 8 x 8 invocations four blocks of 4 x 4,
// 32 rows and 32 columns apart.
//
// Element (i, j) of a matrix is number  first + i*row + j*column  of its buffer, so that a transposed matrix has `row`
// and `column` exchanged, and a matrix can be a part of a larger one. A is m x k, B is k x n, C is m x n. What lies
// beyond an edge is read as 0 and never written. Each element of C is summed in the order of k: no atomics, the same
// bits every time.

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
// What becomes of a sum before it is written: 0 nothing, 1 the rectifier, 2 the rectifier's derivative.
override finish: u32;

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> c: array<f32>;

const DEPTH = 16u; // of k, held at a time
const WIDTH = 16u; // of a tile, in vectors of 4
const SLOTS = 256u; // DEPTH * WIDTH
const INVOCATIONS = 64u;

// 64 rows of A and 64 columns of B, each vector at its depth.
var<workgroup> a_tile: array<vec4<f32>, SLOTS>;
var<workgroup> b_tile: array<vec4<f32>, SLOTS>;

// Where in a tile a slot lies: x, which vector; y, how deep. Neighbours read neighbours: along the depth if that is how
// the matrix lies in memory, else across.
fn place(slot: u32, along_depth: bool) -> vec2<u32> {
    return select(vec2(slot % WIDTH, slot / WIDTH), vec2(slot / DEPTH, slot % DEPTH), along_depth);
}

fn load_a(i: u32, depth: u32) -> f32 {
    return select(0.0, a[a_first + i * a_row + depth * a_column], i < m && depth < k);
}

fn load_b(depth: u32, j: u32) -> f32 {
    return select(0.0, b[b_first + depth * b_row + j * b_column], depth < k && j < n);
}

// Row by row: element [r][s] is left[r] * right[s].
fn outer(left: vec4<f32>, right: vec4<f32>) -> mat4x4<f32> {
    return mat4x4(left.x * right, left.y * right, left.z * right, left.w * right);
}

fn store(i: u32, j: u32, sum: f32) {
    if (i >= m || j >= n) {
        return;
    }
    let at = c_first + i * c_row + j * c_column;
    if (finish == 1u) {
        c[at] = max(sum, 0.0);
    } else if (finish == 2u) {
        // In place of the rectifier's output, which says by its sign whether the derivative is 1 or 0.
        c[at] = select(0.0, sum, c[at] > 0.0);
    } else {
        c[at] = sum;
    }
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
