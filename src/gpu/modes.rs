//! The change between the parameters for training and those for evaluation, which Schedule-Free has.

use wgpu::{CommandEncoder, ComputePassDescriptor, Device};

use crate::gpu::dispatch::Dispatch;
use crate::gpu::kernel::Kernel;
use crate::gpu::pipelines::Reusable;
use crate::gpu::tick::Tick;
use crate::plan::limits::Limits;

/// The dispatches of both changes. Empty if no group is Schedule-Free.
#[derive(Clone, Default)]
pub(crate) struct Modes {
    to_eval: Vec<Dispatch>,
    to_train: Vec<Dispatch>,
}

impl Modes {
    /// `params` are the dispatches that change the parameters. There may be none: a group can lose its tensors during an
    /// evaluation, which must end all the same.
    pub fn new(
        device: &Device,
        limits: &Limits,
        tick: &Tick,
        averages: bool,
        params: Vec<Dispatch>,
        reusable: &mut Reusable,
    ) -> Self {
        if !averages {
            return Self::default();
        }
        let [to_eval, to_train] = [true, false].map(|evaluates| {
            let first = tick.dispatch(device, limits, Kernel::ChangeMode { evaluates }, reusable);
            [first].into_iter().chain(params.iter().cloned()).collect()
        });
        Self { to_eval, to_train }
    }

    /// Records the change to the params for evaluation.
    pub fn record_eval(&self, encoder: &mut CommandEncoder) {
        record("wgpu-adam eval mode", &self.to_eval, encoder);
    }

    /// Records the change to the params for training.
    pub fn record_train(&self, encoder: &mut CommandEncoder) {
        record("wgpu-adam train mode", &self.to_train, encoder);
    }
}

fn record(label: &str, dispatches: &[Dispatch], encoder: &mut CommandEncoder) {
    if !dispatches.is_empty() {
        let descriptor = ComputePassDescriptor { label: Some(label), timestamp_writes: None };
        let mut pass = encoder.begin_compute_pass(&descriptor);
        dispatches.iter().for_each(|dispatch| dispatch.record(&mut pass));
    }
}
