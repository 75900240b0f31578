//! The transfer of a state between buffers and the host: in pieces, through one staging buffer, without blocking.

use std::ops::Range;

use wgpu::{Buffer, BufferDescriptor, BufferUsages, CommandEncoderDescriptor, Device, MapMode, Queue};

use crate::error::Error;
use crate::gpu::error_scopes::ErrorScopes;
use crate::gpu::readback::{alive, map};
use crate::state::transfer::{Progress, Transfer};

/// A range of bytes of one of the buffers. Its ends are multiples of 4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub buffer: usize,
    pub bytes: Range<u64>,
}

/// All bytes of these buffers.
pub(crate) fn whole(buffers: &[Buffer]) -> Vec<Chunk> {
    buffers.iter().enumerate().map(|(buffer, of)| Chunk { buffer, bytes: 0..of.size() }).collect()
}

/// Cuts ranges of buffers, one after the other, into pieces of at most `staging` bytes.
fn pieces(ranges: &[Chunk], staging: u64) -> Vec<Vec<Chunk>> {
    let mut pieces = Vec::new();
    let (mut piece, mut room) = (Vec::new(), staging);
    for Chunk { buffer, bytes } in ranges {
        let mut begin = bytes.start;
        while begin < bytes.end {
            let end = bytes.end.min(begin + room);
            piece.push(Chunk { buffer: *buffer, bytes: begin..end });
            (room, begin) = (room - (end - begin), end);
            if room == 0 {
                pieces.push(std::mem::take(&mut piece));
                room = staging;
            }
        }
    }
    if !piece.is_empty() {
        pieces.push(piece);
    }
    pieces
}

/// A transfer in progress.
pub(crate) struct InFlight {
    device: Device,
    queue: Queue,
    buffers: Vec<Buffer>,
    pieces: std::vec::IntoIter<Vec<Chunk>>,
    staging: Buffer,
    progress: Progress,
    done: u64,
    total: u64,
}

const READING: &str = "reading the state";

const LOADING: &str = "loading the state";

impl InFlight {
    fn new(
        device: &Device,
        queue: &Queue,
        buffers: Vec<Buffer>,
        ranges: &[Chunk],
        transfer: Transfer,
        usage: BufferUsages,
        mapped_at_creation: bool,
    ) -> Self {
        let total = length(ranges);
        let most = transfer.staging_bytes.min(device.limits().max_buffer_size).min(total);
        let size = (most / 4 * 4).max(4);
        let descriptor = BufferDescriptor { label: Some("wgpu-adam staging"), size, usage, mapped_at_creation };
        let staging = device.create_buffer(&descriptor);
        let pieces = pieces(ranges, size).into_iter();
        let (device, queue, progress) = (device.clone(), queue.clone(), transfer.progress);
        Self { device, queue, buffers, pieces, staging, progress, done: 0, total }
    }

    /// Submits the copy of the next piece between its buffers and the staging buffer.
    fn submit(&self, piece: &[Chunk], into_staging: bool) {
        let descriptor = CommandEncoderDescriptor { label: Some("wgpu-adam state") };
        let mut encoder = self.device.create_command_encoder(&descriptor);
        let mut at = 0;
        for Chunk { buffer, bytes } in piece {
            let (buffer, size) = (&self.buffers[*buffer], bytes.end - bytes.start);
            if into_staging {
                encoder.copy_buffer_to_buffer(buffer, bytes.start, &self.staging, at, size);
            } else {
                encoder.copy_buffer_to_buffer(&self.staging, at, buffer, bytes.start, size);
            }
            at += size;
        }
        self.queue.submit([encoder.finish()]);
    }

    fn advance(&mut self, piece: &[Chunk]) {
        self.done += length(piece);
        (self.progress)(self.done, self.total);
    }
}

fn length(piece: &[Chunk]) -> u64 {
    piece.iter().map(|chunk| chunk.bytes.end - chunk.bytes.start).sum()
}

/// A transfer from the device to the host.
pub(crate) struct Reading {
    in_flight: InFlight,
    first: Option<Vec<Chunk>>,
}

/// Begins to read ranges of the buffers, and submits the copy of the first piece.
pub(crate) fn read(
    device: &Device,
    queue: &Queue,
    buffers: Vec<Buffer>,
    ranges: &[Chunk],
    transfer: Transfer,
) -> (Reading, impl Future<Output = Result<(), Error>> + use<>) {
    let scopes = ErrorScopes::open(device);
    let usage = BufferUsages::COPY_DST | BufferUsages::MAP_READ;
    let mut in_flight = InFlight::new(device, queue, buffers, ranges, transfer, usage, false);
    let first = in_flight.pieces.next();
    in_flight.submit(first.as_deref().unwrap_or(&[]), true);
    (Reading { in_flight, first }, scopes.close(READING))
}

