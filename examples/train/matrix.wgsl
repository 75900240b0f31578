// The operands of C = A B, and what becomes of a sum. A is m x k, B is k x n, C is m x n.
//
// Element (i, j) of a matrix is element  first + i*row + j*column  of its buffer. To transpose a matrix, exchange `row`
// and `column`. A matrix can be part of a larger one.

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

fn store(i: u32, j: u32, sum: f32) {
    if (i >= m || j >= n) {
        return;
    }
    let at = c_first + i * c_row + j * c_column;
    if (finish == 1u) {
        c[at] = max(sum, 0.0);
    } else if (finish == 2u) {
        // C still holds the output of the rectifier. The derivative is 1 if that is positive, otherwise 0.
        c[at] = select(0.0, sum, c[at] > 0.0);
    } else {
        c[at] = sum;
    }
}
