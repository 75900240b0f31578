// The operands of C = A B, and what becomes of a sum. A is m x k, B is k x n, C is m x n.
//
// Element (i, j) of a matrix is element  first + i*row + j*column  of its buffer. To transpose a matrix, exchange `row`
// and `column`. A matrix can be part of a larger one.
//
// Networks that run side by side have matrices of the same shape, `each` elements apart. If they share A, their columns are
// side by side in one wide B and C: `block` columns of each.

override m: u32;
override n: u32;
override k: u32;
override a_first: u32;
override a_row: u32;
override a_column: u32;
override a_each: u32;
override b_first: u32;
override b_row: u32;
override b_column: u32;
override b_each: u32;
override c_first: u32;
override c_row: u32;
override c_column: u32;
override c_each: u32;
override block: u32;
// What is applied to a sum before it is written: 0 nothing, 1 the rectifier, 2 the derivative of the rectifier, 3 softplus,
// 4 the derivative of softplus.
override finish: u32;

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> c: array<f32>;

// The network that a workgroup computes for, or the first one.
var<private> run: u32;

fn a_at(i: u32, depth: u32) -> u32 {
    return run * a_each + a_first + i * a_row + depth * a_column;
}

fn b_at(depth: u32, j: u32) -> u32 {
    return (run + j / block) * b_each + b_first + depth * b_row + j % block * b_column;
}

fn c_at(i: u32, j: u32) -> u32 {
    return (run + j / block) * c_each + c_first + i * c_row + j % block * c_column;
}

fn store(i: u32, j: u32, sum: f32) {
    if (i >= m || j >= n) {
        return;
    }
    let at = c_at(i, j);
    if (finish == 1u) {
        c[at] = max(sum, 0.0);
    } else if (finish == 2u) {
        // C still holds the output of the rectifier. The derivative is 1 if that is positive, otherwise 0.
        c[at] = select(0.0, sum, c[at] > 0.0);
    } else if (finish == 3u) {
        c[at] = max(sum, 0.0) + log(1.0 + exp(-abs(sum)));
    } else if (finish == 4u) {
        // C still holds softplus(s). The derivative is 1 / (1 + exp(-s)), which is 1 - exp(-softplus(s)).
        c[at] = sum * (1.0 - exp(-c[at]));
    } else {
        c[at] = sum;
    }
}
