// The measurements of a tensor or of a part of one, and how those of two parts are added up. The structs are also in
// src/report/records.rs. Twin of the functions: src/cpu/records.rs.

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

const NOTHING: Measured = Measured(NO_SQUARES, NO_SQUARES, NO_SQUARES, NO_SQUARES, 0.0, 0u, 0u, 0u, 0u);

// These are integers, so the order of counting does not matter.
var<workgroup> bins: array<atomic<u32>, BINS>;

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
