//! The operations of MPI that are in use: each has a deadline, and its bytes are counted.

use std::cell::Cell;
use std::time::{Duration, Instant};

use mpi::request::{Request, Scope, scope};
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives, Root};

use crate::options::{MOST, Options};

/// The bytes of a short message, with its length.
const SHORT: usize = 256;

/// The length in front of a message.
fn length(message: &[u8]) -> usize {
    message.first_chunk().map_or(0, |len| u64::from_le_bytes(*len)) as usize
}

/// The ranks of a sharded optimizer.
pub(crate) struct Exchange {
    world: SimpleCommunicator,
    pub rank: usize,
    pub ranks: usize,
    timeout: Duration,
    sent: Cell<u64>,
}

impl Exchange {
    /// A communicator of its own, so that other messages of the program do not meet those of the optimizer.
    pub fn new(world: &impl Communicator, timeout: Duration) -> Self {
        let world = world.duplicate();
        let (rank, ranks) = (world.rank() as usize, world.size() as usize);
        Self { world, rank, ranks, timeout, sent: Cell::new(0) }
    }

    /// The bytes that this rank has sent to other ranks.
    pub fn sent(&self) -> u64 {
        self.sent.get()
    }

    fn count(&self, bytes: usize) {
        self.sent.set(self.sent.get() + bytes as u64);
    }

    /// Rank r gets the r-th part of what each rank sends, in the order of the ranks.
    pub fn all_to_all(&self, send: &[u8], receive: &mut [u8], poll: impl FnMut()) {
        self.count(send.len() / self.ranks * (self.ranks - 1));
        scope(|scope| self.wait(self.world.immediate_all_to_all_into(scope, send, receive), poll));
    }

    /// All ranks get what each rank sends, in the order of the ranks.
    pub fn all_gather(&self, send: &[u8], receive: &mut [u8], poll: impl FnMut()) {
        self.count(send.len() * (self.ranks - 1));
        scope(|scope| self.wait(self.world.immediate_all_gather_into(scope, send, receive), poll));
    }

    /// All ranks get the message of each rank. Messages may differ in length. Short ones take one operation, since each costs
    /// the latency of the network.
    pub fn all_messages(&self, message: &[u8]) -> Vec<Vec<u8>> {
        let padded = |len: usize| {
            let begin = (message.len() as u64).to_le_bytes();
            let mut padded = [&begin, message].concat();
            padded.resize(len, 0);
            padded
        };
        let all = self.all_equal(&padded(SHORT));
        let lens: Vec<usize> = all.iter().map(|message| length(message)).collect();
        let longest = 8 + lens.iter().copied().max().unwrap_or(0);
        let all = if longest > SHORT { self.all_equal(&padded(longest)) } else { all };
        all.iter().zip(lens).map(|(message, len)| message[8..8 + len].to_vec()).collect()
    }

    /// All ranks get the message of each rank. All have this length.
    fn all_equal(&self, message: &[u8]) -> Vec<Vec<u8>> {
        let mut all = vec![0; message.len() * self.ranks];
        self.all_gather(message, &mut all, || {});
        all.chunks(message.len()).map(<[u8]>::to_vec).collect()
    }

    /// Rank 0 gets the bytes of each rank. They may differ in length.
    pub fn gather(&self, bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
        let lens = self.all_equal(&(bytes.len() as u64).to_le_bytes());
        let lens: Vec<usize> = lens.iter().map(|len| length(len)).collect();
        let longest = lens.iter().copied().max().unwrap_or(0);
        let root = self.world.process_at_rank(0);
        let mut all: Vec<Vec<u8>> = vec![Vec::new(); self.ranks];
        let most = (MOST / self.ranks).clamp(1, 16 << 20);
        for first in (0..longest).step_by(most) {
            let size = most.min(longest - first);
            let mut piece = bytes[first.min(bytes.len())..(first + size).min(bytes.len())].to_vec();
            piece.resize(size, 0);
            if self.rank == 0 {
                let mut received = vec![0; size * self.ranks];
                scope(|scope| self.wait(root.immediate_gather_into_root(scope, &piece[..], &mut received[..]), || {}));
                for (rank, part) in received.chunks(size).enumerate() {
                    all[rank].extend_from_slice(&part[..lens[rank].saturating_sub(first).min(size)]);
                }
            } else {
                self.count(size);
                scope(|scope| self.wait(root.immediate_gather_into(scope, &piece[..]), || {}));
            }
        }
        (self.rank == 0).then_some(all)
    }

    /// Waits for an operation. If a rank is gone, it would never end: the job is aborted then.
    fn wait<'a, D: ?Sized, S: Scope<'a>>(&self, mut request: Request<'a, D, S>, mut poll: impl FnMut()) {
        let begun = Instant::now();
        loop {
            match request.test() {
                Ok(_) => return,
                Err(pending) => request = pending,
            }
            poll();
            if begun.elapsed() > self.timeout {
                let seconds = self.timeout.as_secs_f64();
                log::error!("rank {} has waited {seconds} s for the other ranks, and aborts the job", self.rank);
                self.world.abort(Options::ABORTED);
            }
            // Other ranks may need this core.
            if begun.elapsed() < Duration::from_millis(1) {
                std::thread::yield_now();
            } else {
                std::thread::sleep(Duration::from_micros(100));
            }
        }
    }
}
