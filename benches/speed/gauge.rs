//! Detects other load on this machine. A fixed piece of arithmetic runs on all processors, and its time is compared
//! with its shortest time so far. On shared processors all arithmetic can take up to twice as long for minutes, and not
//! all subjects slow down equally.

use std::cell::Cell;
use std::hint::black_box;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// If the arithmetic takes more than this multiple of its shortest time, the machine counts as disturbed.
const STEADY: f64 = 1.25;
const PAUSE: Duration = Duration::from_millis(500);

pub struct Gauge {
    fastest: Cell<f64>,
    /// Seconds that one measurement may take in all, repeats included.
    patience: Cell<f64>,
    measured: Cell<u32>,
    repeats: Cell<u32>,
    disturbed: Cell<u32>,
}

impl Gauge {
    /// Creates a gauge that repeats a disturbed measurement for up to `patience` seconds, and keeps the result after
    /// that.
    pub fn new(patience: f64) -> Self {
        let gauge = Self {
            fastest: Cell::new(f64::INFINITY),
            patience: Cell::new(patience),
            measured: Cell::new(0),
            repeats: Cell::new(0),
            disturbed: Cell::new(0),
        };
        for _ in 0..20 {
            gauge.is_steady();
        }
        gauge
    }

    /// Runs `run`, and repeats it if the machine was disturbed just before or after.
    pub fn steadily<T, E>(&self, mut run: impl FnMut() -> Result<T, E>) -> Result<T, E> {
        let start = Instant::now();
        let mut before = self.is_steady();
        self.measured.set(self.measured.get() + 1);
        loop {
            let result = run()?;
            let after = self.is_steady();
            if before && after {
                return Ok(result);
            }
            if start.elapsed().as_secs_f64() > self.patience.get() {
                self.disturbed.set(self.disturbed.get() + 1);
                return Ok(result);
            }
            self.repeats.set(self.repeats.get() + 1);
            if !after {
                sleep(PAUSE);
            }
            before = self.is_steady();
        }
    }

    /// Describes how steady the machine was.
    pub fn report(&self) -> String {
        format!(
            "{} measurements; {} repeats, because a fixed piece of arithmetic before or after a measurement took more than \
             {STEADY} of its shortest time; {} measurements were kept although disturbed",
            self.measured.get(),
            self.repeats.get(),
            self.disturbed.get()
        )
    }

    fn is_steady(&self) -> bool {
        let shortest = (0..3).map(|_| time()).fold(f64::INFINITY, f64::min);
        self.fastest.set(self.fastest.get().min(shortest));
        shortest <= STEADY * self.fastest.get()
    }
}

/// Returns the seconds that the arithmetic takes.
fn time() -> f64 {
    let start = Instant::now();
    rayon::broadcast(|_| black_box(arithmetic(black_box(0.999))));
    start.elapsed().as_secs_f64()
}

/// Computes many independent sums, so that latency does not limit it. It takes twice as long if the core is shared.
fn arithmetic(factor: f32) -> f32 {
    let mut sums = [1.0_f32; 48];
    for _ in 0..50_000 {
        sums.iter_mut().for_each(|sum| *sum = *sum * factor + 0.001);
    }
    sums.iter().sum()
}
