//! Where the gradients are that were last given, and the copies of those that cannot be bound there.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use wgpu::Buffer;

use crate::config::group::Group;
use crate::gpu::dispatch::GradPlace;

/// The gradients of the tensors whose gradients move. By tensor.
#[derive(Clone, Default)]
pub(crate) struct GivenGrads {
    /// None for a tensor without gradients: one with fixed ones, or an inactive one.
    pub places: Vec<Option<GradPlace>>,
    /// What is bound for inactive tensors.
    pub absent: Option<Buffer>,
    /// Our copies.
    pub copies: Vec<Option<Buffer>>,
    params: Option<Arc<Params>>,
}

/// The bytes of the params in each buffer, with the number of the tensor, in ascending order.
type Params = HashMap<Buffer, Vec<(Range<u64>, usize)>>;

#[expect(clippy::mutable_key_type, reason = "wgpu's handles compare and hash by identity")]
fn params(groups: &[Group]) -> Params {
    let mut params = Params::new();
    for (number, tensor) in groups.iter().flat_map(|group| &group.tensors).enumerate() {
        let param = &tensor.param;
        let range = param.offset..param.offset + param.len * param.dtype.bytes();
        params.entry(param.buffer.clone()).or_default().push((range, number));
    }
    params.values_mut().for_each(|ranges| ranges.sort_by_key(|(range, _)| range.start));
    params
}

impl GivenGrads {
    /// The tensor whose params share bytes with this range of a buffer.
    pub fn param_in(&mut self, groups: &[Group], buffer: &Buffer, bytes: &Range<u64>) -> Option<usize> {
        let params = self.params.get_or_insert_with(|| Arc::new(params(groups)));
        let ranges = params.get(buffer)?;
        let (range, tensor) = ranges.get(ranges.partition_point(|(range, _)| range.end <= bytes.start))?;
        (range.start < bytes.end).then_some(*tensor)
    }

    /// The bytes of the copies.
    pub fn bytes(&self) -> u64 {
        self.copies.iter().chain([&self.absent]).flatten().map(Buffer::size).sum()
    }
}
