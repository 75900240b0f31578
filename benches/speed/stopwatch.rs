//! The clock on the wall, or the time that all threads of this process have spent computing.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

static PROCESSOR: AtomicBool = AtomicBool::new(false);

/// From now on the processor's time counts. It says more where the adapter is the processor and others use it too.
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

    /// Milliseconds since the start.
    pub fn ms(&self) -> f64 {
        if counts_processor_time() { processor() - self.processor } else { 1e3 * self.wall.elapsed().as_secs_f64() }
    }
}

fn processor() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    1e3 * time.tv_sec as f64 + 1e-6 * time.tv_nsec as f64
}
