//! The device memory of an optimizer, in bytes.

use std::fmt;

use crate::config::rule::StateKind;

/// The bytes of device memory that an [`Adam`](crate::Adam) holds, by purpose.
///
/// The numbers are sizes of buffers. Parameters and gradients belong to the caller and are not counted. Pipelines, bind
/// groups and the overhead of the driver are not counted either.
///
/// Adding, removing and resetting tensors, and loading a state that needs other buffers, hold the old and the new
/// buffers for a moment. Reading and loading a state use a staging buffer: see [`Transfer`](crate::state::Transfer).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryUse {
    /// The first moments, with their block scales.
    pub m: u64,
    /// The second moments, with their block scales.
    pub v: u64,
    /// The maxima of the second moments (AMSGrad), with their block scales.
    pub v_max: u64,
    /// The averages of the gradients (centered RMSProp), with their block scales.
    pub grad_avg: u64,
    /// The f32 master copies of 16-bit parameters.
    pub master: u64,
    /// The 16-bit remainders of bf16 parameters.
    pub remainder: u64,
    /// The step counts of rows.
    pub row_steps: u64,
    /// The copies of gradients that could not be bound in their places: see [`Adam::set_grads`](crate::Adam::set_grads).
    pub grads: u64,
    /// Everything else: configurations, clocks, scalars, schedules, the loss scale and the tables of the workgroups.
    ///
    /// A table has 24 bytes for every 256 elements, and exists for buffers with interleaved groups, gaps or narrow
    /// formats. Clipping by norm and skipping add 16 bytes for every 16,384 elements, and 24 bytes per workgroup of
    /// their table.
    pub small: u64,
}

impl MemoryUse {
    /// Returns the sum of all fields.
    pub fn total(&self) -> u64 {
        let Self { m, v, v_max, grad_avg, master, remainder, row_steps, grads, small } = *self;
        m + v + v_max + grad_avg + master + remainder + row_steps + grads + small
    }

    pub(crate) fn add(&mut self, kind: StateKind, bytes: u64) {
        *match kind {
            StateKind::M | StateKind::MScale => &mut self.m,
            StateKind::V | StateKind::VScale => &mut self.v,
            StateKind::VMax | StateKind::VMaxScale => &mut self.v_max,
            StateKind::GradAvg | StateKind::GradAvgScale => &mut self.grad_avg,
            StateKind::Master => &mut self.master,
            StateKind::Remainder => &mut self.remainder,
            StateKind::RowSteps => &mut self.row_steps,
        } += bytes;
    }
}

/// Formats the non-zero fields and the total in bytes: `m 4096, v 4096, small 1328: 9520 bytes`.
impl fmt::Display for MemoryUse {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { m, v, v_max, grad_avg, master, remainder, row_steps, grads, small } = *self;
        let all = [
            ("m", m),
            ("v", v),
            ("v_max", v_max),
            ("grad_avg", grad_avg),
            ("master", master),
            ("remainder", remainder),
            ("row_steps", row_steps),
            ("grads", grads),
            ("small", small),
        ];
        let parts = all.iter().filter(|(_, bytes)| *bytes > 0).map(|(name, bytes)| format!("{name} {bytes}"));
        write!(f, "{}: {} bytes", parts.collect::<Vec<_>>().join(", "), self.total())
    }
}
