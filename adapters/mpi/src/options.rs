//! How the ranks exchange.

use std::time::Duration;

use half::{bf16, f16};

/// The most bytes that one operation moves for all ranks: a count of MPI is a 32-bit integer.
pub(crate) const MOST: usize = 1 << 30;

/// Options of a sharded optimizer. They must be the same on all ranks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// The options of the optimizer. `share_norm` is always set. `accumulate` must not be: the ranks exchange in each step,
    /// so accumulate before it.
    pub adam: wgpu_adam::Options,
    /// The format in which gradients travel. Default: [`Wire::F32`]. Parameters travel as they are stored.
    pub wire: Wire,
    /// What becomes of the gradients of all ranks. Default: [`Reduction::Mean`].
    pub reduction: Reduction,
    /// The bytes of a piece: what a rank sends to all ranks, or gets from them, in one operation. Two pieces are in memory, since one is
    /// read while the other travels. Rounded down to a multiple of 1 KiB for each rank. At most 1 GiB is used. Default: `None`, which
    /// means 4 MiB.
    pub piece: Option<u64>,
    /// How long a rank waits for the others before it aborts the job with code [`ABORTED`](Options::ABORTED), so that nothing hangs
    /// for ever. It includes the time that other ranks take between two steps. Only the first operation of a constructor, which
    /// duplicates the communicator, has no deadline. Default: `None`, which means ten minutes.
    pub timeout: Option<Duration>,
}

impl Options {
    /// The code with which a job ends if a rank waits too long: `EX_TEMPFAIL` of sysexits.h.
    pub const ABORTED: i32 = 75;

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(Duration::from_secs(600))
    }

    pub(crate) fn piece(&self, ranks: usize) -> u64 {
        // A multiple of the 1,024 bytes of a block of f32.
        (self.piece.unwrap_or(4 << 20).min(MOST as u64) / ranks as u64 / 1024 * 1024).max(1024)
    }
}

/// What becomes of the gradients of all ranks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reduction {
    /// Their sum times 1 / ranks, as for a loss that is a mean over the batch. PyTorch's `DistributedDataParallel` has the same.
    #[default]
    Mean,
    /// Their sum.
    Sum,
}

/// The format of gradients on the wire. They are added in f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wire {
    /// 4 bytes each.
    #[default]
    F32,
    /// 2 bytes each, rounded to nearest. Gradients above 65,504 become infinite, and small ones lose bits: use a loss scale.
    F16,
    /// 2 bytes each, rounded to nearest, with the range of f32.
    Bf16,
}

impl Wire {
    /// The bytes on the wire of these f32.
    pub(crate) fn encode(self, floats: Vec<u8>) -> Vec<u8> {
        let values = floats.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        match self {
            Self::F32 => floats,
            Self::F16 => values.flat_map(|x| f16::from_f32(x).to_le_bytes()).collect(),
            Self::Bf16 => values.flat_map(|x| bf16::from_f32(x).to_le_bytes()).collect(),
        }
    }

    /// The f32 of these bytes on the wire.
    pub(crate) fn decode(self, bytes: &[u8]) -> Vec<f32> {
        let halves = || bytes.as_chunks().0.iter().map(|bytes| u16::from_le_bytes(*bytes));
        match self {
            Self::F32 => bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
            Self::F16 => halves().map(|bits| f16::from_bits(bits).to_f32()).collect(),
            Self::Bf16 => halves().map(|bits| bf16::from_bits(bits).to_f32()).collect(),
        }
    }
}
