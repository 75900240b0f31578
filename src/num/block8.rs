//! 8-bit floats in blocks that share a scale. Twin of `block8.wgsl`, element by element. The CPU stores the decoded
//! values, from which codes and scales follow without loss.

use crate::num::quad::magnitude;

/// The number of elements that share a scale in a state of
/// [`StateDtype::Block8`](crate::precision::StateDtype::Block8). Blocks are counted from the first element of a tensor.
pub const BLOCK: u64 = 256;

/// What a code stands for: the number of levels, the octaves with 3 bits of mantissa, whether the upper bit is the
/// sign, and the code of NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code {
    /// The number of magnitudes above zero.
    levels: u32,
    /// The number of octaves with 3 bits of mantissa. The octaves below have 2.
    fine: u32,
    /// The upper bit is the sign.
    signed: bool,
    /// The code of non-finite numbers.
    nan: u8,
}

/// The format of first moments.
pub(crate) const SIGNED: Code = Code { levels: 127, fine: 11, signed: true, nan: 0x80 };

/// The format of second moments.
pub(crate) const UNSIGNED: Code = Code { levels: 254, fine: 24, signed: false, nan: 0xff };

pub(crate) const ONE: u32 = 1f32.to_bits();

/// Whether a magnitude is finite and at least 2^-125. Some devices might flush the level of a smaller one to zero.
pub(crate) fn is_held(magnitude: u32) -> bool {
    magnitude.wrapping_sub(0x0100_0000) < 0x7e80_0000
}

impl Code {
    /// The bits of the lowest level with 3 bits of mantissa, 2^-fine.
    fn edge(self) -> u32 {
        ONE - (self.fine << 23)
    }

    /// The bits of the lowest level.
    fn lowest(self) -> u32 {
        self.edge() - ((self.levels - 1 - 8 * self.fine) << 21)
    }

    /// The number that a code stands for.
    pub fn decoded(self, code: u8, scale: f32) -> f32 {
        let (magnitude, sign) = match self.signed {
            true => (u32::from(code & 0x7f), u32::from(code & 0x80) << 24),
            false => (u32::from(code), 0),
        };
        if code == self.nan {
            return f32::NAN;
        }
        if magnitude == 0 {
            return 0.0;
        }
        let level = self.levels - magnitude;
        let bits = match level.checked_sub(8 * self.fine) {
            None => ONE - (level << 20),
            Some(below) => self.edge() - (below << 21),
        };
        f32::from_bits((f32::from_bits(bits) * scale).to_bits() | sign)
    }

    /// Returns the nearest code. With noise, returns the code below or above, by stochastic rounding.
    fn encoded(self, x: f32, scale: f32, noise: Option<u32>) -> u8 {
        let magnitude = magnitude(x);
        if magnitude >= 0x7f80_0000 {
            return self.nan;
        }
        if !is_held(magnitude) {
            return 0;
        }
        let y = f32::from_bits(magnitude) / scale;
        let bits = y.to_bits().min(ONE);
        let code = if bits < self.lowest() {
            let stays = match noise {
                None => bits >= self.lowest() - 0x0080_0000,
                Some(noise) => y > (noise >> 8) as f32 * 5.960_464_5e-8 * f32::from_bits(self.lowest()),
            };
            u32::from(stays || !self.signed)
        } else if bits >= self.edge() {
            let up = noise.map_or(0x8_0000, |noise| noise & 0xf_ffff);
            self.levels - ((ONE >> 20) - ((bits + up) >> 20))
        } else {
            let up = noise.map_or(0x10_0000, |noise| noise & 0x1f_ffff);
            self.levels - (8 * self.fine + (self.edge() >> 21) - ((bits + up) >> 21))
        };
        let sign = if self.signed && code != 0 { (x.to_bits() >> 24) & 0x80 } else { 0 };
        (code | sign) as u8
    }

    /// Rounds a block's numbers to numbers that codes represent. `noise` returns the noise of an element.
    pub fn round(self, block: &mut [f32], noise: impl Fn(usize) -> Option<u32>) {
        let scale = scale(block);
        for (i, x) in block.iter_mut().enumerate() {
            *x = self.decoded(self.encoded(*x, scale, noise(i)), scale);
        }
    }

