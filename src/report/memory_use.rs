//! What an optimizer holds on the device, in bytes.

use std::fmt;

use crate::config::rule::StateKind;

/// Bytes that an [`Adam`](crate::Adam) holds on the device: the sizes of its buffers, by what is in them. Parameters and gradients are the
/// caller's and not counted, nor are pipelines, bind groups, and what the driver adds.
///
/// While tensors are added or removed, and while a state is loaded that needs other buffers, both the old and the new ones
/// are there; a state that is read or written passes through a staging buffer: see [`Transfer`](crate::state::Transfer).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryUse {
    /// First moments; with the scales of their blocks, where they are of 8 bits. So are the next two.
    pub m: u64,
    /// Second moments.
    pub v: u64,
    /// AMSGrad's largest second moments.
    pub v_max: u64,
    /// The f32 beside 16-bit parameters.
    pub master: u64,
    /// What bf16 parameters lack to an f32.
    pub remainder: u64,
    /// All that does not grow with the elements, or hardly: configurations, clocks, scalars, schedules, the loss scale, what
    /// each workgroup owns (20 bytes for every 256 elements, where tensors in one buffer are of several groups, not side by
    /// side, or narrow), and with clipping by norm or the guard 16 bytes for every 16,384 elements and 20 for what its
    /// workgroups own.
    pub small: u64,
}

impl MemoryUse {
    /// All together.
    pub fn total(&self) -> u64 {
        let Self { m, v, v_max, master, remainder, small } = *self;
        m + v + v_max + master + remainder + small
    }

    pub(crate) fn add(&mut self, kind: StateKind, bytes: u64) {
        *match kind {
            StateKind::M | StateKind::MScale => &mut self.m,
            StateKind::V | StateKind::VScale => &mut self.v,
            StateKind::VMax | StateKind::VMaxScale => &mut self.v_max,
            StateKind::Master => &mut self.master,
            StateKind::Remainder => &mut self.remainder,
        } += bytes;
    }
}

/// In bytes: `m 4096, v 4096, small 1328: 9520 bytes`. What there is nothing of is left out.
impl fmt::Display for MemoryUse {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { m, v, v_max, master, remainder, small } = *self;
        let all =
            [("m", m), ("v", v), ("v_max", v_max), ("master", master), ("remainder", remainder), ("small", small)];
        let parts = all.iter().filter(|(_, bytes)| *bytes > 0).map(|(name, bytes)| format!("{name} {bytes}"));
        write!(f, "{}: {} bytes", parts.collect::<Vec<_>>().join(", "), self.total())
    }
}
