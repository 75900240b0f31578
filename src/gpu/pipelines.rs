//! Pipelines in use, and dispatches of them.

use std::collections::HashMap;

use wgpu::{BindGroupDescriptor, BindGroupEntry, BindGroupLayout, BindingResource, Buffer, ComputePipeline, Device};

use crate::config::options::{Clip, Options};
use crate::gpu::binding::Binding;
use crate::gpu::kernel::{Grad, Kernel, Shape};
use crate::gpu::layout::Dispatch;
use crate::plan::limits::Limits;
use crate::plan::region::{Region, Span};

/// The pipelines in use.
pub(crate) type Pipelines = HashMap<Kernel, (ComputePipeline, BindGroupLayout)>;

/// What an optimizer keeps when it gets other buffers, since its tensors or groups have changed.
#[derive(Clone, Default)]
pub(crate) struct Reusable {
    pub pipelines: Pipelines,
    /// The caller's bind groups have it too.
    pub loss_scale: Option<Buffer>,
}

/// How a batch's regions lie in its dispatch, which knows no better of several.
pub(crate) fn shape(batch: &[Region], spans: impl Fn(&Region) -> Vec<Span>) -> Shape {
    let first = &batch[0];
    Shape {
        unaligned: first.unaligned,
        table: spans(first).len() > 1,
        edges: batch.iter().any(|region| region.edges(&spans(region))),
        shifted: batch.len() > 1 || first.grad_shift != 0,
        regions: batch.len() as u32,
    }
}

/// How a batch is updated.
pub(crate) fn update_kernel(batch: &[Region], options: &Options) -> Kernel {
    let first = &batch[0];
    let grad = match first.param.buffer == first.grad.buffer {
        _ if options.zero_grad => Grad::Zero,
        true => Grad::Shared,
        false => Grad::Read,
    };
    let clip_value = matches!(options.clip, Clip::Value(_));
    Kernel::Update { storage: first.storage, shape: shape(batch, Region::update_spans), grad, clip_value }
}

/// A dispatch of that kernel with those bindings. A pipeline that there is already is used.
pub(crate) fn dispatch(
    device: &Device,
    limits: &Limits,
    pipelines: &mut Pipelines,
    kernel: Kernel,
    workgroups: u64,
    bindings: &[(Binding, BindingResource)],
) -> Dispatch {
    let (pipeline, layout) = &*pipelines.entry(kernel).or_insert_with(|| kernel.build(device));
    let entries: Vec<BindGroupEntry> = bindings
        .iter()
        .map(|(binding, resource)| BindGroupEntry { binding: binding.number(), resource: resource.clone() })
        .collect();
    let label = Some(kernel.entry_point());
    let bind_group = device.create_bind_group(&BindGroupDescriptor { label, layout, entries: &entries });
    Dispatch { pipeline: pipeline.clone(), bind_group, workgroups: limits.dimensions(workgroups) }
}
