//! Numbers of any dtype. The image of a buffer on the host consists of 32-bit words, stored as `f32`. This module
//! accesses the elements of other dtypes in them.

use half::{bf16, f16};
use wgpu_adam::{Dtype, cpu};

use super::normal;

/// Numbers of one dtype.
#[derive(Clone, Debug)]
pub enum Numbers {
    F32(Vec<f32>),
    F16(Vec<f16>),
    Bf16(Vec<bf16>),
    I32(Vec<i32>, f32),
}

impl Numbers {
    /// The numbers nearest to the values. Integers are rounded toward zero, in units of `scale`.
    pub fn new(dtype: Dtype, scale: f32, values: &[f32]) -> Self {
        match dtype {
            Dtype::F16 => Self::F16(values.iter().map(|x| f16::from_f32(*x)).collect()),
            Dtype::Bf16 => Self::Bf16(values.iter().map(|x| bf16::from_f32(*x)).collect()),
            Dtype::I32 => Self::I32(values.iter().map(|x| (x / scale) as i32).collect(), scale),
            _ => Self::F32(values.to_vec()),
        }
    }

    /// Reads `len` elements from an image. `first` counts elements of this dtype.
    pub fn of(words: &[f32], dtype: Dtype, scale: f32, first: usize, len: usize) -> Self {
        fn part<T: bytemuck::Pod>(words: &[f32], first: usize, len: usize) -> Vec<T> {
            bytemuck::cast_slice::<_, T>(words)[first..first + len].to_vec()
        }
        match dtype {
            Dtype::F16 => Self::F16(part(words, first, len)),
            Dtype::Bf16 => Self::Bf16(part(words, first, len)),
            Dtype::I32 => Self::I32(part(words, first, len), scale),
            _ => Self::F32(part(words, first, len)),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::F32(x) => bytemuck::cast_slice(x),
            Self::F16(x) => bytemuck::cast_slice(x),
            Self::Bf16(x) => bytemuck::cast_slice(x),
            Self::I32(x, _) => bytemuck::cast_slice(x),
        }
    }

    /// Writes the numbers to an image. `first` counts elements of their dtype.
    pub fn put(&self, words: &mut [f32], first: usize) {
        let (bytes, at) = (self.bytes(), first * if matches!(self, Self::F16(_) | Self::Bf16(_)) { 2 } else { 4 });
        bytemuck::cast_slice_mut(words)[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// An image that contains only these numbers.
    pub fn words(&self) -> Vec<f32> {
        let mut words = vec![0.0; self.bytes().len().div_ceil(4)];
        self.put(&mut words, 0);
        words
    }

    pub fn values(&self) -> Vec<f32> {
        match self {
            Self::F32(x) => x.clone(),
            Self::F16(x) => x.iter().map(|x| x.to_f32()).collect(),
            Self::Bf16(x) => x.iter().map(|x| x.to_f32()).collect(),
            Self::I32(x, scale) => x.iter().map(|x| *x as f32 * scale).collect(),
        }
    }

    pub fn slot(&mut self) -> cpu::Values<'_> {
        match self {
            Self::F32(x) => x.into(),
            Self::F16(x) => x.into(),
            Self::Bf16(x) => x.into(),
            Self::I32(x, _) => x.into(),
        }
    }
}

/// Returns `len` approximately normal numbers.
pub fn normals(seed: u64, stream: u64, len: usize) -> Vec<f32> {
    (0..len).map(|e| normal(seed, stream, e as u64)).collect()
}
