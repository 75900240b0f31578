//! Converts whole tensors to f32 before a step, and rounds them back after it. Twin of the loads and stores in
//! `shaders/access/`.

use rayon::prelude::*;

use crate::config::dtype::Dtype;
use crate::config::precision::{Master, Rounding, StateDtype};
use crate::config::rule::StateKind;
use crate::cpu::moments::Moments;
use crate::cpu::tensor_mut::{TensorMut, Values};
use crate::num::block8::BLOCK;
use crate::num::half::{from_bf16, from_f16, from_i32, joined, split, to_bf16, to_f16};
use crate::num::noise::noise;
use crate::plan::storage::Storage;
use crate::state::contents::{StateTensor, TensorState};
use crate::tick::scalars::Scalars;

/// A tensor's values during a step.
pub(crate) struct Floats<'a> {
    pub param: Work<'a>,
    pub grad: Work<'a>,
}

/// Values in f32.
pub(crate) enum Work<'a> {
    /// The caller's values, which are f32.
    Borrowed(&'a mut [f32]),
    /// Values that were converted to f32.
    Owned(Vec<f32>),
}

impl Work<'_> {
    /// The converted values, or `None` if they are the caller's.
    pub fn owned(self) -> Option<Vec<f32>> {
        match self {
            Self::Borrowed(_) => None,
            Self::Owned(values) => Some(values),
        }
    }
}

impl std::ops::Deref for Work<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::Borrowed(values) => values,
            Self::Owned(values) => values,
        }
    }
}

impl std::ops::DerefMut for Work<'_> {
    fn deref_mut(&mut self) -> &mut [f32] {
        match self {
            Self::Borrowed(values) => values,
            Self::Owned(values) => values,
        }
    }
}

/// Converts a tensor's values to f32. With a master, the params are those of the master.
pub(crate) fn load<'a>(storage: &Storage, tensor: &'a mut TensorMut, master: &[f32], grad_scale: f32) -> Floats<'a> {
    let param = match &mut tensor.param {
        Values::F32(values) => Work::Borrowed(values),
        halves => {
            let plain = halves.to_f32(1.0);
            Work::Owned(match (storage.master, &*halves) {
                (Master::None, _) => plain,
                (Master::F32, _) => {
                    let unchanged = |i: usize| halves.holds(i, master[i]);
                    (0..plain.len()).map(|i| if unchanged(i) { master[i] } else { plain[i] }).collect()
                }
                (Master::Remainder, Values::Bf16(halves)) => {
                    let exact = |(half, x): (&::half::bf16, &f32)| joined(half.to_bits(), split(*x).1);
                    halves.iter().zip(master).map(exact).collect()
                }
                (Master::Remainder, _) => plain,
            })
        }
    };
    let grad = match &mut tensor.grad {
        Values::F32(values) => Work::Borrowed(values),
        other => Work::Owned(other.to_f32(grad_scale)),
    };
    Floats { param, grad }
}

impl Values<'_> {
    fn to_f32(&self, scale: f32) -> Vec<f32> {
        match self {
            Self::F32(values) => values.to_vec(),
            Self::F16(values) => values.iter().map(|x| from_f16(x.to_bits())).collect(),
            Self::Bf16(values) => values.iter().map(|x| from_bf16(x.to_bits())).collect(),
            Self::I32(values) => values.iter().map(|x| from_i32(*x, scale)).collect(),
        }
    }

    /// Stores a param, rounded as its storage says.
    pub(crate) fn put(&mut self, i: usize, x: f32, storage: &Storage, noise: Option<u32>) {
        let bits = rounded(x, storage, noise);
        self.put_bits(i, bits);
    }

    /// Stores the bits of an element, if it has 16, or of an integer.
    pub(crate) fn put_bits(&mut self, i: usize, bits: u16) {
        match self {
            Self::F16(values) => values[i] = ::half::f16::from_bits(bits),
            Self::Bf16(values) => values[i] = ::half::bf16::from_bits(bits),
            Self::I32(values) => values[i] = bits.into(),
            Self::F32(_) => {}
        }
    }

    /// Whether element `i` is `x` rounded to nearest.
    fn holds(&self, i: usize, x: f32) -> bool {
        match self {
            Self::F16(values) => values[i].to_bits() == to_f16(x, None),
            Self::Bf16(values) => values[i].to_bits() == to_bf16(x, None),
            Self::F32(_) | Self::I32(..) => false,
        }
    }

    fn zero(&mut self) {
        match self {
            Self::F32(values) => values.fill(0.0),
            Self::F16(values) => values.fill(::half::f16::ZERO),
            Self::Bf16(values) => values.fill(::half::bf16::ZERO),
            Self::I32(values) => values.fill(0),
        }
    }
}

