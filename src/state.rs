//! What an optimizer remembers between steps, as plain numbers.

/// The moments of all tensors, and how many steps made them.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Steps applied.
    pub t: u64,
    /// In the order of the groups and their tensors.
    pub tensors: Vec<Moments>,
}

/// The moments of one tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// The tensor's name.
    pub name: String,
    /// First moment: the average of the gradients, without bias correction (PyTorch's `exp_avg`).
    pub m: Vec<f32>,
    /// Second moment: the average of their squares, without bias correction (PyTorch's `exp_avg_sq`).
    pub v: Vec<f32>,
}
