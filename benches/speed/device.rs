//! Opens the adapter and times recorded work: by the adapter's timestamps if it has them, otherwise by the host's
//! clock.

use half::{bf16, f16};
use wgpu::util::initialize_adapter_from_env_or_default;
use wgpu::{
    AdapterInfo, Buffer, BufferDescriptor, BufferUsages, CommandEncoder, ComputePass, ComputePassDescriptor,
    ComputePassTimestampWrites, Device, DeviceDescriptor, DeviceType, Features, Instance, InstanceDescriptor, Limits,
    PollType, QuerySet, QuerySetDescriptor, QueryType, Queue,
};

use wgpu_adam::Dtype;

use crate::stopwatch::Stopwatch;
use crate::subject::Time;

pub struct Gpu {
    pub info: AdapterInfo,
    pub device: Device,
    pub queue: Queue,
    clock: Option<Clock>,
}

/// The value of one unit of an integer gradient.
pub const GRAD_SCALE: f32 = 1e-6;

/// Two timestamps and the buffers to read them back.
struct Clock {
    queries: QuerySet,
    resolved: Buffer,
    staging: Buffer,
}

impl Gpu {
    /// Opens the adapter. Requests the adapter's limits on the size and the number of bindings, as a program with large
    /// or many tensors would, and as burn does.
    pub fn new() -> Option<Self> {
        let instance = Instance::new(InstanceDescriptor::new_without_display_handle_from_env());
        let adapter = pollster::block_on(initialize_adapter_from_env_or_default(&instance, None)).ok()?;
        let info = adapter.get_info();
        let limits = adapter.limits();
        let required_limits = Limits {
            max_buffer_size: limits.max_buffer_size,
            max_storage_buffer_binding_size: limits.max_storage_buffer_binding_size,
            max_storage_buffers_per_shader_stage: limits.max_storage_buffers_per_shader_stage,
            max_buffers_and_acceleration_structures_per_shader_stage: limits
                .max_buffers_and_acceleration_structures_per_shader_stage,
            ..Limits::default()
        };
        // A CPU adapter takes a timestamp when it reaches the command, not when the work is done.
        let timestamps = adapter.features().contains(Features::TIMESTAMP_QUERY) && info.device_type != DeviceType::Cpu;
        let required_features = if timestamps { Features::TIMESTAMP_QUERY } else { Features::empty() };
        let descriptor = DeviceDescriptor { required_features, required_limits, ..Default::default() };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).ok()?;
        let buffer =
            |usage| device.create_buffer(&BufferDescriptor { label: None, size: 16, usage, mapped_at_creation: false });
        let clock = timestamps.then(|| Clock {
            queries: device.create_query_set(&QuerySetDescriptor { label: None, ty: QueryType::Timestamp, count: 2 }),
            resolved: buffer(BufferUsages::QUERY_RESOLVE | BufferUsages::COPY_SRC),
            staging: buffer(BufferUsages::COPY_DST | BufferUsages::MAP_READ),
        });
        Some(Self { info, device, queue, clock })
    }

    pub fn has_clock(&self) -> bool {
        self.clock.is_some()
    }

    pub fn buffer(&self, elements: u64) -> Buffer {
        let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
        self.device.create_buffer(&BufferDescriptor {
            label: None,
            size: 4 * elements,
            usage,
            mapped_at_creation: false,
        })
    }

    /// Returns a buffer of values between 0.5 and 1.5, which are never zero or denormal.
    pub fn filled(&self, elements: u64) -> Buffer {
        self.filled_as(Dtype::F32, elements)
    }

    /// The same in another dtype. Integers count units of `GRAD_SCALE`.
    pub fn filled_as(&self, format: Dtype, elements: u64) -> Buffer {
        let buffer = self.buffer(elements * format.bytes() / 4);
        let values = (0..elements.min(1 << 20)).map(|i| 0.5 + (i * 977 % 1021) as f32 / 1021.0);
        let part: Vec<u8> = match format {
            Dtype::F16 => values.flat_map(|x| f16::from_f32(x).to_le_bytes()).collect(),
            Dtype::Bf16 => values.flat_map(|x| bf16::from_f32(x).to_le_bytes()).collect(),
            Dtype::I32 => values.flat_map(|x| ((x / GRAD_SCALE) as i32).to_le_bytes()).collect(),
            _ => values.flat_map(f32::to_le_bytes).collect(),
        };
        for at in (0..elements).step_by(1 << 20) {
            let bytes = (elements - at).min(1 << 20) * format.bytes();
            self.queue.write_buffer(&buffer, at * format.bytes(), &part[..bytes as usize]);
        }
        buffer
    }

    pub fn wait(&self) {
        // An error is ignored here: the next submission would report it.
        let _ = self.device.poll(PollType::wait_indefinitely());
    }

    /// Times one submission of one compute pass.
    pub fn time_pass(&self, record: impl FnOnce(&mut ComputePass)) -> Time {
        self.timed(|encoder, clock| {
            let timestamp_writes = clock.map(|clock| ComputePassTimestampWrites {
                query_set: &clock.queries,
                beginning_of_pass_write_index: Some(0),
                end_of_pass_write_index: Some(1),
            });
            record(&mut encoder.begin_compute_pass(&ComputePassDescriptor { label: None, timestamp_writes }));
        })
    }

    /// Times one submission of commands outside a compute pass. Two empty passes around them write the timestamps.
    pub fn time_copies(&self, record: impl FnOnce(&mut CommandEncoder)) -> Time {
        self.timed(|encoder, clock| {
            let stamp = |encoder: &mut CommandEncoder, index| {
                let timestamp_writes = clock.map(|clock| ComputePassTimestampWrites {
                    query_set: &clock.queries,
                    beginning_of_pass_write_index: Some(index),
                    end_of_pass_write_index: None,
                });
                encoder.begin_compute_pass(&ComputePassDescriptor { label: None, timestamp_writes });
            };
            stamp(encoder, 0);
            record(encoder);
            stamp(encoder, 1);
        })
    }

    fn timed(&self, record: impl FnOnce(&mut CommandEncoder, Option<&Clock>)) -> Time {
        let start = Stopwatch::start();
        let mut encoder = self.device.create_command_encoder(&Default::default());
        record(&mut encoder, self.clock.as_ref());
        if let Some(clock) = &self.clock {
            encoder.resolve_query_set(&clock.queries, 0..2, &clock.resolved, 0);
            encoder.copy_buffer_to_buffer(&clock.resolved, 0, &clock.staging, 0, 16);
        }
        self.queue.submit([encoder.finish()]);
        self.wait();
        Time { wall: start.ms(), device: self.clock.as_ref().and_then(|c| self.between(c)) }
    }

    /// Returns the milliseconds between the two timestamps.
    fn between(&self, clock: &Clock) -> Option<f64> {
        clock.staging.map_async(wgpu::MapMode::Read, .., |_| {});
        self.wait();
        let stamps: Vec<u64> = bytemuck::pod_collect_to_vec(&clock.staging.slice(..).get_mapped_range().ok()?);
        clock.staging.unmap();
        Some(1e-6 * stamps[1].saturating_sub(stamps[0]) as f64 * f64::from(self.queue.get_timestamp_period()))
    }
}