/// The bits of a 16-bit param.
fn rounded(x: f32, storage: &Storage, noise: Option<u32>) -> u16 {
    match (storage.master, storage.param) {
        (Master::Remainder, _) => split(x).0,
        (_, Dtype::F16) => to_f16(x, noise),
        _ => to_bf16(x, noise),
    }
}

/// Stores the params, rounded to their dtype.
pub(crate) fn store_param(
    storage: &Storage,
    tensor: &mut TensorMut,
    param: Option<Vec<f32>>,
    moments: &mut Moments,
    noise_of: impl Fn(usize) -> Option<u32> + Sync,
) {
    let Some(param) = param else { return };
    let round = |(i, x): (usize, &f32)| rounded(*x, storage, noise_of(i));
    let bits: Vec<u16> = param.par_iter().enumerate().map(round).collect();
    match &mut tensor.param {
        Values::F16(values) => values.iter_mut().zip(bits).for_each(|(x, bits)| *x = ::half::f16::from_bits(bits)),
        Values::Bf16(values) => values.iter_mut().zip(bits).for_each(|(x, bits)| *x = ::half::bf16::from_bits(bits)),
        Values::F32(_) | Values::I32(..) => {}
    }
    if storage.master != Master::None {
        moments.master = param;
    }
}

/// Stores the values after a step: rounds the params to their dtype, and the state to numbers that its dtype has.
pub(crate) fn store(
    storage: &Storage,
    tensor: &mut TensorMut,
    param: Option<Vec<f32>>,
    zeroed: bool,
    moments: &mut Moments,
    stream_seed: u32,
    s: &Scalars,
) {
    if zeroed && !matches!(tensor.grad, Values::F32(_)) {
        tensor.grad.zero();
    }
    if s.do_step == 0 {
        return;
    }
    let noise_of = |rounding, stream: u32, i: usize| {
        (rounding == Rounding::Stochastic).then(|| noise(i as u32, stream, stream_seed, s.t))
    };
    store_param(storage, tensor, param, moments, |i| noise_of(storage.rounding, 0, i));
    for (stream, kind) in (1..).zip(storage.rule.state_kinds()) {
        let values = moments.of_mut(kind);
        let state_noise = |i| noise_of(storage.state_rounding, stream, i);
        match storage.state {
            StateDtype::F32 => {}
            StateDtype::Bf16 => {
                values.par_iter_mut().enumerate().for_each(|(i, x)| *x = from_bf16(to_bf16(*x, state_noise(i))));
            }
            StateDtype::Block8 => {
                let blocks = values.par_chunks_mut(BLOCK as usize).enumerate();
                blocks.for_each(|(i, block)| kind.code().round(block, |at| state_noise(i * BLOCK as usize + at)));
            }
        }
    }
}

/// The numbers from which [`StateTensor::new`] makes the state tensor.
pub(crate) fn values(tensor: &TensorState, state_tensor: &StateTensor) -> Vec<f32> {
    match state_tensor.kind {
        StateKind::RowSteps => tensor.row_steps().into_iter().map(f32::from_bits).collect(),
        // Only the lower 16 bits matter.
        StateKind::Remainder => state_tensor.halves().map(|half| f32::from_bits(half.into())).collect(),
        kind => tensor.values(kind),
    }
}
