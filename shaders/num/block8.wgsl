// 8-bit floats in blocks of 256 elements. A block shares a scale, its largest magnitude. Twin: src/num/block8.rs.
//
// A magnitude is at most 1, in units of the scale. Code 0 is exactly zero. From one code to the next, the bits of the f32
// increase by 2^21 (2 bits of mantissa) up to a corner, and by 2^20 (3 bits) above it. So the bits are the lesser of two lines
// through the corner.

const BLOCK_QUADS: u32 = 64u;

struct Code {
    nan: u32,           // the code of non-finite numbers, one more than that of 1
    corner: u32,        // the code where the lines meet
    corner_bits: u32,   // its magnitude
    least_scale: u32,   // scales below it are raised to it, since devices may flush numbers below 2^-126 to zero
    signed: bool,       // the upper bit is the sign
}

const SIGNED: Code = Code(0x80u, 39u, 0x3a000000u, 0x0b800000u, true);
const UNSIGNED: Code = Code(0xffu, 62u, 0x33800000u, 0x15000000u, false);

// 1 / (4 * the smallest magnitude of SIGNED)
const INVERSE_LEAST: f32 = 349525.34375;

fn line(code: Code, steps: u32, codes: Bits) -> Bits {
    return (codes << Bits(steps)) + Bits(code.corner_bits - (code.corner << steps));
}

fn decoded(code: Code, word: u32, scale: u32) -> Quad {
    let width = select(8u, 7u, code.signed);
    let codes = Bits(
        extractBits(word, 0u, width),
        extractBits(word, 8u, width),
        extractBits(word, 16u, width),
        extractBits(word, 24u, width),
    );
    let magnitude = min(line(code, 20u, codes), line(code, 21u, codes));
    if code.signed {
        let signs = Bits(word) << Bits(24u, 16u, 8u, 0u);
        // A zero with a sign is a NaN: all bits become 1.
        let special = bitcast<Bits>(bitcast<vec4<i32>>(signs) >> Bits(31u));
        let number = magnitude | (signs & Bits(0x80000000u));
        return bitcast<Quad>(select(number, special, codes == Bits(0u))) * bitcast<f32>(scale);
    }
    let number = select(magnitude, Bits(0u), codes == Bits(0u));
    return bitcast<Quad>(select(number, Bits(0x7fc00000u), codes == Bits(code.nan))) * bitcast<f32>(scale);
}

// A number that orders finite magnitudes. That of infinities and NaNs is below all of these.
fn block_size(x: Quad, mask: Mask) -> u32 {
    return largest(select(Bits(0u), (bitcast<Bits>(x) << Bits(1u)) + Bits(0x01000000u), mask));
}

// The scale of a block with this largest size.
fn block_scale(code: Code, size: u32) -> u32 {
    let magnitude = (max(size, 0x01000000u) - 0x01000000u) >> 1u;
    return select(max(magnitude, code.least_scale), 0u, magnitude == 0u);
}

// Rounds to the code below or above. 16 bits of noise decide, and 0x8000 rounds to the nearest. A number below the smallest
// magnitude becomes that or zero. An unsigned one never becomes zero, since a zero second moment would make an unbounded step.
fn encoded(code: Code, x: Quad, scale: u32, noise: Bits) -> u32 {
    // Four times the magnitude, since the inverse of a scale may be too small for an f32. The factor is 2^-21 too large, which is
    // more than a division may err: the largest element gets the code of 1 on every device. The noise has no bits so low.
    let y = abs(x) * (4.0000019073486328125 / bitcast<f32>(max(scale, code.least_scale)));
    let corner_bits = code.corner_bits + (2u << 23u);
    let corner = code.corner << 20u;
    // What is not finite becomes the number with the code `nan`.
    let bits = min(bitcast<Bits>(y), Bits(corner_bits + ((code.nan - code.corner) << 20u)));
    let height = bitcast<vec4<i32>>(bits - Bits(corner_bits - corner));
    // The greater of the inverse lines: above the corner it is twice as steep.
    let codes = (height + max(height, vec4<i32>(i32(corner))) + bitcast<vec4<i32>>(noise << Bits(5u))) >> Bits(21u);
    if !code.signed {
        return packed(bitcast<Bits>(max(codes, bitcast<vec4<i32>>(min(bitcast<Bits>(x), Bits(1u))))));
    }
    // From 2 on, the upper two bits of an f32 are 01.
    let least = bitcast<Bits>(y * INVERSE_LEAST + bitcast<Quad>((noise << Bits(7u)) | Bits(0x3f800000u))) >> Bits(30u);
    let word = packed(bitcast<Bits>(max(codes, bitcast<vec4<i32>>(least))));
    let signs = (bitcast<Bits>(x) & Bits(0x80000000u)) >> Bits(24u, 16u, 8u, 0u);
    // A zero has no sign.
    return word | ((signs.x | signs.y | signs.z | signs.w) & (word + 0x7f7f7f7fu));
}

fn packed(codes: Bits) -> u32 {
    return codes.x | (codes.y << 8u) | (codes.z << 16u) | (codes.w << 24u);
}
