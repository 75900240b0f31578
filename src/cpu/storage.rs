//! What is not f32, made f32 before a step and rounded again after it. Twin of the loads and stores in `access.rs`.

use rayon::prelude::*;

use crate::config::precision::{Master, Rounding, StateDtype};
use crate::config::rule::StateKind;
use crate::cpu::moments::Moments;
use crate::cpu::tensor_mut::{TensorMut, Values};
use crate::num::block8::{BLOCK, scales};
use crate::num::half::{from_bf16, from_f16, from_i32, joined, parted, to_bf16, to_f16};
use crate::num::noise::noise;
use crate::num::quad::LANES;
use crate::plan::region::Region;
use crate::plan::storage::Storage;
use crate::state::contents::{StateTensor, TensorState};
use crate::tick::scalars::Scalars;

/// A tensor's values as the step works on them.
pub(crate) struct Floats<'a> {
    pub param: Work<'a>,
    pub grad: Work<'a>,
}

/// The caller's own where they are f32.
pub(crate) enum Work<'a> {
    Theirs(&'a mut [f32]),
    Made(Vec<f32>),
}

impl Work<'_> {
    /// The numbers, where they are not the caller's own.
    pub fn made(self) -> Option<Vec<f32>> {
        match self {
            Self::Theirs(_) => None,
            Self::Made(values) => Some(values),
        }
    }
}

impl std::ops::Deref for Work<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::Theirs(values) => values,
            Self::Made(values) => values,
        }
    }
}

impl std::ops::DerefMut for Work<'_> {
    fn deref_mut(&mut self) -> &mut [f32] {
        match self {
            Self::Theirs(values) => values,
            Self::Made(values) => values,
        }
    }
}

/// Where a part of a tensor is in its region, for the noise: its first element, that of the region's state, and the stream_seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot {
    first: usize,
    element: u32,
    stream_seed: u32,
}

/// The spots of each tensor, in ascending order.
pub(crate) fn spots(regions: &[Region], tensors: usize, seed: u32) -> Vec<Vec<Spot>> {
    let mut all = vec![Vec::new(); tensors];
    for (i, region) in regions.iter().enumerate() {
        for (segment, span) in region.spans_of_segments() {
            let element = span.of_state().start as u32 - LANES as u32 * region.state;
            let first = segment.first as usize;
            all[segment.tensor].push(Spot { first, element, stream_seed: region.stream_seed(i, seed) });
        }
    }
    all.iter_mut().for_each(|spots| spots.sort_by_key(|spot| spot.first));
    all
}

/// The numbers in f32. With a master, the params are the master's.
pub(crate) fn load<'a>(storage: &Storage, slot: &'a mut TensorMut, master: &[f32], grad_scale: f32) -> Floats<'a> {
    let param = match &mut slot.param {
        Values::F32(values) => Work::Theirs(values),
        halves => {
            let plain = halves.to_f32(1.0);
            Work::Made(match (storage.master, &*halves) {
                (Master::None, _) => plain,
                (Master::F32, _) => {
                    let known = |i: usize| halves.holds(i, master[i]);
                    (0..plain.len()).map(|i| if known(i) { master[i] } else { plain[i] }).collect()
                }
                (Master::Remainder, Values::Bf16(halves)) => {
                    let whole = |(half, x): (&::half::bf16, &f32)| joined(half.to_bits(), parted(*x).1);
                    halves.iter().zip(master).map(whole).collect()
                }
                (Master::Remainder, _) => plain,
            })
        }
    };
    let grad = match &mut slot.grad {
        Values::F32(values) => Work::Theirs(values),
        other => Work::Made(other.to_f32(grad_scale)),
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

    /// Whether the element is that number, rounded to nearest.
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

/// After the step: the params back to their format, the state to numbers that theirs has.
pub(crate) fn store(
    storage: &Storage,
    slot: &mut TensorMut,
    param: Option<Vec<f32>>,
    zeroed: bool,
    moments: &mut Moments,
    spots: &[Spot],
    s: &Scalars,
) {
    if zeroed && !matches!(slot.grad, Values::F32(_)) {
        slot.grad.zero();
    }
    if s.do_step == 0 {
        return;
    }
    let chance = |rounding, which: u32, i: usize| {
        (rounding == Rounding::Stochastic).then(|| {
            let spot = spots[spots.partition_point(|spot| spot.first <= i) - 1];
            noise(spot.element + (i - spot.first) as u32, which, spot.stream_seed, s.t)
        })
    };
    if let Some(param) = param {
        let round = |x: f32, i: usize| match (storage.master, &slot.param) {
            (Master::Remainder, _) => parted(x).0,
            (_, Values::F16(_)) => to_f16(x, chance(storage.rounding, 0, i)),
            _ => to_bf16(x, chance(storage.rounding, 0, i)),
        };
        let bits: Vec<u16> = param.par_iter().enumerate().map(|(i, x)| round(*x, i)).collect();
        match &mut slot.param {
            Values::F16(values) => values.iter_mut().zip(bits).for_each(|(x, bits)| *x = ::half::f16::from_bits(bits)),
            Values::Bf16(values) => {
                values.iter_mut().zip(bits).for_each(|(x, bits)| *x = ::half::bf16::from_bits(bits))
            }
            Values::F32(_) | Values::I32(..) => {}
        }
        if storage.master != Master::None {
            moments.master = param;
        }
    }
    for (which, kind) in (1..).zip(storage.rule.state_kinds()) {
        let (values, chance) = (moments.of_mut(kind), |i| chance(storage.state_rounding, which, i));
        match storage.state {
            StateDtype::F32 => {}
            StateDtype::Bf16 => {
                values.par_iter_mut().enumerate().for_each(|(i, x)| *x = from_bf16(to_bf16(*x, chance(i))));
            }
            StateDtype::Block8 => {
                let blocks = values.par_chunks_mut(BLOCK as usize).enumerate();
                blocks.for_each(|(i, block)| kind.code().round(block, |at| chance(i * BLOCK as usize + at)));
            }
        }
    }
}

/// The bytes of a memory in its format.
pub(crate) fn bytes(storage: &Storage, kind: StateKind, values: &[f32]) -> Vec<u8> {
    match (kind, storage.state) {
        (StateKind::Remainder, _) => values.iter().flat_map(|x| parted(*x).1.to_le_bytes()).collect(),
        (StateKind::MScale | StateKind::VScale | StateKind::VMaxScale, _) => {
            scales(values).flat_map(f32::to_le_bytes).collect()
        }
        (StateKind::Master, _) | (_, StateDtype::F32) => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
        (_, StateDtype::Block8) => kind.code().codes(values),
        (_, StateDtype::Bf16) => values.iter().flat_map(|x| to_bf16(*x, None).to_le_bytes()).collect(),
    }
}

/// The numbers that make the bytes of one of the tensor's state.
pub(crate) fn values(tensor: &TensorState, kind: &StateTensor) -> Vec<f32> {
    match kind.kind {
        // Any number with these lower bits.
        StateKind::Remainder => kind.halves().map(|half| f32::from_bits(half.into())).collect(),
        which => tensor.values(which),
    }
}
