//! Dispatches: a pipeline, the bind group of its buffers, and the number of its workgroups. The place of gradients may change
//! from step to step: the bind groups of recent places are kept.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;

use wgpu::{
    BindGroup, BindGroupDescriptor, BindGroupEntry, BindGroupLayout, BindingResource, Buffer, BufferBinding,
    BufferSize, ComputePass, ComputePipeline, Device,
};

use crate::gpu::binding::{Access, Binding};
use crate::gpu::buffers::Resource;
use crate::gpu::kernel::Kernel;
use crate::plan::limits::Limits;

/// The most bind groups that a dispatch keeps. A training loop that allocates its gradients anew usually gets the same few
/// places again.
const KEPT: usize = 16;

/// The pipelines of an optimizer.
pub(crate) type Pipelines = HashMap<Kernel, (ComputePipeline, BindGroupLayout)>;

/// Where the gradients of a tensor are: their buffer, and their offset in bytes.
pub(crate) type GradPlace = (Buffer, u64);

/// One dispatch, ready to be recorded if it has a bind group.
#[derive(Clone)]
pub(crate) struct Dispatch {
    kernel: Kernel,
    /// Of the kernel.
    built: (ComputePipeline, BindGroupLayout),
    /// In use.
    pipeline: ComputePipeline,
    /// None until the places of all gradients are known.
    bind_group: Option<BindGroup>,
    pub workgroups: Workgroups,
    /// What it binds, if that includes gradients whose place changes. Empty otherwise.
    moving: Vec<Bound>,
    /// The last used first.
    kept: VecDeque<Kept>,
}

/// A resource that a kernel binds, and how the kernel uses it.
type Bound = (Binding, Access, Resource);

/// A bind group, with the places of the gradients that it binds.
#[derive(Clone)]
struct Kept {
    places: Vec<Option<GradPlace>>,
    pipeline: ComputePipeline,
    bind_group: BindGroup,
}

/// The size of a dispatch.
#[derive(Clone)]
pub(crate) enum Workgroups {
    Fixed([u32; 3]),
    /// The device sets it, at the beginning of this buffer.
    Indirect(Buffer),
}

/// The pipeline of a kernel, which is made if there is none yet.
fn pipeline_of(kernel: Kernel, device: &Device, pipelines: &mut Pipelines) -> (ComputePipeline, BindGroupLayout) {
    pipelines.entry(kernel).or_insert_with(|| kernel.build(device)).clone()
}

fn overlap(a: &Range<u64>, b: &Range<u64>) -> bool {
    a.start < b.end && b.start < a.end
}

/// The bytes that are bound in place of the gradients of an inactive tensor, which no kernel reads.
pub(crate) const ABSENT: u64 = 256;

/// Makes a bind group. `places` has the places of gradients, by tensor. For a tensor without gradients, the beginning of
/// `absent` is bound.
fn bind_group<'a>(
    device: &Device,
    label: &str,
    layout: &BindGroupLayout,
    resources: &'a [Bound],
    places: &'a [Option<GradPlace>],
    absent: Option<&'a Buffer>,
) -> BindGroup {
    let entry = |(binding, _, resource): &'a Bound| {
        let (buffer, offset, bytes) = match resource {
            Resource::Range { buffer, offset, bytes } => (buffer, *offset, *bytes),
            Resource::Grads { tensor, offset, bytes } => match &places[*tensor] {
                Some((buffer, begin)) => (buffer, begin + offset, *bytes),
                None => (absent?, 0, (*bytes).min(ABSENT)),
            },
        };
        let resource = BindingResource::Buffer(BufferBinding { buffer, offset, size: BufferSize::new(bytes) });
        Some(BindGroupEntry { binding: binding.number(), resource })
    };
    let entries: Vec<BindGroupEntry> = resources.iter().filter_map(entry).collect();
    device.create_bind_group(&BindGroupDescriptor { label: Some(label), layout, entries: &entries })
}

impl Dispatch {
    /// Makes a dispatch of a kernel with those of the bindings that it has. An existing pipeline is reused.
    pub fn new(
        device: &Device,
        limits: &Limits,
        pipelines: &mut Pipelines,
        kernel: Kernel,
        workgroups: u64,
        bindings: Vec<(Binding, Resource)>,
    ) -> Self {
        let built = pipeline_of(kernel, device, pipelines);
        let needed = kernel.bindings();
        let access = |binding| needed.iter().find(|(other, _)| *other == binding).map(|(_, access)| *access);
        let bound = bindings.into_iter().filter_map(|(binding, of)| Some((binding, access(binding)?, of)));
        let bound: Vec<Bound> = bound.collect();
        let moves = bound.iter().any(|(.., resource)| matches!(resource, Resource::Grads { .. }));
        let group = (!moves).then(|| bind_group(device, kernel.entry_point(), &built.1, &bound, &[], None));
        Self {
            kernel,
            pipeline: built.0.clone(),
            built,
            bind_group: group,
            workgroups: Workgroups::Fixed(limits.dimensions(workgroups)),
            moving: if moves { bound } else { Vec::new() },
            kept: VecDeque::new(),
        }
    }

