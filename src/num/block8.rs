//! 8-bit floats in blocks that share a scale. Twin of `block8.wgsl`, element by element. The CPU stores the decoded
//! values, from which codes and scales follow without loss.

use crate::num::quad::magnitude;

/// The number of elements that share a scale in a state of
/// [`StateDtype::Block8`](crate::precision::StateDtype::Block8). Blocks are counted from the first element of a tensor.
pub const BLOCK: u64 = 256;

/// What a code stands for. `block8.wgsl` gives the reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code {
    /// The code of non-finite numbers, one more than that of 1.
    nan: u32,
    /// The code where the spacing changes.
    corner: u32,
    /// Its magnitude.
    corner_bits: u32,
    /// The bits of the smallest scale except 0.
    least_scale: u32,
    /// The upper bit is the sign.
    signed: bool,
}

/// The format of first moments.
pub(crate) const SIGNED: Code =
    Code { nan: 0x80, corner: 39, corner_bits: 0x3a00_0000, least_scale: 0x0b80_0000, signed: true };

/// The format of second moments.
pub(crate) const UNSIGNED: Code =
    Code { nan: 0xff, corner: 62, corner_bits: 0x3380_0000, least_scale: 0x1500_0000, signed: false };

/// 1 / (4 * the smallest magnitude of [`SIGNED`])
const INVERSE_LEAST: f32 = 349_525.34;

/// The noise that rounds to the nearest code.
const NEAREST: u32 = 0x8000;

const ONE: u32 = 1f32.to_bits();

impl Code {
    /// The bits of a magnitude on a line through the corner.
    fn line(self, steps: u32, code: u32) -> u32 {
        (code << steps) + (self.corner_bits - (self.corner << steps))
    }

    /// The number that a code stands for.
    pub fn decoded(self, code: u8, scale: f32) -> f32 {
        let (code, sign) = match self.signed {
            true => (u32::from(code & 0x7f), u32::from(code & 0x80) << 24),
            false => (u32::from(code), 0),
        };
        let bits = match code {
            0 if sign != 0 => return f32::NAN,
            0 => 0,
            _ if code == self.nan => return f32::NAN,
            _ => self.line(20, code).min(self.line(21, code)),
        };
        f32::from_bits(bits | sign) * scale
    }

    /// Returns the code below or above. 16 bits of noise decide.
    fn encoded(self, x: f32, scale: f32, noise: u32) -> u8 {
        let y = x.abs() * (4.000_002 / scale.max(f32::from_bits(self.least_scale)));
        let (corner_bits, corner) = (self.corner_bits + (2 << 23), self.corner << 20);
        let bits = y.to_bits().min(corner_bits + ((self.nan - self.corner) << 20));
        let height = bits as i32 - (corner_bits - corner) as i32;
        let code = (height + height.max(corner as i32) + (noise << 5) as i32) >> 21;
        if !self.signed {
            return code.max(x.to_bits().min(1) as i32) as u8;
        }
        let least = (y * INVERSE_LEAST + f32::from_bits((noise << 7) | ONE)).to_bits() >> 30;
        let code = code.max(least as i32) as u8;
        if code == 0 { 0 } else { code | ((x.to_bits() >> 24) & 0x80) as u8 }
    }

    /// The scale of a block: its largest finite magnitude.
    pub fn scale(self, block: &[f32]) -> f32 {
        let finite = block.iter().map(|x| magnitude(*x)).filter(|magnitude| *magnitude < 0x7f80_0000);
        match finite.max().unwrap_or(0) {
            0 => 0.0,
            largest => f32::from_bits(largest.max(self.least_scale)),
        }
    }

    /// The scales of the blocks of numbers that are already rounded.
    pub fn scales(self, values: &[f32], row: usize) -> impl Iterator<Item = f32> {
        blocks(values, row).map(move |block| self.scale(block))
    }

    /// Rounds a block's numbers to numbers that codes represent. `noise` returns the noise of an element. Without it, rounds
    /// to the nearest.
    pub fn round(self, block: &mut [f32], noise: impl Fn(usize) -> Option<u32>) {
        let scale = self.scale(block);
        for (i, x) in block.iter_mut().enumerate() {
            *x = self.decoded(self.encoded(*x, scale, noise(i).unwrap_or(NEAREST)), scale);
        }
    }

    /// Returns the codes of numbers that are already rounded, block by block. No block crosses the end of a row of `row`
    /// elements.
    pub fn codes(self, values: &[f32], row: usize) -> Vec<u8> {
        let blocks = blocks(values, row).map(|block| (block, self.scale(block)));
        blocks.flat_map(|(block, scale)| block.iter().map(move |x| self.encoded(*x, scale, NEAREST))).collect()
    }

    /// Decodes codes with the scales of their blocks.
    pub fn values(self, codes: &[u8], scales: impl Iterator<Item = f32>, row: usize) -> Vec<f32> {
        let blocks = blocks(codes, row).zip(scales);
        blocks.flat_map(|(block, scale)| block.iter().map(move |code| self.decoded(*code, scale))).collect()
    }
}

