//! The device under test, in a browser. Whatever reads from it is awaited.

use futures_intrusive::channel::shared::oneshot_channel;
use wgpu::{Buffer, Device, DeviceDescriptor, Instance, Limits, MapMode, Queue};
use wgpu_adam::probe::Insight;
use wgpu_adam::{Adam, Error, Probe, Report, State, cpu};

use super::layout::Scene;
use super::run::{Run, Seen};

pub struct Gpu {
    pub device: Device,
    pub queue: Queue,
    /// The driver of the tests chooses SwiftShader, a CPU adapter, which gives the same bits as the twin.
    pub software: bool,
    /// The device flushes numbers below 2^-126 to zero, as WGSL allows.
    pub flushes: bool,
}

impl Gpu {
    /// A device with WebGPU's default limits and no features.
    pub async fn new() -> Self {
        Self::asking(|_| Limits::default()).await
    }

    /// A device with the limits that the function returns, given the limits of the adapter.
    pub async fn asking(limits: impl FnOnce(Limits) -> Limits) -> Self {
        let instance = Instance::default();
        let adapter = instance.request_adapter(&Default::default()).await.expect("no adapter");
        let descriptor = DeviceDescriptor { required_limits: limits(adapter.limits()), ..DeviceDescriptor::default() };
        let (device, queue) = adapter.request_device(&descriptor).await.expect("no device");
        let mut gpu = Self { device, queue, software: true, flushes: false };
        gpu.flushes = gpu.read(&gpu.halved()).await[0].to_bits() != 2;
        gpu
    }

    pub async fn read(&self, buffer: &Buffer) -> Vec<f32> {
        let staging = self.staged(buffer);
        let (sender, receiver) = oneshot_channel();
        staging.map_async(MapMode::Read, .., move |result| drop(sender.send(result)));
        receiver.receive().await.unwrap().unwrap();
        bytemuck::pod_collect_to_vec(&staging.slice(..).get_mapped_range().unwrap())
    }

    pub async fn read_all(&self, buffers: &[Buffer]) -> Vec<Vec<f32>> {
        let mut all = Vec::new();
        for buffer in buffers {
            all.push(self.read(buffer).await);
        }
        all
    }

    pub async fn report(&self, adam: &Adam) -> Report {
        adam.read_report().await.unwrap()
    }

    pub async fn state(&self, adam: &Adam) -> State {
        adam.read_state().await.unwrap()
    }

    pub async fn start(&self, scene: &Scene) -> Run {
        self.try_start(scene).await.unwrap()
    }

    pub async fn try_start(&self, scene: &Scene) -> Result<Run, Error> {
        let placed = scene.place(self);
        let adam = Adam::new_async(&self.device, &self.queue, &placed.groups, scene.options.clone()).await?;
        Ok(scene.run(placed, adam))
    }

    /// Asserts that the device has what the twin has.
    pub async fn assert_same(&self, run: &Run) {
        let seen = Seen {
            params: self.read_all(&run.param_buffers).await,
            grads: self.read_all(&run.grad_buffers).await,
            state: self.state(&run.adam).await,
            report: self.report(&run.adam).await,
        };
        if let Some(difference) = run.difference_from(seen, self) {
            panic!("{difference}");
        }
    }

    /// Makes one step on both sides with the current gradients, and returns both measurements.
    pub async fn measured_step(&self, run: &mut Run, probe: &Probe) -> (Insight, Insight) {
        run.upload_grads(self);
        let mut encoder = self.device.create_command_encoder(&Default::default());
        probe.step(&run.adam, &mut encoder).unwrap();
        self.queue.submit([encoder.finish()]);
        let got = probe.read(&run.adam).await.unwrap();
        (got, run.twin_step_by(cpu::Adam::step_measured).1)
    }
}
