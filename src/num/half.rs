//! 16-bit floats and fixed point, in integer arithmetic. Twin of `half.wgsl`, element by element.

pub(crate) fn from_bf16(half: u16) -> f32 {
    f32::from_bits(u32::from(half) << 16)
}

/// To nearest even, or, with noise, up where that carries.
pub(crate) fn to_bf16(x: f32, noise: Option<u32>) -> u16 {
    let bits = x.to_bits();
    let up = noise.map_or(0x7fff + ((bits >> 16) & 1), |noise| noise & 0xffff);
    if x.is_nan() { (bits >> 16) as u16 | 0x40 } else { ((bits + up) >> 16) as u16 }
}

pub(crate) fn from_f16(half: u16) -> f32 {
    let sign = u32::from(half & 0x8000) << 16;
    let magnitude = u32::from(half & 0x7fff);
    let bits = match magnitude {
        // Units of 2^-24.
        0..0x400 => (magnitude as f32 * 5.960_464_5e-8).to_bits(),
        0x400..0x7c00 => (magnitude << 13) + (112 << 23),
        _ => (magnitude << 13) | 0x7f80_0000,
    };
    f32::from_bits(sign | bits)
}

pub(crate) fn to_f16(x: f32, noise: Option<u32>) -> u16 {
    let bits = x.to_bits();
    let (sign, magnitude) = ((bits >> 16) & 0x8000, bits & 0x7fff_ffff);
    let half = if x.is_nan() {
        0x7e00
    } else if magnitude >= 0x7f80_0000 {
        0x7c00
    } else if magnitude < 0x3880_0000 {
        // Units of 2^-24, and what is left of one.
        let units = f32::from_bits(magnitude) * 16_777_216.0;
        let whole = units.floor();
        let (rest, odd) = (units - whole, whole as u32 % 2 == 1);
        let more = match noise {
            None => rest > 0.5 || rest == 0.5 && odd,
            Some(noise) => rest > (noise >> 8) as f32 * 5.960_464_5e-8,
        };
        whole as u32 + u32::from(more)
    } else {
        let up = noise.map_or(0xfff + ((bits >> 13) & 1), |noise| noise & 0x1fff);
        (((magnitude + up) >> 13) - (112 << 10)).min(0x7c00)
    };
    (sign | half) as u16
}

/// The nearest bf16, as an f32.
pub(crate) fn nearest_bf16(x: f32) -> f32 {
    from_bf16(to_bf16(x, None))
}

/// The bits of an f32 that is no NaN, or is one that survives being rounded.
fn plain_nan(x: f32) -> u32 {
    if x.is_nan() { (x.to_bits() & 0x8000_0000) | 0x7fc0_0000 } else { x.to_bits() }
}

/// A bf16 and the remainder that makes an f32 of it: the lower half, signed.
pub(crate) fn joined(half: u16, remainder: u16) -> f32 {
    f32::from_bits((u32::from(half) << 16).wrapping_add_signed(i32::from(remainder as i16)))
}

/// The two of an f32.
pub(crate) fn parted(x: f32) -> (u16, u16) {
    let bits = plain_nan(x);
    (((bits.wrapping_add(0x8000)) >> 16) as u16, bits as u16)
}

/// In two exact parts, whose sum is rounded once.
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
    fn all_halves_are_those_of_the_half_crate() {
        for bits in 0..=u16::MAX {
            let (ours, theirs) = (from_f16(bits), f16::from_bits(bits).to_f32());
            assert!(ours.to_bits() == theirs.to_bits() || ours.is_nan() && theirs.is_nan(), "f16 {bits:04x}");
            let (ours_too, theirs) = (from_bf16(bits), bf16::from_bits(bits).to_f32());
            assert!(ours_too.to_bits() == theirs.to_bits() || ours_too.is_nan() && theirs.is_nan(), "bf16 {bits:04x}");
            if !ours.is_nan() {
                assert_eq!((to_f16(ours, None), to_f16(ours, Some(u32::MAX))), (bits, bits), "exact stays");
            }
            if !from_bf16(bits).is_nan() {
                let (nearest, by_chance) = (to_bf16(from_bf16(bits), None), to_bf16(from_bf16(bits), Some(u32::MAX)));
                assert_eq!((nearest, by_chance), (bits, bits), "exact stays");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn rounding_to_nearest_is_that_of_the_half_crate(bits: u32, near in 0x3800_0000..0x4780_0000_u32) {
            for x in [f32::from_bits(bits), f32::from_bits(near), f32::from_bits(near & 0xffff_f000), -f32::from_bits(near)] {
                let (f16, bf16) = (f16::from_f32(x), bf16::from_f32(x));
                prop_assert!(to_f16(x, None) == f16.to_bits() || x.is_nan() && f16::from_bits(to_f16(x, None)).is_nan());
                prop_assert!(to_bf16(x, None) == bf16.to_bits() || x.is_nan() && from_bf16(to_bf16(x, None)).is_nan());
                let (half, remainder) = parted(x);
                prop_assert!(joined(half, remainder).to_bits() == x.to_bits() || x.is_nan() && from_bf16(half).is_nan());
            }
        }

        #[test]
        fn by_chance_it_is_one_of_the_two_neighbours_and_right_on_average(bits in 0x3300_0000..0x477f_0000_u32) {
            let x = f32::from_bits(bits);
            let mean = |round: &dyn Fn(u32) -> f32| {
                (0..8192_u32).map(|i| f64::from(round(i << 19 | (i & 7) << 13 | i))).sum::<f64>() / 8192.0
            };
            // Of that noise 13 bits, 16 bits and the upper 24 are spread evenly: the mean is that close.
            for (mean, spacing) in [
                (mean(&|noise| from_bf16(to_bf16(x, Some(noise)))), x / 128.0),
                (mean(&|noise| from_f16(to_f16(x, Some(noise)))), (x / 1024.0).max(6e-8)),
            ] {
                prop_assert!((mean - f64::from(x)).abs() <= f64::from(spacing) / 1000.0, "{} for {}", mean, x);
            }
        }
    }
}
