//! Measures wall-clock time, or the processor time of all threads of this process.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

static PROCESSOR: AtomicBool = AtomicBool::new(false);

/// Makes all stopwatches measure processor time from now on. It is more informative for a software adapter on a busy
/// machine.
pub fn count_processor_time() {
    PROCESSOR.store(true, Relaxed);
}

pub fn counts_processor_time() -> bool {
    PROCESSOR.load(Relaxed)
}

pub struct Stopwatch {
    wall: Instant,
    processor: f64,
}

impl Stopwatch {
    pub fn start() -> Self {
        Self { wall: Instant::now(), processor: processor() }
    }

    /// Returns the milliseconds since the start.
    pub fn ms(&self) -> f64 {
        if counts_processor_time() { processor() - self.processor } else { 1e3 * self.wall.elapsed().as_secs_f64() }
    }
}

fn processor() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    1e3 * time.tv_sec as f64 + 1e-6 * time.tv_nsec as f64
}
