//! Conversions between f32 and 16-bit floats, remainders and 32-bit integers, in integer arithmetic. Twin of
//! `half.wgsl`, element by element.

pub(crate) fn from_bf16(half: u16) -> f32 {
    f32::from_bits(u32::from(half) << 16)
}

/// Rounds to nearest even. With 16 bits of noise, rounds up if adding them to the lower bits carries.
pub(crate) fn to_bf16(x: f32, noise: Option<u32>) -> u16 {
    let positive = (x.to_bits() as i32).min(0x7fff_0000) as u32;
    let bits = positive.min(0xffff_0000);
    let up = noise.unwrap_or(0x7fff + ((bits >> 16) & 1));
    ((bits + up) >> 16) as u16
}

pub(crate) fn from_f16(half: u16) -> f32 {
    let sign = u32::from(half & 0x8000) << 16;
    let magnitude = u32::from(half & 0x7fff);
    let bits = match magnitude {
        // Subnormal: units of 2^-24.
        0..0x400 => (magnitude as f32 * 5.960_464_5e-8).to_bits(),
        0x400..0x7c00 => (magnitude << 13) + (112 << 23),
        _ => (magnitude << 13) | 0x7f80_0000,
    };
    f32::from_bits(sign | bits)
}

/// Rounds as [`to_bf16`] does.
pub(crate) fn to_f16(x: f32, noise: Option<u32>) -> u16 {
    let bits = x.to_bits();
    let sign = (bits >> 16) & 0x8000;
    let magnitude = bits & 0x7fff_ffff;
    let half = if x.is_nan() {
        0x7e00
    } else if magnitude >= 0x7f80_0000 {
        0x7c00
    } else if magnitude < 0x3880_0000 {
        // Subnormal: whole units of 2^-24, and the fraction of one.
        let units = f32::from_bits(magnitude) * 16_777_216.0;
        let whole = units.floor();
        let rest = units - whole;
        let odd = whole as u32 % 2 == 1;
        let more = match noise {
            None => rest > 0.5 || rest == 0.5 && odd,
            Some(noise) => rest > noise as f32 * 1.525_878_9e-5,
        };
        whole as u32 + u32::from(more)
    } else {
        let up = noise.map_or(0xfff + ((bits >> 13) & 1), |noise| noise >> 3);
        (((magnitude + up) >> 13) - (112 << 10)).min(0x7c00)
    };
    (sign | half) as u16
}

/// The nearest bf16, as an f32.
pub(crate) fn nearest_bf16(x: f32) -> f32 {
    from_bf16(to_bf16(x, None))
}

/// The bits of `x`. A NaN is replaced by one that is still a NaN after rounding.
fn plain_nan(x: f32) -> u32 {
    if x.is_nan() { (x.to_bits() & 0x8000_0000) | 0x7fc0_0000 } else { x.to_bits() }
}

/// The f32 made of a bf16 and its remainder, the lower 16 bits as a signed number.
pub(crate) fn joined(half: u16, remainder: u16) -> f32 {
    f32::from_bits((u32::from(half) << 16).wrapping_add_signed(i32::from(remainder as i16)))
}

/// Splits an f32 into the nearest bf16 and the remainder.
pub(crate) fn split(x: f32) -> (u16, u16) {
    let bits = plain_nan(x);
    (((bits.wrapping_add(0x8000)) >> 16) as u16, bits as u16)
}

/// `x * scale`. Both halves of `x` convert exactly, and their sum is rounded once.
pub(crate) fn from_i32(x: i32, scale: f32) -> f32 {
    let upper = (x >> 16) as f32 * 65536.0;
    let lower = (x & 0xffff) as f32;
    (upper + lower) * scale
}

#[cfg(test)]
mod tests {
    use ::half::{bf16, f16};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn all_16_bit_floats_convert_as_in_the_half_crate() {
        for bits in 0..=u16::MAX {
            let (ours, theirs) = (from_f16(bits), f16::from_bits(bits).to_f32());
            assert!(ours.to_bits() == theirs.to_bits() || ours.is_nan() && theirs.is_nan(), "f16 {bits:04x}");
            let (ours_too, theirs) = (from_bf16(bits), bf16::from_bits(bits).to_f32());
            assert!(ours_too.to_bits() == theirs.to_bits() || ours_too.is_nan() && theirs.is_nan(), "bf16 {bits:04x}");
            if !ours.is_nan() {
                assert_eq!((to_f16(ours, None), to_f16(ours, Some(0xffff))), (bits, bits), "exact stays");
            }
            if !from_bf16(bits).is_nan() {
                let nearest = to_bf16(from_bf16(bits), None);
                let stochastic = to_bf16(from_bf16(bits), Some(0xffff));
                assert_eq!((nearest, stochastic), (bits, bits), "exact stays");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn rounding_to_nearest_agrees_with_the_half_crate(bits: u32, near in 0x3800_0000..0x4780_0000_u32) {
            // A NaN of arithmetic has the upper bit of its mantissa.
            let any = f32::from_bits(if f32::from_bits(bits).is_nan() { bits | 0x40_0000 } else { bits });
            for x in [any, f32::from_bits(near), f32::from_bits(near & 0xffff_f000), -f32::from_bits(near)] {
                let (f16, bf16) = (f16::from_f32(x), bf16::from_f32(x));
                prop_assert!(to_f16(x, None) == f16.to_bits() || x.is_nan() && f16::from_bits(to_f16(x, None)).is_nan());
                prop_assert!(to_bf16(x, None) == bf16.to_bits() || x.is_nan() && from_bf16(to_bf16(x, None)).is_nan());
                let (half, remainder) = split(x);
                prop_assert!(joined(half, remainder).to_bits() == x.to_bits() || x.is_nan() && from_bf16(half).is_nan());
            }
        }

        #[test]
        fn stochastic_rounding_is_unbiased(bits in 0x3300_0000..0x477f_0000_u32) {
            let x = f32::from_bits(bits);
            let mean = |round: &dyn Fn(u32) -> f32| {
                (0..0x1_0000).step_by(8).map(|i| f64::from(round(i | (i >> 13)))).sum::<f64>() / 8192.0
            };
            for (mean, spacing) in [
                (mean(&|noise| from_bf16(to_bf16(x, Some(noise)))), x / 128.0),
                (mean(&|noise| from_f16(to_f16(x, Some(noise)))), (x / 1024.0).max(6e-8)),
            ] {
                prop_assert!((mean - f64::from(x)).abs() <= f64::from(spacing) / 1000.0, "{} for {}", mean, x);
            }
        }
    }
}
