// The measurements of a tensor or of a part of one, and how those of two parts are added up. The structs are also in
// src/report/records.rs. Twin of the functions: src/cpu/records.rs.

// A sum of squares with a separate exponent, so that it neither overflows nor vanishes: sum * 2^(2*(exponent - 128)).
// The exponent is the largest biased f32 exponent of the terms. It is 0 if all terms are zero (a subnormal number
// counts as zero, since some devices flush it), and 255 if a term is non-finite. Then there is no sum.
struct Squares {
    sum: f32,
    exponent: u32,
}

struct Measured {
    grad: Squares,      // the finite gradients, as stored in the caller's buffer
    param: Squares,     // before the step
    step: Squares,      // without decoupled decay
    update: Squares,    // with decoupled decay: this is subtracted from param
    snr: f32,           // the sum of the ratios in the bins
    largest_step: u32,  // the bits of the largest magnitude
    zero: u32,          // the number of gradients that are zero
    nonfinite: u32,     // the number of non-finite gradients
    elements: u32,
}

// The bins of |m_hat| / sqrt(v_hat): below 2^-12, octaves up to 4, and above.
const BINS: u32 = 16u;

// The tile of a workgroup, and its measurements.
struct Record {
    tile: Tile,
    measured: Measured,
    bins: array<u32, BINS>,
}

const NO_SQUARES: Squares = Squares(0.0, 0u);
const NOTHING: Measured = Measured(NO_SQUARES, NO_SQUARES, NO_SQUARES, NO_SQUARES, 0.0, 0u, 0u, 0u, 0u);

var<workgroup> tree: array<Measured, WORKGROUP>;
// These are integers, so the order of counting does not matter.
var<workgroup> bins: array<atomic<u32>, BINS>;

// The factor of a sum with this exponent if the largest exponent is `top`. It is a power of two, so the product is
// exact. A factor of 2^-64 or less counts as 0: the sum would vanish beside the other.
fn weight(exponent: u32, top: u32) -> f32 {
    let below = top - exponent;
    return select(bitcast<f32>((127u - 2u * below) << 23u), 0.0, below >= 32u);
}

fn add_squares(a: Squares, b: Squares) -> Squares {
    let top = max(a.exponent, b.exponent);
    return Squares(a.sum * weight(a.exponent, top) + b.sum * weight(b.exponent, top), top);
}

fn add(a: Measured, b: Measured) -> Measured {
    return Measured(
        add_squares(a.grad, b.grad),
        add_squares(a.param, b.param),
        add_squares(a.step, b.step),
        add_squares(a.update, b.update),
        a.snr + b.snr,
        max(a.largest_step, b.largest_step),
        a.zero + b.zero,
        a.nonfinite + b.nonfinite,
        a.elements + b.elements,
    );
}

fn empty_bins(index: u32) {
    if index < BINS {
        atomicStore(&bins[index], 0u);
    }
    workgroupBarrier();
}

// Adds up the measurements of all invocations in a tree of two levels of 16. The order depends only on the place of the
// terms. The result is in tree[0], for invocation 0.
fn reduce(index: u32, mine: Measured) {
    tree[index] = mine;
    workgroupBarrier();
    var total = mine;
    if index < 16u {
        for (var i = index + 16u; i < WORKGROUP; i += 16u) {
            total = add(total, tree[i]);
        }
        tree[index] = total;
    }
    workgroupBarrier();
    if index == 0u {
        for (var i = 1u; i < 16u; i++) {
            total = add(total, tree[i]);
        }
        tree[0] = total;
    }
}
