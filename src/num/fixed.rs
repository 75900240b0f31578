//! Fixed-point numbers in `[0, 1)`: 64-bit integers that count units of 2^-64. Integer arithmetic is the same on every
//! driver. Twin: `fixed.wgsl`.

/// Converts a number in `[0, 1)` to units of 2^-64.
pub(crate) fn fixed(beta: f64) -> u64 {
    // The conversion is exact for beta >= 2^-11, since an f64 has 53 bits.
    (beta * 18_446_744_073_709_551_616.0) as u64
}

/// The product of two fixed-point numbers, truncated.
pub(crate) fn product(a: u64, b: u64) -> u64 {
    ((u128::from(a) * u128::from(b)) >> 64) as u64
}

/// `beta^t` by squaring, to start a clock at a later step. At `t` = 0 the power would be 1, which is not representable.
/// The result 0 is not used: the first tick sets the power to beta.
pub(crate) fn power(beta: u64, mut t: u64) -> u64 {
    let (mut result, mut square) = (None, beta);
    while t > 0 {
        if t % 2 == 1 {
            result = Some(result.map_or(square, |r| product(r, square)));
        }
        square = product(square, square);
        t /= 2;
    }
    result.unwrap_or(0)
}

/// A fixed-point number as an f32, rounded to nearest even.
pub(crate) fn fraction(units: u64) -> f32 {
    if units == 0 {
        return 0.0;
    }
    let shift = units.leading_zeros();
    let bits = units << shift;
    let rest = bits & 0xff_ffff_ffff;
    let mut top = (bits >> 40) as u32;
    if rest > 0x80_0000_0000 || (rest == 0x80_0000_0000 && top % 2 == 1) {
        top += 1;
    }
    // If `top` has been rounded up to 25 bits, its last bit is 0. So the conversion is exact, and so is the product
    // with a power of two.
    top as f32 * f32::from_bits((127 - 24 - shift) << 23)
}

/// An f32 in `[0, 1)` as a fixed-point number. What is below 2^-64 is lost.
pub(crate) fn of_f32(x: f32) -> u64 {
    (x * 4294967296.0 * 4294967296.0) as u64
}

/// `1 - power` as an f32, rounded to nearest even.
pub(crate) fn complement(power: u64) -> f32 {
    if power == 0 { 1.0 } else { fraction(power.wrapping_neg()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beta_of_zero_and_the_ends_of_the_range() {
        assert_eq!(complement(fixed(0.0)), 1.0);
        assert_eq!(complement(fixed(0.75)), 0.25);
        assert_eq!(complement(u64::MAX), 2f32.powi(-64));
        assert_eq!(complement(1), 1.0);
        assert_eq!(fraction(u64::MAX), 1.0);
        assert_eq!((of_f32(0.75), of_f32(2f32.powi(-64)), of_f32(1e-38)), (3 << 62, 1, 0));
        assert_eq!(power(fixed(0.5), 2), fixed(0.25));
    }
}
