// Sums of squares that neither overflow nor vanish. Twin: src/cpu/records.rs.

// A sum of squares with a separate exponent, so that it neither overflows nor vanishes: sum * 2^(2*(exponent - 128)).
// The exponent is the largest biased f32 exponent of the terms. It is 0 if all terms are zero (a subnormal number
// counts as zero, since some devices flush it), and 255 if a term is non-finite. Then there is no sum.
struct Squares {
    sum: f32,
    exponent: u32,
}

const NO_SQUARES: Squares = Squares(0.0, 0u);

fn squares(x: Quad) -> Squares {
    let bits = magnitude(x);
    let top = largest(bits) >> 23u;
    if top == 0u || top == 255u {
        return Squares(0.0, top);
    }
    // The largest element is scaled to 2..4.
    let y = select(Quad(0.0), x * bitcast<f32>((255u - top) << 23u), bits >= Bits(0x00800000u));
    var sum = y.x * y.x;
    sum += y.y * y.y;
    sum += y.z * y.z;
    sum += y.w * y.w;
    return Squares(sum, top);
}

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
