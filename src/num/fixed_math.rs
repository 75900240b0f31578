//! The functions behind the curves of schedules. They take and return the fixed-point numbers of `fixed.rs`, so every
//! driver gives the same result. Twin: `schedule.wgsl`, where the tables are in the buffer of values.

use crate::num::fixed::product;

/// log2(1 + 2^-i) for i = 1, 2, ..., in units of 2^-64.
#[rustfmt::skip]
pub(crate) const LOG2: [u64; 40] = [
    0x95c0_1a39_fbd6_87a0, 0x5269_e12f_346e_2bf9, 0x2b80_3473_f7ad_0f3f, 0x1663_f6fa_c913_167d,
    0x0b5d_69ba_c77e_c399, 0x05b9_e5a1_70b4_8a63, 0x02df_ca16_dde1_0a30, 0x0170_9c46_d7aa_c775,
    0x00b8_7c1f_f853_ab26, 0x005c_4994_dd0f_d150, 0x002e_27ac_5ef2_af86, 0x0017_148e_c2a1_bfc9,
    0x000b_8a75_88fd_29b2, 0x0005_c546_4ec5_f4d7, 0x0002_e2a6_0a00_5c96, 0x0001_7153_bda8_f822,
    0x0000_b8aa_0cfe_dcb1, 0x0000_5c55_120a_0c46, 0x0000_2e2a_8be7_ae57, 0x0000_1715_46ac_8150,
    0x0000_0b8a_a384_6b34, 0x0000_05c5_51cd_c03d, 0x0000_02e2_a8e9_c2c7, 0x0000_0171_5475_9a0e,
    0x0000_00b8_aa3a_fb32, 0x0000_005c_551d_8923, 0x0000_002e_2a8e_c774, 0x0000_0017_1547_6473,
    0x0000_000b_8aa3_b268, 0x0000_0005_c551_d93f, 0x0000_0002_e2a8_eca3, 0x0000_0001_7154_7652,
    0x0000_0000_b8aa_3b29, 0x0000_0000_5c55_1d95, 0x0000_0000_2e2a_8eca, 0x0000_0000_1715_4765,
    0x0000_0000_0b8a_a3b3, 0x0000_0000_05c5_51d9, 0x0000_0000_02e2_a8ed, 0x0000_0000_0171_5476,
];

/// (pi^2/4)^i / (2*(2*i)!) for i = 1, 2, ..., in units of 2^-64. With alternating signs, these are the coefficients of
/// the series of (1 - cos(pi*x)) / 2 in (2*x)^2. The first omitted coefficient is 3.3e-11.
pub(crate) const HALF_COSINE: [u64; 7] = [
    0x9de9_e64d_f22e_f2d2,
    0x2078_3e10_36b5_8767,
    0x02ab_a78f_c797_ff40,
    0x001e_1f50_6891_babb,
    0x0000_d368_f951_0254,
    0x0000_03f3_a714_6ec8,
    0x0000_000d_b712_7a26,
];

/// The largest fixed-point number, which stands for 1.
pub(crate) const ONE: u64 = u64::MAX;

/// log2 of an integer, in units of 2^-58.
pub(crate) fn log2_of(a: u64) -> u64 {
    let shift = a.leading_zeros();
    let mut grown = a << shift;
    let mut lacking = 0u64;
    for (i, logarithm) in LOG2.iter().enumerate() {
        if let Some(more) = grown.checked_add(grown >> (i + 1)) {
            grown = more;
            lacking += logarithm;
        }
    }
    (u64::from(64 - shift) << 26 << 32).wrapping_sub(lacking >> 6)
}

/// 2^-a, for `a` in units of 2^-58.
pub(crate) fn exp2_minus(a: u64) -> u64 {
    let part = a << 6;
    if part == 0 {
        return ONE >> (a >> 58);
    }
    let mut left_over = part.wrapping_neg();
    let mut grown = 1 << 63;
    for (i, logarithm) in LOG2.iter().enumerate() {
        if left_over >= *logarithm {
            left_over -= logarithm;
            grown += grown >> (i + 1);
        }
    }
    grown >> (a >> 58)
}

/// (1 - cos(pi*x)) / 2.
pub(crate) fn half_cosine(x: u64) -> u64 {
    let second = x >= 1 << 63;
    let near = (if second { x.wrapping_neg() } else { x }) << 1;
    let double = if near == 0 { ONE } else { near };
    let square = product(double, double);
    let mut sum = HALF_COSINE[6];
    for term in HALF_COSINE[..6].iter().rev() {
        sum = term - product(square, sum);
    }
    sum = product(square, sum);
    if second { sum.wrapping_neg() } else { sum }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constants_agree_with_float64() {
        let close = |units: u64, want: f64| {
            let got = units as f64 / 2f64.powi(64);
            assert!((got - want).abs() < 1e-15 * want + 2f64.powi(-64), "{got} for {want}");
        };
        for (units, i) in LOG2.into_iter().zip(1..) {
            close(units, 2f64.powi(-i).ln_1p() / std::f64::consts::LN_2);
        }
        let mut term = 0.5;
        for (units, i) in HALF_COSINE.into_iter().zip(1..) {
            term *= (std::f64::consts::PI / 2.0).powi(2) / f64::from((2 * i - 1) * (2 * i));
            close(units, term);
        }
    }
}
