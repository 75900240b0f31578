//! Steps the active rows of a tensor of rows. Twin of `update_rows.wgsl` and the files of `shaders/rows/`.

use std::ops::Range;

use crate::config::dtype::Dtype;
use crate::config::precision::{Master, Rounding, StateDtype};
use crate::config::rows::{ActiveKind, RowSteps, Rows, SecondMoment};
use crate::config::rule::Rule;
use crate::cpu::gradient::{decay_of, gradient, limited, within_bf16};
use crate::cpu::moments::Moments;
use crate::cpu::rules::{State, of};
use crate::cpu::storage::Floats;
use crate::cpu::tensor_mut::{RowInputs, TensorMut};
use crate::num::block8::BLOCK;
use crate::num::fixed::{complement, power};
use crate::num::half::{from_bf16, to_bf16};
use crate::num::noise::noise;
use crate::num::quad::LANES;
use crate::plan::storage::Storage;
use crate::tick::scalars::Scalars;
use crate::tick::settings::Settings;

/// A row that is active, and the row of its gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Active {
    pub row: usize,
    pub grad: usize,
}

/// The rows of a tensor for one step: all rows in order, or the list. Those that are not active are `None`.
pub(crate) fn candidates(rows: &Rows<()>, inputs: &RowInputs, count: usize, grad_len: usize) -> Vec<Option<Active>> {
    let kind = rows.kind();
    let grad_rows = grad_len / rows.width as usize;
    let with_gradient = |row: usize| {
        let grad = if kind.compact { inputs.inverse[row] as usize } else { row };
        (grad < grad_rows).then_some(Active { row, grad })
    };
    if kind.active == ActiveKind::List {
        let in_tensor = |row: &u32| Some(*row as usize).filter(|row| *row < count).and_then(with_gradient);
        return inputs.active.iter().map(in_tensor).collect();
    }
    let is_active = |row: usize| match kind.active {
        ActiveKind::Mask => inputs.active[row] != 0,
        ActiveKind::Bits => inputs.active[row / 32] >> (row % 32) & 1 == 1,
        ActiveKind::First => row < inputs.active[0] as usize,
        ActiveKind::All | ActiveKind::List => true,
    };
    (0..count).map(|row| Some(row).filter(|row| is_active(*row)).and_then(with_gradient)).collect()
}

/// What a step is given for the rows of each tensor.
pub(crate) struct RowsGiven<'a> {
    pub candidates: Vec<Vec<Option<Active>>>,
    pub inputs: Vec<RowInputs<'a>>,
}

/// A tensor of rows in a step.
pub(crate) struct Step<'a> {
    pub rule: Rule,
    pub settings: &'a Settings,
    pub s: &'a Scalars,
    pub storage: &'a Storage,
    pub rows: &'a Rows<()>,
    pub stream_seed: u32,
    pub candidates: &'a [Option<Active>],
    pub inputs: RowInputs<'a>,
    pub zero_grad: bool,
}