    /// Returns the codes of numbers that are already rounded, block by block. No block crosses the end of a row of `row`
    /// elements.
    pub fn codes(self, values: &[f32], row: usize) -> Vec<u8> {
        let blocks = blocks(values, row).map(|block| (block, scale(block)));
        blocks.flat_map(|(block, scale)| block.iter().map(move |x| self.encoded(*x, scale, None))).collect()
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

/// The scale of a block: its largest magnitude for which [`is_held`] is true, or 0.
pub(crate) fn scale(block: &[f32]) -> f32 {
    let held = block.iter().map(|x| magnitude(*x)).filter(|magnitude| is_held(*magnitude));
    f32::from_bits(held.max().unwrap_or(0))
}

/// The scales of the blocks of numbers that are already rounded.
pub(crate) fn scales(values: &[f32], row: usize) -> impl Iterator<Item = f32> {
    blocks(values, row).map(scale)
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
            for _ in 0..code.levels {
                let next = levels.last().map_or(1.0, |last: &f64| last - octave / 2.0 / f64::from(steps));
                levels.push(next);
                if next == octave / 2.0 {
                    octave /= 2.0;
                    steps = if octave <= 2f64.powi(-(code.fine as i32)) { 4 } else { 8 };
                }
            }
            for (level, value) in levels.into_iter().enumerate() {
                let bits = code.levels as usize - level;
                assert_eq!(f64::from(code.decoded(bits as u8, 4.0)), 4.0 * value, "{code:?}, code {bits}");
                if code.signed {
                    assert_eq!(f64::from(code.decoded(bits as u8 | 0x80, 4.0)), -4.0 * value, "{code:?}, code -{bits}");
                }
            }
            assert_eq!(code.decoded(0, 4.0).to_bits(), 0, "{code:?}: exactly zero");
            assert!(code.decoded(code.nan, 4.0).is_nan(), "{code:?}");
        }
    }

    #[test]
    fn codes_and_numbers_are_one_to_one() {
        for (code, scale) in BOTH.into_iter().flat_map(|code| [1.0, 3e-5, 1.234_567_9, 7e30].map(|scale| (code, scale)))
        {
            for bits in 0..=255 {
                let x = code.decoded(bits, scale);
                assert_eq!(code.encoded(x, scale, None), bits, "{code:?} of {scale}");
            }
        }
    }

    /// Between two levels, the nearest is off by at most half of their distance.
    #[test]
    fn the_worst_error_is_6_percent_of_large_and_12_of_small_elements() {
        for code in BOTH {
            let (mut large, mut small): (f64, f64) = (0.0, 0.0);
            let lowest = f32::from_bits(code.lowest());
            let mut x = 1.0;
            while x >= lowest {
                let error = (f64::from(code.decoded(code.encoded(x, 1.0, None), 1.0)) / f64::from(x) - 1.0).abs();
                if x.to_bits() >= code.edge() {
                    large = large.max(error)
                } else {
                    small = small.max(error)
                }
                x *= 0.9999;
            }
            assert!((0.058..0.0589).contains(&large) && (0.111..0.1112).contains(&small), "{code:?}: {large}, {small}");
        }
        assert!(f32::from_bits(SIGNED.lowest()) < 1e-6 && f32::from_bits(UNSIGNED.lowest()) < 2e-12);
    }

    proptest! {
        #[test]
        fn stochastic_rounding_is_unbiased(x in 1e-8..1_f32, negative: bool) {
            let x = if negative { -x } else { x };
            // The uppermost 13 bits of the noise that matter at this magnitude take every value once.
            let bits = x.abs().to_bits();
            let shift = if bits >= SIGNED.edge() { 7 } else if bits >= SIGNED.lowest() { 8 } else { 19 };
            let rounded = |i: u32| SIGNED.decoded(SIGNED.encoded(x, 1.0, Some(i << shift)), 1.0);
            let mean = (0..8192).map(|i| f64::from(rounded(i))).sum::<f64>() / 8192.0;
            let spacing = f64::from(x.abs() / 4.0).max(f64::from(f32::from_bits(SIGNED.lowest())));
            prop_assert!((mean - f64::from(x)).abs() < spacing / 1000.0, "{} for {}", mean, x);
        }

        /// A block may mix elements of any magnitude, infinities and NaNs.
        #[test]
        fn blocks_of_any_bits(block in prop::collection::vec(any::<u32>().prop_map(f32::from_bits), 1..300), seed: u32) {
            for code in BOTH {
                for noise in [None, Some(seed)] {
                    let before = block.clone();
                    let noise = |i| noise.map(|seed| crate::num::noise::mixed(seed ^ i as u32));
                    let mut after = before.clone();
                    let before_blocks: Vec<&[f32]> = before.chunks(BLOCK as usize).collect();
                    for block in after.chunks_mut(BLOCK as usize) {
                        code.round(block, noise);
                    }
                    for (i, (before, after)) in before.iter().zip(&after).enumerate() {
                        let scale = scale(before_blocks[i / BLOCK as usize]);
                        if !before.is_finite() {
                            prop_assert!(after.is_nan());
                        } else if !is_held(magnitude(*before)) {
                            prop_assert_eq!(after.to_bits(), 0);
                        } else {
                            prop_assert!(after.abs() <= scale, "never larger than the largest");
                            prop_assert!(code.signed || *after > 0.0, "a second moment stays above zero");
                            prop_assert!(*after == 0.0 || after.is_normal());
                            prop_assert!(!code.signed || *after == 0.0 || after.is_sign_negative() == before.is_sign_negative());
                        }
                    }
                    let len = after.len();
                    let again = code.values(&code.codes(&after, len), scales(&after, len), len);
                    let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                    prop_assert_eq!(bits(&again), bits(&after), "codes and scales lose nothing");
                }
            }
        }
    }
}
