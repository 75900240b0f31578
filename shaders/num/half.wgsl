// Conversions between f32 and 16-bit floats, remainders and 32-bit integers, in integer arithmetic: no device feature
// is needed, and every driver gives the same bits. Twin: src/num/half.rs.

fn halves_of(pair: vec2<u32>) -> Bits {
    return Bits(pair.x & 0xffffu, pair.x >> 16u, pair.y & 0xffffu, pair.y >> 16u);
}

fn pair_of(halves: Bits) -> vec2<u32> {
    return vec2<u32>(halves.x | (halves.y << 16u), halves.z | (halves.w << 16u));
}

// Replaces one or both of two halves. The other keeps its value.
fn merged(old: u32, now: u32, low: bool, high: bool) -> u32 {
    let mask = select(0u, 0xffffu, low) | select(0u, 0xffff0000u, high);
    return (old & ~mask) | (now & mask);
}

fn from_bf16(halves: Bits) -> Quad {
    return bitcast<Quad>(halves << Bits(16u));
}

// Rounds to nearest even or, stochastically, up if adding 16 bits of noise to the lower bits carries.
fn to_bf16(x: Quad, noise: Bits, stochastic: bool) -> Bits {
    // Rounding must not carry a NaN of which all bits are 1 into the sign. The upper bit of its mantissa, which each NaN of
    // arithmetic has, keeps it from becoming an infinity.
    let positive = bitcast<Bits>(min(bitcast<vec4<i32>>(x), vec4<i32>(0x7fff0000i)));
    let bits = min(positive, Bits(0xffff0000u));
    var up = Bits(0x7fffu) + ((bits >> Bits(16u)) & Bits(1u));
    if stochastic {
        up = noise;
    }
    return (bits + up) >> Bits(16u);
}

fn from_f16(halves: Bits) -> Quad {
    let sign = (halves & Bits(0x8000u)) << Bits(16u);
    let magnitude = halves & Bits(0x7fffu);
    // Numbers below 2^-14 count units of 2^-24.
    let tiny = bitcast<Bits>(Quad(magnitude) * 5.9604644775390625e-8);
    let shifted = magnitude << Bits(13u);
    let normal = shifted + Bits(112u << 23u);
    let special = shifted | Bits(0x7f800000u);
    let bits = select(select(normal, special, magnitude >= Bits(0x7c00u)), tiny, magnitude < Bits(0x400u));
    return bitcast<Quad>(sign | bits);
}

// Rounds as `to_bf16` does.
fn to_f16(x: Quad, noise: Bits, stochastic: bool) -> Bits {
    let bits = bitcast<Bits>(x);
    let sign = (bits >> Bits(16u)) & Bits(0x8000u);
    let magnitude = bits & Bits(0x7fffffffu);
    var up = Bits(0xfffu) + ((bits >> Bits(13u)) & Bits(1u));
    // For subnormal results: whole units of 2^-24, and the fraction of one.
    let units = min(bitcast<Quad>(magnitude), Quad(6.103515625e-5)) * 16777216.0;
    let floored = floor(units);
    let rest = units - floored;
    let whole = Bits(floored);
    var more = (rest > Quad(0.5)) | ((rest == Quad(0.5)) & ((whole & Bits(1u)) == Bits(1u)));
    if stochastic {
        up = noise >> Bits(3u);
        more = rest > Quad(noise) * 1.52587890625e-5;
    }
    let normal = min(((magnitude + up) >> Bits(13u)) - Bits(112u << 10u), Bits(0x7c00u));
    let tiny = whole + select(Bits(0u), Bits(1u), more);
    let special = select(Bits(0x7c00u), Bits(0x7e00u), magnitude > Bits(0x7f800000u));
    let finite = select(normal, tiny, magnitude < Bits(0x38800000u));
    return sign | select(finite, special, magnitude >= Bits(0x7f800000u));
}

// The bits of an f32. A NaN is replaced by one that is still a NaN after rounding.
fn plain_nan(x: Quad) -> Bits {
    let bits = bitcast<Bits>(x);
    let nan = (bits & Bits(0x7fffffffu)) > Bits(0x7f800000u);
    return select(bits, (bits & Bits(0x80000000u)) | Bits(0x7fc00000u), nan);
}

// The f32 made of a bf16 and its remainder, the lower 16 bits as a signed number.
fn joined(halves: Bits, remainders: Bits) -> Quad {
    return bitcast<Quad>((halves << Bits(16u)) + remainders - ((remainders & Bits(0x8000u)) << Bits(1u)));
}

// The integer times the region's scale. Both of its halves convert exactly, and their sum is rounded once.
fn from_i32(x: vec4<i32>) -> Quad {
    let upper = Quad(x >> Bits(16u)) * 65536.0;
    let lower = Quad(bitcast<Bits>(x) & Bits(0xffffu));
    return (upper + lower) * region.grad_scale;
}
