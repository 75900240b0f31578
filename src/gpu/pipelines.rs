//! The kernels of an optimizer, and what it keeps when its tensors change.

use wgpu::Buffer;

use crate::config::options::Options;
use crate::config::rows::RowKind;
use crate::config::rule::Rule;
use crate::gpu::dispatch::Pipelines;
use crate::gpu::kernel::{Grad, Kernel, Shape};
use crate::plan::region::{Region, Span};

/// What an optimizer keeps when its tensors or groups change and it gets new buffers.
#[derive(Clone, Default)]
pub(crate) struct Reusable {
    pub pipelines: Pipelines,
    /// The caller's bind groups may use this buffer too, so it must stay the same.
    pub loss_scale: Option<Buffer>,
    /// The loss scale belongs to another optimizer.
    pub shares: bool,
}

/// The shape of a batch's dispatch. In a batch of several regions it holds for all of them.
fn shape(batch: &[Region], spans: impl Fn(&Region) -> Vec<Span>) -> Shape {
    let first = &batch[0];
    Shape {
        unaligned: first.unaligned,
        table: spans(first).len() > 1,
        edges: first.rows.is_none() && batch.iter().any(|region| region.edges(&spans(region))),
        shifted: batch.len() > 1 || first.grad_shift != 0,
        regions: batch.len() as u32,
        rows: first.rows.as_ref().map(|rows| rows.kind),
        joined: false,
    }
}

/// The kernel that sums the squares of a batch's gradients.
pub(crate) fn norm_kernel(batch: &[Region]) -> Kernel {
    Kernel::Norm { shape: shape(batch, Region::norm_spans), grad: batch[0].storage.grad }
}

/// The kernel that updates a batch.
pub(crate) fn update_kernel(batch: &[Region], options: &Options, limits: bool) -> Kernel {
    let first = &batch[0];
    let grad = match first.param.buffer == first.grad.buffer {
        _ if options.zero_grad => Grad::Zero,
        true => Grad::Shared,
        false => Grad::Read,
    };
    let mut shape = shape(batch, Region::update_spans);
    if first.rows.as_ref().is_some_and(|rows| rows.joined) {
        // Their quads are whole, and so is the first one of the gradients.
        (shape.joined, shape.unaligned) = (true, false);
        shape.edges = shape.rows.is_some_and(|kind| kind.partial);
        shape.rows = shape.rows.map(|kind| RowKind { partial: false, ..kind });
    }
    Kernel::Update { storage: first.storage, shape, grad, limits }
}

/// The kernel that changes the params of a batch between those for training and those for evaluation.
pub(crate) fn change_param_kernel(batch: &[Region], options: &Options) -> Option<Kernel> {
    match update_kernel(batch, options, false) {
        Kernel::Update { storage, shape, .. } if storage.rule == Rule::ScheduleFree => {
            Some(Kernel::ChangeParam { storage: storage.to_nearest(), shape })
        }
        _ => None,
    }
}
