// Fixed-point numbers in [0, 1): 64-bit integers that count units of 2^-64, with the lower 32 bits first. Integer
// arithmetic is the same on every driver. Twin: src/num/fixed.rs.

// The 64 bits of a*b, the lower 32 first.
fn wide(a: u32, b: u32) -> vec2<u32> {
    let low = (a & 0xffffu) * (b & 0xffffu);
    let cross1 = (a >> 16u) * (b & 0xffffu);
    let cross2 = (a & 0xffffu) * (b >> 16u);
    let middle = (low >> 16u) + (cross1 & 0xffffu) + (cross2 & 0xffffu);
    let high = (a >> 16u) * (b >> 16u) + (cross1 >> 16u) + (cross2 >> 16u) + (middle >> 16u);
    return vec2<u32>((middle << 16u) | (low & 0xffffu), high);
}

// The product of two fixed-point numbers, truncated: the upper half of the 128 bits.
fn product(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let low = wide(a.x, b.x);
    let cross1 = wide(a.x, b.y);
    let cross2 = wide(a.y, b.x);
    let high = wide(a.y, b.y);
    let sum1 = low.y + cross1.x;
    let sum2 = sum1 + cross2.x;
    let carry = select(0u, 1u, sum1 < low.y) + select(0u, 1u, sum2 < sum1);
    let low1 = high.x + cross1.y;
    let low2 = low1 + cross2.y;
    let low3 = low2 + carry;
    let carries = select(0u, 1u, low1 < high.x) + select(0u, 1u, low2 < low1) + select(0u, 1u, low3 < low2);
    return vec2<u32>(low3, high.y + carries);
}

// a*k, without what does not fit.
fn times(a: vec2<u32>, k: u32) -> vec2<u32> {
    let low = wide(a.x, k);
    return vec2<u32>(low.x, low.y + a.y * k);
}

// a + b modulo 2^64.
fn plus(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let low = a.x + b.x;
    return vec2<u32>(low, a.y + b.y + select(0u, 1u, low < a.x));
}

fn less(a: vec2<u32>, b: vec2<u32>) -> bool {
    return a.y < b.y || (a.y == b.y && a.x < b.x);
}

// Shifts left by at most 63 bits.
fn left(a: vec2<u32>, bits: u32) -> vec2<u32> {
    if bits == 0u {
        return a;
    }
    if bits >= 32u {
        return vec2<u32>(0u, a.x << (bits - 32u));
    }
    return vec2<u32>(a.x << bits, (a.y << bits) | (a.x >> (32u - bits)));
}

// Of a number that is not 0.
fn leading_zeros(a: vec2<u32>) -> u32 {
    return select(countLeadingZeros(a.y), 32u + countLeadingZeros(a.x), a.y == 0u);
}

// A fixed-point number as an f32, rounded to nearest even.
fn fraction(units: vec2<u32>) -> f32 {
    if (units.x | units.y) == 0u {
        return 0.0;
    }
    let shift = leading_zeros(units);
    let bits = left(units, shift);
    // The top 24 bits are rounded by the rest. The conversion and the product with a power of two are exact.
    var top = bits.y >> 8u;
    let rest = bits.y & 0xffu;
    if rest > 0x80u || (rest == 0x80u && (bits.x != 0u || (top & 1u) == 1u)) {
        top += 1u;
    }
    return f32(top) * bitcast<f32>((127u - 24u - shift) << 23u);
}

// An f32 in [0, 1) as a fixed-point number. What is below 2^-64 is lost.
fn of_f32(x: f32) -> vec2<u32> {
    let scaled = x * 4294967296.0;
    let high = u32(scaled);
    return vec2<u32>(u32((scaled - f32(high)) * 4294967296.0), high);
}

fn negated(units: vec2<u32>) -> vec2<u32> {
    return vec2<u32>(~units.x + 1u, ~units.y + select(0u, 1u, units.x == 0u));
}

// 1 - power as an f32, rounded to nearest even.
fn complement(power: vec2<u32>) -> f32 {
    if (power.x | power.y) == 0u {
        return 1.0;
    }
    return fraction(negated(power));
}
