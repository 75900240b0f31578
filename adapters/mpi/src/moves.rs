//! The two moves of a step, in pieces: the reduce-scatter of the gradients and the all-gather of the parameters.

use crate::error::Error;
use crate::exchange::Exchange;
use crate::layout::Layout;
use crate::memory::{Memory, Which};
use crate::options::Wire;

/// Adds up the gradients of all ranks in the part of this one, in the order of the ranks, and multiplies the sums by `scale`.
///
/// If this rank fails to read, the others get zeros: the caller must tell them.
pub(crate) fn reduce_scatter(
    memory: &mut impl Memory,
    exchange: &Exchange,
    layout: &Layout,
    piece: u64,
    wire: Wire,
    scale: f32,
) -> Result<(), Error> {
    let pieces = layout.pieces(piece);
    let mut result = Ok(());
    let ranks = exchange.ranks as u64;
    let bytes = |i: usize| ranks * (pieces[i].end - pieces[i].start);
    let begin = |memory: &mut _, i: usize| {
        if i < pieces.len() {
            Memory::read(memory, Which::Grad, &layout.spans_of_all(&pieces[i]), bytes(i));
        }
    };
    begin(memory, 0);
    for (i, range) in pieces.iter().enumerate() {
        let floats = memory.take().unwrap_or_else(|error| {
            result = result.clone().and(Err(error));
            vec![0; bytes(i) as usize]
        });
        // The next piece is read while this one travels.
        begin(memory, i + 1);
        let send = wire.encode(floats);
        let mut received = vec![0; send.len()];
        exchange.all_to_all(&send, &mut received, || memory.poll());
        let mut of_ranks = received.chunks(received.len() / exchange.ranks).map(|bytes| wire.decode(bytes));
        let mut sum = of_ranks.next().unwrap_or_default();
        for other in of_ranks {
            sum.iter_mut().zip(other).for_each(|(sum, g)| *sum += g);
        }
        let mean: Vec<u8> = sum.iter().flat_map(|sum| (sum * scale).to_le_bytes()).collect();
        result = result.and(memory.write(Which::Grad, &layout.spans(exchange.rank, range), &mean));
    }
    result
}

/// Gives all ranks the parameters of each. Returns the first rank that failed, this one or another.
///
/// Each piece has a byte more, which says whether its rank has failed.
pub(crate) fn all_gather(
    memory: &mut impl Memory,
    exchange: &Exchange,
    layout: &Layout,
    piece: u64,
    before: Result<(), Error>,
) -> Result<(), Error> {
    let pieces = layout.pieces(piece);
    let mut result = before;
    let mut failed = None;
    let begin = |memory: &mut _, i: usize| {
        if let Some(range) = pieces.get(i) {
            Memory::read(memory, Which::Param, &layout.spans(exchange.rank, range), range.end - range.start);
        }
    };
    begin(memory, 0);
    for (i, range) in pieces.iter().enumerate() {
        let bytes = (range.end - range.start) as usize;
        let mut send = memory.take().unwrap_or_else(|error| {
            result = result.clone().and(Err(error));
            vec![0; bytes]
        });
        begin(memory, i + 1);
        send.push(result.is_err().into());
        let mut received = vec![0; send.len() * exchange.ranks];
        exchange.all_gather(&send, &mut received, || memory.poll());
        for (rank, of_rank) in received.chunks(send.len()).enumerate() {
            if of_rank[bytes] != 0 {
                failed = failed.or(Some(rank));
            } else if rank != exchange.rank {
                result = result.and(memory.write(Which::Param, &layout.spans(rank, range), &of_rank[..bytes]));
            }
        }
    }
    let of_another = |rank| Error::Rank { rank, reason: "it failed to read its parameters".to_owned() };
    result.and(failed.map_or(Ok(()), |rank| Err(of_another(rank))))
}
