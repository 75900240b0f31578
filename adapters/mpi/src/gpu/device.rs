//! Tensors on a device, which are read through two buffers that the host maps in turn.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

use wgpu::{Buffer, BufferAsyncError, BufferDescriptor, BufferUsages, Device, ErrorFilter, MapMode, PollType, Queue};
use wgpu_adam::View;

use crate::error::Error;
use crate::layout::Span;
use crate::memory::{Memory, Which};

/// The pieces that are read at the same time: one travels while the next one is read.
const STAGING: usize = 2;

/// Tensors on a device.
pub(crate) struct OnDevice {
    pub device: Device,
    pub queue: Queue,
    /// The parameters and the gradients of each tensor.
    tensors: Vec<(View, View)>,
    free: Vec<Buffer>,
    reads: VecDeque<Read>,
}

/// A read that was begun.
struct Read {
    buffer: Buffer,
    bytes: u64,
    mapped: Receiver<Result<(), BufferAsyncError>>,
    /// Whether it could be begun.
    begun: Result<(), Error>,
}

fn failed(reason: impl ToString) -> Error {
    Error::Device { reason: reason.to_string() }
}

/// Returns an error of the device that a function causes. Otherwise it would reach the handler of uncaptured errors, which panics.
pub(crate) fn scoped<T>(device: &Device, run: impl FnOnce() -> T) -> Result<T, Error> {
    let filters = [ErrorFilter::OutOfMemory, ErrorFilter::Internal, ErrorFilter::Validation];
    let scopes = filters.map(|filter| device.push_error_scope(filter));
    let result = run();
    // Scopes are a stack.
    for scope in scopes.into_iter().rev() {
        if let Some(error) = pollster::block_on(scope.pop()) {
            return Err(failed(error));
        }
    }
    Ok(result)
}

impl OnDevice {
    /// Makes the staging buffers, for pieces of at most `piece` bytes.
    pub fn new(device: &Device, queue: &Queue, tensors: Vec<(View, View)>, piece: u64) -> Result<Self, Error> {
        let descriptor = BufferDescriptor {
            label: Some("wgpu-adam-mpi staging"),
            size: piece,
            usage: BufferUsages::COPY_DST | BufferUsages::MAP_READ,
            mapped_at_creation: false,
        };
        let free = scoped(device, || (0..STAGING).map(|_| device.create_buffer(&descriptor)).collect())?;
        Ok(Self { device: device.clone(), queue: queue.clone(), tensors, free, reads: VecDeque::new() })
    }

    fn view(&self, which: Which, span: &Span) -> &View {
        let (param, grad) = &self.tensors[span.tensor];
        if which == Which::Param { param } else { grad }
    }

    /// Zeroes gradients.
    pub fn zero_grads<'a>(&self, spans: impl Iterator<Item = &'a Span>) -> Result<(), Error> {
        scoped(&self.device, || {
            let mut encoder = self.device.create_command_encoder(&Default::default());
            for span in spans {
                let view = self.view(Which::Grad, span);
                encoder.clear_buffer(&view.buffer, view.offset + span.from, Some(span.bytes));
            }
            self.queue.submit([encoder.finish()]);
        })
    }
}

impl Memory for OnDevice {
    fn read(&mut self, which: Which, spans: &[Span], bytes: u64) {
        let Some(buffer) = self.free.pop() else { return };
        let (sender, mapped) = channel();
        let begun = scoped(&self.device, || {
            let mut encoder = self.device.create_command_encoder(&Default::default());
            encoder.clear_buffer(&buffer, 0, Some(bytes));
            for span in spans {
                let view = self.view(which, span);
                encoder.copy_buffer_to_buffer(&view.buffer, view.offset + span.from, &buffer, span.at, span.bytes);
            }
            self.queue.submit([encoder.finish()]);
            buffer.map_async(MapMode::Read, ..bytes, move |result| {
                // The receiver is gone only if the read is.
                let _ = sender.send(result);
            });
        });
        self.reads.push_back(Read { buffer, bytes, mapped, begun });
    }

    fn poll(&mut self) {
        // An error shows when the read is taken.
        let _ = self.device.poll(PollType::Poll);
    }

    fn take(&mut self) -> Result<Vec<u8>, Error> {
        let Some(Read { buffer, bytes, mapped, begun }) = self.reads.pop_front() else {
            return Err(failed("no piece was read"));
        };
        let mapped = loop {
            match mapped.try_recv() {
                Ok(result) => break result.map_err(failed),
                Err(TryRecvError::Disconnected) => break Err(failed("the mapping was dropped")),
                Err(TryRecvError::Empty) => {}
            }
            if let Err(error) = self.device.poll(PollType::wait_indefinitely()) {
                break Err(failed(error));
            }
        };
        let contents = begun.and(mapped).and_then(|()| {
            let range = buffer.slice(..bytes).get_mapped_range().map_err(failed)?;
            Ok(range.to_vec())
        });
        // Without a mapping, this is an error of wgpu: the buffer is given up then.
        if contents.is_ok() {
            buffer.unmap();
            self.free.push(buffer);
        }
        contents
    }

    fn write(&mut self, which: Which, spans: &[Span], piece: &[u8]) -> Result<(), Error> {
        scoped(&self.device, || {
            for span in spans {
                let view = self.view(which, span);
                let part = &piece[span.at as usize..(span.at + span.bytes) as usize];
                self.queue.write_buffer(&view.buffer, view.offset + span.from, part);
            }
        })
    }
}
