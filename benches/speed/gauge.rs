//! Whether others slow this machine down just now: a fixed piece of arithmetic on all processors, against the fastest that it
//! has been. Where processors are shared with others there are minutes in which all arithmetic takes up to twice as
//! long, and not all subjects as much.

use std::cell::Cell;
use std::hint::black_box;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Slower than that, against the fastest: disturbed.
const STEADY: f64 = 1.25;
const PAUSE: Duration = Duration::from_millis(500);

pub struct Gauge {
    fastest: Cell<f64>,
    /// Seconds that are left to wait.
    patience: Cell<f64>,
    measured: Cell<u32>,
    again: Cell<u32>,
    disturbed: Cell<u32>,
}

impl Gauge {
    /// It waits so many seconds in all, and takes what there is after that.
    pub fn new(patience: f64) -> Self {
        let gauge = Self {
            fastest: Cell::new(f64::INFINITY),
            patience: Cell::new(patience),
            measured: Cell::new(0),
            again: Cell::new(0),
            disturbed: Cell::new(0),
        };
        for _ in 0..20 {
            gauge.is_steady();
        }
        gauge
    }

    /// Does it, and again where the machine was disturbed just before or after.
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
            self.again.set(self.again.get() + 1);
            if !after {
                sleep(PAUSE);
            }
            before = self.is_steady();
        }
    }

    /// What to say of the machine.
    pub fn report(&self) -> String {
        format!(
            "of {} measurements, {} were made again since a fixed piece of arithmetic beside them took more than {STEADY} of \
             its shortest time, and {} were kept nevertheless",
            self.measured.get(),
            self.again.get(),
            self.disturbed.get()
        )
    }

    fn is_steady(&self) -> bool {
        let shortest = (0..3).map(|_| time()).fold(f64::INFINITY, f64::min);
        self.fastest.set(self.fastest.get().min(shortest));
        shortest <= STEADY * self.fastest.get()
    }
}

/// Seconds for the arithmetic.
fn time() -> f64 {
    let start = Instant::now();
    rayon::broadcast(|_| black_box(arithmetic(black_box(0.999))));
    start.elapsed().as_secs_f64()
}

/// More sums at once than wait for each other, so that it takes twice as long where a core is shared.
fn arithmetic(factor: f32) -> f32 {
    let mut sums = [1.0_f32; 48];
    for _ in 0..50_000 {
        sums.iter_mut().for_each(|sum| *sum = *sum * factor + 0.001);
    }
    sums.iter().sum()
}
