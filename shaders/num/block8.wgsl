// 8-bit floats in blocks of 256 elements. A block shares a scale, its largest magnitude. Twin: src/num/block8.rs.
//
// A level is a float of at most 1, in units of the scale. It has 3 bits of mantissa down to 2^-fine, and 2 bits below
// that. Level 0 is 1, and each further level is smaller. Code 0 is exactly zero; any other code is the number of levels
// minus the level. All of this is integer arithmetic on the bits of an f32: from one level to the next the bits
// decrease by 2^20, or by 2^21 below 2^-fine.

const BLOCK_QUADS: u32 = 64u;

struct Code {
    levels: u32,
    fine: u32,      // octaves with 3 bits of mantissa
    signed: bool,   // the upper bit is the sign
    nan: u32,       // the code of non-finite numbers
}

const SIGNED: Code = Code(127u, 11u, true, 0x80u);
const UNSIGNED: Code = Code(254u, 24u, false, 0xffu);

const ONE: u32 = 0x3f800000u;

// The bits of 2^-fine.
fn edge(code: Code) -> u32 {
    return ONE - (code.fine << 23u);
}

// The bits of the lowest level.
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

// Whether a magnitude is finite and at least 2^-125. Some devices might flush the level of a smaller one to zero.
fn is_held(magnitude: Bits) -> Mask {
    return (magnitude - Bits(0x01000000u)) < Bits(0x7e800000u);
}

// The bits of the largest magnitude for which `is_held` is true.
fn block_scale(x: Quad, mask: Mask) -> u32 {
    let size = magnitude(x);
    return largest(select(Bits(0u), size, mask & is_held(size)));
}

// Rounds to the nearest level or, stochastically, to the level below or above. A number below the lowest level becomes
// that level or zero. An unsigned one never becomes zero, since a zero second moment would make an unbounded step.
fn encoded(code: Code, x: Quad, scale: u32, noise: Bits, stochastic: bool) -> Bits {
    let size = magnitude(x);
    let y = bitcast<Quad>(size) / bitcast<f32>(scale);
    // The largest element gets level 0 even on a device whose division is not exact.
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
