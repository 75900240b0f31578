// 8-bit floats in blocks of 256 elements that share a scale, the largest magnitude in the block. Twin: src/num/block8.rs.
//
// A level is a float of at most 1, in units of the scale: with 3 bits of mantissa down to 2^-FINE, below that with 2. Level 0
// is 1, and each next one is smaller. A code above 0 is the number of levels less the level; 0 is exactly zero. All of that
// is integer arithmetic on the bits of an f32: a level more is 2^20 less there, or below 2^-FINE 2^21.

const BLOCK_QUADS: u32 = 64u;

struct Code {
    levels: u32,
    fine: u32,      // octaves with 3 bits
    signed: bool,   // the upper bit is the sign
    nan: u32,       // the code that is left, for what is not finite
}

const SIGNED: Code = Code(127u, 11u, true, 0x80u);
const UNSIGNED: Code = Code(254u, 24u, false, 0xffu);

const ONE: u32 = 0x3f800000u;

// The bits of 2^-FINE, and of the lowest level.
fn edge(code: Code) -> u32 {
    return ONE - (code.fine << 23u);
}

fn lowest(code: Code) -> u32 {
    return edge(code) - ((code.levels - 1u - 8u * code.fine) << 21u);
}

fn unpacked_codes(codes: u32) -> Bits {
    return (Bits(codes) >> Bits(0u, 8u, 16u, 24u)) & Bits(0xffu);
}

fn packed_codes(codes: Bits) -> u32 {
    return codes.x | (codes.y << 8u) | (codes.z << 16u) | (codes.w << 24u);
}

fn decoded(code: Code, codes: Bits, scale: u32) -> Quad {
    var magnitude = codes;
    var sign = Bits(0u);
    if code.signed {
        magnitude = codes & Bits(0x7fu);
        sign = (codes & Bits(0x80u)) << Bits(24u);
    }
    let level = Bits(code.levels) - magnitude;
    let upper = Bits(ONE) - (level << Bits(20u));
    let lower = Bits(edge(code)) - ((level - Bits(8u * code.fine)) << Bits(21u));
    let y = bitcast<Quad>(select(upper, lower, level >= Bits(8u * code.fine)));
    let bits = bitcast<Bits>(y * bitcast<f32>(scale)) | sign;
    let number = select(bits, Bits(0u), magnitude == Bits(0u));
    return bitcast<Quad>(select(number, Bits(0x7fc00000u), codes == Bits(code.nan)));
}

// Neither infinite or NaN, nor so small that some devices might take its level for zero: below 2^-125.
fn is_held(magnitude: Bits) -> Mask {
    return (magnitude - Bits(0x01000000u)) < Bits(0x7e800000u);
}

// The bits of the largest magnitude among those.
fn block_scale(x: Quad, mask: Mask) -> u32 {
    let size = magnitude(x);
    return largest(select(Bits(0u), size, mask & is_held(size)));
}

// To the nearest level, or by chance to the one below or above. Below the lowest level it is zero or that; but unsigned never
// zero: of a second moment that would be a step without bound.
fn encoded(code: Code, x: Quad, scale: u32, noise: Bits, stochastic: bool) -> Bits {
    let size = magnitude(x);
    let y = bitcast<Quad>(size) / bitcast<f32>(scale);
    // On a device whose division is not exact the largest element is the scale all the same.
    let bits = select(min(bitcast<Bits>(y), Bits(ONE)), Bits(ONE), size == Bits(scale));
    var up_fine = Bits(0x80000u);
    var up_coarse = Bits(0x100000u);
    var stays = bits >= Bits(lowest(code) - 0x800000u);
    if stochastic {
        up_fine = noise & Bits(0xfffffu);
        up_coarse = noise & Bits(0x1fffffu);
        stays = y > Quad(noise >> Bits(8u)) * 5.9604644775390625e-8 * bitcast<f32>(lowest(code));
    }
    let upper = Bits(ONE >> 20u) - ((bits + up_fine) >> Bits(20u));
    let lower = Bits(8u * code.fine + (edge(code) >> 21u)) - ((bits + up_coarse) >> Bits(21u));
    let level = select(lower, upper, bits >= Bits(edge(code)));
    let least = select(Bits(0u), Bits(1u), stays | Mask(!code.signed));
    let number = select(Bits(code.levels) - level, least, bits < Bits(lowest(code)));
    let finite = select(Bits(0u), number, is_held(size));
    let codes = select(finite, Bits(code.nan), size >= Bits(0x7f800000u));
    if code.signed {
        let sign = (bitcast<Bits>(x) >> Bits(24u)) & Bits(0x80u);
        return codes | select(sign, Bits(0u), codes == Bits(0u));
    }
    return codes;
}
