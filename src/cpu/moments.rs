//! The state of one tensor on the CPU.

use crate::config::rule::StateKind;

/// The state of one tensor as f32. State tensors that it does not have are empty.
#[derive(Clone, Debug)]
pub(crate) struct Moments {
    pub m: Vec<f32>,
    pub v: Vec<f32>,
    /// Or the average of the gradient: no rule has both.
    pub v_max: Vec<f32>,
    /// The f32 master of a 16-bit param. For a remainder, only the lower 16 bits matter.
    pub master: Vec<f32>,
    /// The bits are the u32 counts of the rows.
    pub row_steps: Vec<f32>,
}

/// `count` numbers of a state tensor, all `initial`. A large state tensor has spare memory behind it, a different amount for
/// each kind. Allocators place large arrays one after the other, and some processors read and write large arrays at equal
/// distances at only two thirds of the speed. See `benches/NOTES.md`.
pub(crate) fn numbers(kind: StateKind, count: usize, initial: f32) -> Vec<f32> {
    let spare = if count < 1 << 20 { 0 } else { (1 + kind as usize) << 14 };
    let mut numbers = vec![initial; count + spare];
    numbers.truncate(count);
    numbers
}

impl Moments {
    /// The numbers of a state tensor. For scales, the numbers that they scale.
    pub fn of(&self, kind: StateKind) -> &Vec<f32> {
        match kind {
            StateKind::M | StateKind::MScale => &self.m,
            StateKind::V | StateKind::VScale => &self.v,
            StateKind::VMax | StateKind::VMaxScale | StateKind::GradAvg | StateKind::GradAvgScale => &self.v_max,
            StateKind::Master | StateKind::Remainder => &self.master,
            StateKind::RowSteps => &self.row_steps,
        }
    }

    /// Takes over the state of a tensor, or of as many of its rows as there are.
    pub fn take_over(&mut self, old: &mut Self) {
        let Self { m, v, v_max, master, row_steps } = self;
        let old = [&mut old.m, &mut old.v, &mut old.v_max, &mut old.master, &mut old.row_steps];
        for (new, old) in [m, v, v_max, master, row_steps].into_iter().zip(old) {
            if new.len() == old.len() {
                std::mem::swap(new, old);
            } else {
                new.iter_mut().zip(old).for_each(|(new, old)| *new = *old);
            }
        }
    }

    pub fn of_mut(&mut self, kind: StateKind) -> &mut Vec<f32> {
        match kind {
            StateKind::M | StateKind::MScale => &mut self.m,
            StateKind::V | StateKind::VScale => &mut self.v,
            StateKind::VMax | StateKind::VMaxScale | StateKind::GradAvg | StateKind::GradAvgScale => &mut self.v_max,
            StateKind::Master | StateKind::Remainder => &mut self.master,
            StateKind::RowSteps => &mut self.row_steps,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_state_tensors_have_unequal_spare_memory() {
        let spare = |kind, count| {
            let numbers = numbers(kind, count, 0.5);
            assert!(numbers.len() == count && numbers.iter().all(|x| *x == 0.5));
            numbers.capacity() - count
        };
        let spares = [StateKind::M, StateKind::V, StateKind::VMax, StateKind::Master].map(|kind| spare(kind, 1 << 20));
        assert!(spares[0] > 0 && spares.is_sorted_by(|a, b| a < b), "{spares:?}");
        assert_eq!(spare(StateKind::M, 1000), 0);
    }
}