    /// Records the dispatch, or nothing if it has no bind group yet.
    pub fn record(&self, pass: &mut ComputePass) {
        let Some(bind_group) = &self.bind_group else { return };
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, bind_group, &[]);
        match &self.workgroups {
            Workgroups::Fixed([x, y, z]) => pass.dispatch_workgroups(*x, *y, *z),
            Workgroups::Indirect(buffer) => pass.dispatch_workgroups_indirect(buffer, 0),
        }
    }

    /// Whether it knows where the gradients are.
    pub fn is_bound(&self) -> bool {
        self.bind_group.is_some()
    }

    /// The same dispatch with gradients in these places. It reads them only.
    pub fn bound(mut self, device: &Device, places: &[Option<GradPlace>], absent: Option<&Buffer>) -> Self {
        self.bind(device, &mut Pipelines::new(), places, absent);
        self
    }

    /// Forgets where the gradients are.
    pub fn unbind(&mut self) {
        if !self.moving.is_empty() {
            self.bind_group = None;
            self.kept.clear();
        }
    }

    /// The gradients whose place changes: the tensor, and the range within its gradients in bytes.
    fn grads(&self) -> impl Iterator<Item = (usize, u64, u64)> {
        self.moving.iter().filter_map(|(.., resource)| match resource {
            Resource::Grads { tensor, offset, bytes } => Some((*tensor, *offset, *bytes)),
            Resource::Range { .. } => None,
        })
    }

    /// Everything else that it binds.
    fn others(&self) -> impl Iterator<Item = (Access, &Buffer, Range<u64>)> {
        self.moving.iter().filter_map(|(_, access, resource)| match resource {
            Resource::Range { buffer, offset, bytes } => Some((*access, buffer, *offset..offset + bytes)),
            Resource::Grads { .. } => None,
        })
    }

    /// Whether gradients in these places are in a buffer that it writes. All gradients are bound read-write then.
    fn shares(&self, places: &[Option<GradPlace>]) -> bool {
        let in_buffer = |other: &Buffer| {
            self.grads().any(|(tensor, ..)| places[tensor].as_ref().is_some_and(|(buffer, _)| buffer == other))
        };
        self.others().any(|(access, buffer, _)| access == Access::Write && in_buffer(buffer))
    }

    /// Whether it reads bytes through two bindings.
    fn reads_twice(&self) -> bool {
        let reads: Vec<_> = self.others().filter(|(access, ..)| *access == Access::Read).collect();
        let meet = |(_, a, of_a): &(Access, &Buffer, Range<u64>), (_, b, of_b): &(Access, &Buffer, Range<u64>)| {
            a == b && overlap(of_a, of_b)
        };
        reads.iter().enumerate().any(|(i, a)| reads[..i].iter().any(|b| meet(a, b)))
    }

    /// The tensors whose gradients it cannot bind in these places: they reach over the end of the buffer by less than a quad,
    /// or into a range that it writes, or share a buffer with something that cannot be bound read-write.
    pub fn unbindable(&self, places: &[Option<GradPlace>]) -> Vec<usize> {
        let shares = self.shares(places);
        // All gradients would be bound read-write, those in fixed places, too.
        if shares && self.reads_twice() {
            return self.grads().map(|(tensor, ..)| tensor).filter(|&tensor| places[tensor].is_some()).collect();
        }
        let mut bound: Vec<(&Buffer, Range<u64>)> = Vec::new();
        let mut found = Vec::new();
        for (tensor, offset, bytes) in self.grads() {
            let Some((buffer, begin)) = &places[tensor] else { continue };
            let range = begin + offset..begin + offset + bytes;
            let collides = |(access, other, of): (Access, &Buffer, Range<u64>)| {
                other == buffer && if access == Access::Write { overlap(&of, &range) } else { shares }
            };
            let twice = |(other, of): &(&Buffer, Range<u64>)| *other == buffer && overlap(of, &range);
            if range.end > buffer.size() || self.others().any(collides) || shares && bound.iter().any(twice) {
                found.push(tensor);
            } else {
                bound.push((buffer, range));
            }
        }
        found
    }

    /// The places of the gradients that it binds.
    fn own_places(&self, places: &[Option<GradPlace>]) -> Vec<Option<GradPlace>> {
        self.grads().map(|(tensor, ..)| places[tensor].clone()).collect()
    }

    /// Whether it has a bind group for gradients in these places.
    pub fn has_kept(&self, places: &[Option<GradPlace>]) -> bool {
        let own = self.own_places(places);
        self.moving.is_empty() || self.kept.iter().any(|kept| kept.places == own)
    }

    /// Binds gradients in these places, and returns whether that took a new bind group.
    pub fn bind(
        &mut self,
        device: &Device,
        pipelines: &mut Pipelines,
        places: &[Option<GradPlace>],
        absent: Option<&Buffer>,
    ) -> bool {
        if self.moving.is_empty() {
            return false;
        }
        let own = self.own_places(places);
        let known = self.kept.iter().position(|kept| kept.places == own).and_then(|i| self.kept.remove(i));
        let is_new = known.is_none();
        let kept = known.unwrap_or_else(|| {
            let (pipeline, layout) = match self.shares(places) {
                true => pipeline_of(self.kernel.sharing(), device, pipelines),
                false => self.built.clone(),
            };
            let bind_group = bind_group(device, self.kernel.entry_point(), &layout, &self.moving, places, absent);
            Kept { places: own, pipeline, bind_group }
        });
        (self.pipeline, self.bind_group) = (kept.pipeline.clone(), Some(kept.bind_group.clone()));
        self.kept.push_front(kept);
        self.kept.truncate(KEPT);
        is_new
    }
}
