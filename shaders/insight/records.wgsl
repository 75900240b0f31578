// What is measured of a tensor or of a part of one, and how two parts are added up. `Measured` and `Record` in measured.rs;
// twin of the functions: src/cpu/measured.rs.

// A sum of squares with an exponent of its own, so that it neither overflows nor vanishes: sum * 2^(2*(exponent - 128)).
// The exponent is the largest of the terms' as f32 has it: 0 where all are zero (a subnormal number counts as zero, as
// some devices have none), 255 where one is not finite; then there is no sum.
struct Squares {
    sum: f32,
    exponent: u32,
}

struct Measured {
    grad: Squares,      // of the finite gradients, as they lie in the buffer
    param: Squares,     // before the step
    step: Squares,      // without decoupled decay
    update: Squares,    // with it: what is taken from param
    snr: f32,           // the sum of those that are in the bins
    largest_step: u32,  // the bits of its magnitude
    zero: u32,          // gradients that are zero
    nonfinite: u32,     // gradients that are not finite
}

// Of |m_hat| / sqrt(v_hat): below 2^-12, in octaves up to 4, and above.
const BINS: u32 = 16u;

// What a workgroup owns, and what it found there.
struct Record {
    tile: Tile,
    measured: Measured,
    bins: array<u32, BINS>,
}

const NO_SQUARES: Squares = Squares(0.0, 0u);
const NOTHING: Measured = Measured(NO_SQUARES, NO_SQUARES, NO_SQUARES, NO_SQUARES, 0.0, 0u, 0u, 0u);

var<workgroup> tree: array<Measured, WORKGROUP>;
// Integers: the order in which they are counted does not matter.
var<workgroup> bins: array<atomic<u32>, BINS>;

// What a sum of that exponent is times, where the largest is `top`: a power of two, so that the product is exact. At 2^-64
// and below nothing would be left of it.
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
    );
}

fn empty_bins(index: u32) {
    if index < BINS {
        atomicStore(&bins[index], 0u);
    }
    workgroupBarrier();
}

// A tree of two levels of 16: its order depends on nothing but the place of the terms. The result is in tree[0], for
// invocation 0.
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
