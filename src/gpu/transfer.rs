//! A state's way between buffers and the host: in pieces, through one staging buffer of bounded size, without blocking.

use std::ops::Range;

use wgpu::{Buffer, BufferDescriptor, BufferUsages, CommandEncoderDescriptor, Device, MapMode, Queue};

use crate::error::Error;
use crate::gpu::error_scopes::ErrorScopes;
use crate::gpu::readback::map;
use crate::state::transfer::{Progress, Transfer};

/// Bytes of one of several buffers: multiples of 4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub buffer: usize,
    pub bytes: Range<u64>,
}

/// Buffers of these sizes, one after the other, cut into pieces of at most so many bytes.
fn pieces(sizes: &[u64], staging: u64) -> Vec<Vec<Stretch>> {
    let mut pieces = Vec::new();
    let (mut piece, mut room) = (Vec::new(), staging);
    for (buffer, &size) in sizes.iter().enumerate() {
        let mut begin = 0;
        while begin < size {
            let end = size.min(begin + room);
            piece.push(Stretch { buffer, bytes: begin..end });
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

/// A state on its way: the buffers, in which order, and the staging buffer.
pub(crate) struct Way {
    device: Device,
    queue: Queue,
    buffers: Vec<Buffer>,
    pieces: std::vec::IntoIter<Vec<Stretch>>,
    staging: Buffer,
    progress: Progress,
    done: u64,
    total: u64,
}

const READING: &str = "reading the state";

const LOADING: &str = "loading the state";

impl Way {
    fn new(
        device: &Device,
        queue: &Queue,
        buffers: Vec<Buffer>,
        transfer: Transfer,
        usage: BufferUsages,
        mapped_at_creation: bool,
    ) -> Self {
        let sizes: Vec<u64> = buffers.iter().map(Buffer::size).collect();
        let total = sizes.iter().sum();
        let most = transfer.staging_bytes.min(device.limits().max_buffer_size).min(total);
        let size = (most / 4 * 4).max(4);
        let descriptor = BufferDescriptor { label: Some("wgpu-adam staging"), size, usage, mapped_at_creation };
        let staging = device.create_buffer(&descriptor);
        let pieces = pieces(&sizes, size).into_iter();
        let (device, queue, progress) = (device.clone(), queue.clone(), transfer.progress);
        Self { device, queue, buffers, pieces, staging, progress, done: 0, total }
    }

    /// Submits the copy of the next piece between its buffers and the staging buffer.
    fn submit(&self, piece: &[Stretch], into_staging: bool) {
        let descriptor = CommandEncoderDescriptor { label: Some("wgpu-adam state") };
        let mut encoder = self.device.create_command_encoder(&descriptor);
        let mut at = 0;
        for Stretch { buffer, bytes } in piece {
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

    fn advance(&mut self, piece: &[Stretch]) {
        self.done += length(piece);
        (self.progress)(self.done, self.total);
    }
}

fn length(piece: &[Stretch]) -> u64 {
    piece.iter().map(|stretch| stretch.bytes.end - stretch.bytes.start).sum()
}

/// Buffers that are being read.
pub(crate) struct Reading {
    way: Way,
    first: Option<Vec<Stretch>>,
}

/// Begins to read the buffers: the copy of the first piece is submitted now.
pub(crate) fn read(
    device: &Device,
    queue: &Queue,
    buffers: Vec<Buffer>,
    transfer: Transfer,
) -> (Reading, impl Future<Output = Result<(), Error>> + use<>) {
    let scopes = ErrorScopes::open(device);
    let usage = BufferUsages::COPY_DST | BufferUsages::MAP_READ;
    let mut way = Way::new(device, queue, buffers, transfer, usage, false);
    let first = way.pieces.next();
    way.submit(first.as_deref().unwrap_or(&[]), true);
    (Reading { way, first }, scopes.close(READING))
}

impl Reading {
    /// Reads them piece by piece and hands each stretch to `take`.
    pub async fn finish(mut self, mut take: impl FnMut(&Stretch, &[u8])) -> Result<(), Error> {
        let way = &mut self.way;
        let failed = |reason| Error::Readback { what: "the state", reason };
        let mut next = self.first;
        while let Some(piece) = next {
            map(&way.device, &way.staging, MapMode::Read, ..length(&piece)).await.map_err(failed)?;
            let bytes = way.staging.slice(..length(&piece)).get_mapped_range().map_err(|e| failed(e.to_string()))?;
            let mut rest = &bytes[..];
            for stretch in &piece {
                let (own, others) = rest.split_at((stretch.bytes.end - stretch.bytes.start) as usize);
                take(stretch, own);
                rest = others;
            }
            drop(bytes);
            way.staging.unmap();
            way.advance(&piece);
            next = way.pieces.next();
            if let Some(piece) = &next {
                let scopes = ErrorScopes::open(&way.device);
                way.submit(piece, true);
                scopes.close(READING).await?;
            }
        }
        Ok(())
    }
}

/// Writes the buffers piece by piece with what `give` fills in for each stretch. Where the staging buffer cannot be had,
/// nothing is written; the first piece is submitted as soon as that is known.
pub(crate) async fn write(
    device: &Device,
    queue: &Queue,
    buffers: Vec<Buffer>,
    transfer: Transfer,
    mut give: impl FnMut(&Stretch, &mut Vec<u8>),
) -> Result<(), Error> {
    let scopes = ErrorScopes::open(device);
    let usage = BufferUsages::COPY_SRC | BufferUsages::MAP_WRITE;
    let mut way = Way::new(device, queue, buffers, transfer, usage, true);
    scopes.close(LOADING).await?;
    let failed = |reason| Error::Device { what: LOADING, reason };
    let mut filled = Vec::new();
    while let Some(piece) = way.pieces.next() {
        if way.done > 0 {
            map(&way.device, &way.staging, MapMode::Write, ..).await.map_err(failed)?;
        }
        filled.clear();
        for stretch in &piece {
            give(stretch, &mut filled);
        }
        let range = ..filled.len() as u64;
        let mut bytes = way.staging.slice(range).get_mapped_range_mut().map_err(|e| failed(e.to_string()))?;
        bytes.copy_from_slice(&filled);
        drop(bytes);
        way.staging.unmap();
        let scopes = ErrorScopes::open(&way.device);
        way.submit(&piece, false);
        scopes.close(LOADING).await?;
        way.advance(&piece);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_are_bounded_and_each_byte_is_in_one(sizes in prop::collection::vec(0..200_u64, 0..9), staging in 1..100_u64) {
            let pieces = pieces(&sizes, staging);
            let (mut buffer, mut at) = (0, 0);
            for (i, piece) in pieces.iter().enumerate() {
                prop_assert!(length(piece) <= staging);
                prop_assert!(i + 1 == pieces.len() || length(piece) == staging, "only the last is smaller");
                for stretch in piece {
                    while stretch.buffer > buffer {
                        prop_assert_eq!(at, sizes[buffer]);
                        (buffer, at) = (buffer + 1, 0);
                    }
                    prop_assert_eq!((stretch.buffer, stretch.bytes.start), (buffer, at));
                    prop_assert!(stretch.bytes.end > at);
                    at = stretch.bytes.end;
                }
            }
            prop_assert!(sizes.get(buffer).is_none_or(|size| *size == at) && sizes.iter().skip(buffer + 1).all(|size| *size == 0));
        }
    }
}