impl Step<'_> {
    /// The scalars of a row that has taken `t` steps, including this one.
    pub fn scalars(&self, t: u32) -> Scalars {
        let mut s = *self.s;
        if self.rows.steps == RowSteps::PerRow && self.settings.corrected_by_row() {
            let correction1 = complement(power(self.settings.beta1, t.into()));
            let correction2 = complement(power(self.settings.beta2, t.into()));
            s.m_coef = s.lr / correction1;
            s.v_coef = 1.0 / correction2.sqrt();
            s.eps_root = self.settings.eps_root * if self.settings.eps_in_v != 0 { 1.0 } else { correction2 };
            s.snr = correction2.sqrt() / correction1;
        }
        s
    }

    /// The step count of a row after this step.
    pub fn t_of(&self, row: usize, moments: &Moments) -> u32 {
        moments.row_steps.get(row).map_or(self.s.t, |steps| steps.to_bits().saturating_add(1))
    }

    /// The factor of the learning rate of an element.
    pub fn rate(&self, row: usize, column: usize) -> f32 {
        self.rows.column_lr(column) * self.rows.row_lr.map_or(1.0, |()| self.inputs.row_lr[row])
    }

    /// The second moment of a row before the step, and the mean or the sum of its squares: quad by quad, and then over the
    /// lanes. None if each element has its own.
    pub fn second_moment(&self, active: Active, grad: &[f32], param: &[f32], moments: &Moments) -> Option<(f32, f32)> {
        if self.rows.second_moment == SecondMoment::Elementwise {
            return None;
        }
        let (grad, param) = (&grad[self.elements(active.grad)], &param[self.elements(active.row)]);
        let mut total = [0.0; LANES as usize];
        for (grad, param) in grad.chunks(LANES as usize).zip(param.chunks(LANES as usize)) {
            for ((total, grad), param) in total.iter_mut().zip(grad).zip(param) {
                let g = gradient::<true>(self.s, *grad, *param);
                *total += g * g;
            }
        }
        let [x, y, z, w] = total;
        Some((moments.v[active.row], self.rows.mean() * within_bf16((x + y) + (z + w))))
    }

    /// Whether the step zeroes the gradients.
    fn zeroes(&self) -> bool {
        self.zero_grad && self.s.keep_grad == 0
    }

    /// The elements of a row.
    fn elements(&self, row: usize) -> Range<usize> {
        let width = self.rows.width as usize;
        row * width..(row + 1) * width
    }

    /// Steps the active rows.
    pub fn update(&self, floats: &mut Floats, moments: &mut Moments) {
        let rule = of(self.rule);
        for active in self.candidates.iter().flatten().copied() {
            let Active { row, grad } = active;
            if self.s.do_step != 0 {
                let t = self.t_of(row, moments);
                let s = self.scalars(t);
                let of_row = self.second_moment(active, &floats.grad, &floats.param, moments);
                moments.row_steps.get_mut(row).into_iter().for_each(|steps| *steps = f32::from_bits(t));
                for (j, (i, grad)) in self.elements(row).zip(self.elements(grad)).enumerate() {
                    let param = &mut floats.param[i];
                    let g = gradient::<true>(self.s, floats.grad[grad], *param);
                    let at = |moment: &[f32]| moment.get(i).copied().unwrap_or(0.0);
                    let (v, square) = of_row.unwrap_or_else(|| (at(&moments.v), g * g));
                    let mut state = State { m: at(&moments.m), v, v_max: at(&moments.v_max), square, param: *param };
                    let step = rule(&s, &mut state, g);
                    let rate = self.rate(row, j);
                    *param = limited::<true>(&s, *param - rate * (decay_of::<true>(&s, *param, step) + step));
                    let put =
                        |moment: &mut [f32], at: usize, x: f32| moment.get_mut(at).into_iter().for_each(|m| *m = x);
                    put(&mut moments.m, i, state.m);
                    put(&mut moments.v_max, i, state.v_max);
                    put(&mut moments.v, if of_row.is_some() { row } else { i }, state.v);
                }
            }
            if self.zeroes() {
                floats.grad[self.elements(grad)].fill(0.0);
            }
        }
    }

    /// Stores the values of the active rows after a step, as `storage::store` does those of a whole tensor.
    pub fn store(&self, tensor: &mut TensorMut, param: Option<Vec<f32>>, moments: &mut Moments) {
        let storage = self.storage;
        let noise_of = |rounding, stream: u32, i: usize| {
            (rounding == Rounding::Stochastic).then(|| noise(i as u32, stream, self.stream_seed, self.s.t))
        };
        for Active { row, grad } in self.candidates.iter().flatten().copied() {
            if self.zeroes() && storage.grad != Dtype::F32 {
                self.elements(grad).for_each(|i| tensor.grad.put_bits(i, 0));
            }
            if self.s.do_step == 0 {
                continue;
            }
            let elements = self.elements(row);
            for (param, i) in param.iter().flat_map(|param| elements.clone().map(move |i| (param[i], i))) {
                tensor.param.put(i, param, storage, noise_of(storage.rounding, 0, i));
                if storage.master != Master::None {
                    // Of a remainder, only the lower 16 bits matter.
                    moments.master[i] = param;
                }
            }
            for (stream, kind) in (1..).zip(storage.rule.state_kinds()) {
                let state_noise = |i: usize| noise_of(storage.state_rounding, stream, i);
                if storage.is_per_row(kind) {
                    continue;
                }
                let values = &mut moments.of_mut(kind)[elements.clone()];
                match storage.state {
                    StateDtype::F32 => {}
                    StateDtype::Bf16 => {
                        for (i, x) in elements.clone().zip(values) {
                            *x = from_bf16(to_bf16(*x, state_noise(i)));
                        }
                    }
                    StateDtype::Block8 => {
                        for (block, first) in
                            values.chunks_mut(BLOCK as usize).zip(elements.clone().step_by(BLOCK as usize))
                        {
                            kind.code().round(block, |at| state_noise(first + at));
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_of_each_kind() {
        use crate::config::rows;
        let of = |active, inverse: Option<&[u32]>, inputs: &[u32], grad_len| {
            let grad_rows =
                if inverse.is_some() { rows::GradRows::Compact { inverse: () } } else { rows::GradRows::Dense };
            let asked = Rows { active, grad_rows, ..Rows::new(2) };
            let inputs = RowInputs { active: inputs, inverse: inverse.unwrap_or(&[]), ..RowInputs::default() };
            let found = candidates(&asked, &inputs, 4, grad_len);
            found.into_iter().map(|active| active.map(|active| (active.row, active.grad))).collect::<Vec<_>>()
        };
        assert_eq!(of(rows::Active::Mask(()), None, &[0, 7, 0, 1], 8), [None, Some((1, 1)), None, Some((3, 3))]);
        assert_eq!(of(rows::Active::Bits(()), None, &[0b101], 8), [Some((0, 0)), None, Some((2, 2)), None]);
        let list = || rows::Active::List { indices: (), count: () };
        assert_eq!(of(list(), None, &[3, 4, 0], 8), [Some((3, 3)), None, Some((0, 0))]);
        assert_eq!(of(rows::Active::All, Some(&[1, u32::MAX, 0, 2]), &[], 4), [Some((0, 1)), None, Some((2, 0)), None]);
    }
}