/// The blocks of rows of `row` elements.
fn blocks<T>(values: &[T], row: usize) -> impl Iterator<Item = &[T]> {
    values.chunks(row.max(1)).flat_map(|row| row.chunks(BLOCK as usize))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOTH: [Code; 2] = [SIGNED, UNSIGNED];

    /// Derives all codes independently: counts the levels down in float64.
    #[test]
    fn each_of_the_256_codes_is_its_level() {
        for code in BOTH {
            let mut levels = Vec::new();
            let (mut octave, mut steps) = (1.0, 8);
            let (levels_of, fine) = if code.signed { (127, 11) } else { (254, 24) };
            for _ in 0..levels_of {
                let next = levels.last().map_or(1.0, |last: &f64| last - octave / 2.0 / f64::from(steps));
                levels.push(next);
                if next == octave / 2.0 {
                    octave /= 2.0;
                    steps = if octave <= 2f64.powi(-fine) { 4 } else { 8 };
                }
            }
            for (level, value) in levels.into_iter().enumerate() {
                let bits = levels_of - level;
                assert_eq!(f64::from(code.decoded(bits as u8, 4.0)), 4.0 * value, "{code:?}, code {bits}");
                if code.signed {
                    assert_eq!(f64::from(code.decoded(bits as u8 | 0x80, 4.0)), -4.0 * value, "{code:?}, code -{bits}");
                }
            }
            assert_eq!(code.decoded(0, 4.0).to_bits(), 0, "{code:?}: exactly zero");
            assert!(code.decoded(code.nan as u8, 4.0).is_nan(), "{code:?}");
        }
    }

    #[test]
    fn codes_and_numbers_are_one_to_one() {
        for (code, scale) in BOTH.into_iter().flat_map(|code| [1.0, 3e-5, 1.234_567_9, 7e30].map(|scale| (code, scale)))
        {
            for bits in 0..=255 {
                let x = code.decoded(bits, scale);
                assert_eq!(code.encoded(x, scale, NEAREST), bits, "{code:?} of {scale}");
            }
        }
    }

    /// Between two levels, the nearest is off by at most half of their distance.
    #[test]
    fn the_worst_error_is_6_percent_of_large_and_12_of_small_elements() {
        for code in BOTH {
            let (mut large, mut small): (f64, f64) = (0.0, 0.0);
            let lowest = code.decoded(1, 1.0);
            let mut x = 1.0;
            while x >= lowest {
                let error = (f64::from(code.decoded(code.encoded(x, 1.0, NEAREST), 1.0)) / f64::from(x) - 1.0).abs();
                if x.to_bits() >= code.corner_bits {
                    large = large.max(error)
                } else {
                    small = small.max(error)
                }
                x *= 0.9999;
            }
            assert!((0.058..0.0589).contains(&large) && (0.111..0.1112).contains(&small), "{code:?}: {large}, {small}");
        }
        assert!(SIGNED.decoded(1, 1.0) < 1e-6 && UNSIGNED.decoded(1, 1.0) < 2e-12);
    }

    proptest! {
        #[test]
        fn stochastic_rounding_is_unbiased(x in 1e-8..1_f32, negative: bool) {
            let x = if negative { -x } else { x };
            let rounded = |noise| SIGNED.decoded(SIGNED.encoded(x, 1.0, noise), 1.0);
            let mean = (0..0x1_0000).map(|noise| f64::from(rounded(noise))).sum::<f64>() / 65536.0;
            let spacing = f64::from((x.abs() / 4.0).max(SIGNED.decoded(1, 1.0)));
            prop_assert!((mean - f64::from(x)).abs() < spacing / 1000.0, "{} for {}", mean, x);
        }

        /// A block may mix elements of any magnitude, infinities and NaNs.
        #[test]
        fn blocks_of_any_bits(block in prop::collection::vec(any::<u32>().prop_map(f32::from_bits), 1..300), seed: u32) {
            for code in BOTH {
                for noise in [None, Some(seed)] {
                    let before = block.clone();
                    let noise = |i| noise.map(|seed| crate::num::noise::mixed(seed ^ i as u32) >> 16);
                    let mut after = before.clone();
                    let before_blocks: Vec<&[f32]> = before.chunks(BLOCK as usize).collect();
                    for block in after.chunks_mut(BLOCK as usize) {
                        code.round(block, noise);
                    }
                    for (i, (before, after)) in before.iter().zip(&after).enumerate() {
                        let scale = code.scale(before_blocks[i / BLOCK as usize]);
                        if !before.is_finite() {
                            prop_assert!(after.is_nan());
                        } else {
                            prop_assert!(after.abs() <= scale, "never larger than the largest");
                            prop_assert!(code.signed || (*after > 0.0) == (*before != 0.0), "a second moment stays above zero");
                            prop_assert!(*after == 0.0 || after.is_normal());
                            prop_assert!(!code.signed || *after == 0.0 || after.is_sign_negative() == before.is_sign_negative());
                        }
                    }
                    let len = after.len();
                    let again = code.values(&code.codes(&after, len), code.scales(&after, len), len);
                    let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                    prop_assert_eq!(bits(&again), bits(&after), "codes and scales lose nothing");
                }
            }
        }
    }
}
