//! What an optimizer remembers between steps, as plain numbers.

use crate::variant::Memory;

/// The moments of all tensors, and how many steps made them.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Steps applied.
    pub t: u64,
    /// In the order of the groups and their tensors.
    pub tensors: Vec<Moments>,
}

/// The moments of one tensor. What its variant has not is empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// The tensor's name.
    pub name: String,
    /// First moment: the average of the gradients, without bias correction (PyTorch's `exp_avg`).
    pub m: Vec<f32>,
    /// Second moment: the average of their squares, without bias correction (PyTorch's `exp_avg_sq`).
    pub v: Vec<f32>,
    /// AMSGrad's largest second moment so far (PyTorch's `max_exp_avg_sq`).
    pub v_max: Vec<f32>,
}

impl Moments {
    pub(crate) fn of(&mut self, memory: Memory) -> &mut Vec<f32> {
        match memory {
            Memory::M => &mut self.m,
            Memory::V => &mut self.v,
            Memory::VMax => &mut self.v_max,
        }
    }
}