impl Reading {
    /// Reads the ranges piece by piece, and passes each chunk to `take`.
    pub async fn finish(mut self, mut take: impl FnMut(&Chunk, &[u8])) -> Result<(), Error> {
        let in_flight = &mut self.in_flight;
        let failed = |reason| Error::Readback { what: "the state", reason };
        let mut next = self.first;
        while let Some(piece) = next {
            map(&in_flight.device, &in_flight.staging, MapMode::Read, ..length(&piece)).await.map_err(failed)?;
            let bytes =
                in_flight.staging.slice(..length(&piece)).get_mapped_range().map_err(|e| failed(e.to_string()))?;
            let mut rest = &bytes[..];
            for chunk in &piece {
                let (own, others) = rest.split_at((chunk.bytes.end - chunk.bytes.start) as usize);
                take(chunk, own);
                rest = others;
            }
            drop(bytes);
            in_flight.staging.unmap();
            in_flight.advance(&piece);
            next = in_flight.pieces.next();
            if let Some(piece) = &next {
                let scopes = ErrorScopes::open(&in_flight.device);
                in_flight.submit(piece, true);
                scopes.close(READING).await?;
            }
        }
        Ok(())
    }
}

/// Writes the buffers piece by piece. `give` provides the bytes of each chunk. If the staging buffer cannot be allocated,
/// nothing is written.
pub(crate) async fn write(
    device: &Device,
    queue: &Queue,
    buffers: Vec<Buffer>,
    transfer: Transfer,
    mut give: impl FnMut(&Chunk, &mut Vec<u8>),
) -> Result<(), Error> {
    let scopes = ErrorScopes::open(device);
    let usage = BufferUsages::COPY_SRC | BufferUsages::MAP_WRITE;
    let ranges = whole(&buffers);
    let mut in_flight = InFlight::new(device, queue, buffers, &ranges, transfer, usage, true);
    scopes.close(LOADING).await?;
    let failed = |reason| Error::Device { what: LOADING, reason };
    let mut filled = Vec::new();
    while let Some(piece) = in_flight.pieces.next() {
        if in_flight.done > 0 {
            map(&in_flight.device, &in_flight.staging, MapMode::Write, ..).await.map_err(failed)?;
        }
        filled.clear();
        for chunk in &piece {
            give(chunk, &mut filled);
        }
        let range = ..filled.len() as u64;
        let mut bytes = in_flight.staging.slice(range).get_mapped_range_mut().map_err(|e| failed(e.to_string()))?;
        bytes.copy_from_slice(&filled);
        drop(bytes);
        in_flight.staging.unmap();
        let scopes = ErrorScopes::open(&in_flight.device);
        in_flight.submit(&piece, false);
        scopes.close(LOADING).await?;
        in_flight.advance(&piece);
    }
    alive(device, LOADING).await
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_are_bounded_and_each_byte_is_in_one(
            sizes in prop::collection::vec((0..99_u64, 0..200_u64), 0..9), staging in 1..100_u64,
        ) {
            let range = |(buffer, (begin, size)): (usize, &(u64, u64))| Chunk { buffer, bytes: *begin..begin + size };
            let ranges: Vec<Chunk> = sizes.iter().enumerate().map(range).collect();
            let pieces = pieces(&ranges, staging);
            let (mut buffer, mut at) = (0, ranges.first().map_or(0, |range| range.bytes.start));
            for (i, piece) in pieces.iter().enumerate() {
                prop_assert!(length(piece) <= staging);
                prop_assert!(i + 1 == pieces.len() || length(piece) == staging, "only the last is smaller");
                for chunk in piece {
                    while chunk.buffer > buffer {
                        prop_assert_eq!(at, ranges[buffer].bytes.end);
                        (buffer, at) = (buffer + 1, ranges[buffer + 1].bytes.start);
                    }
                    prop_assert_eq!((chunk.buffer, chunk.bytes.start), (buffer, at));
                    prop_assert!(chunk.bytes.end > at);
                    at = chunk.bytes.end;
                }
            }
            prop_assert!(ranges.get(buffer).is_none_or(|range| range.bytes.end == at));
            prop_assert!(ranges.iter().skip(buffer + 1).all(|range| range.bytes.is_empty()));
        }
    }
}
