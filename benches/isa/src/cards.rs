//! A model of named cards: how long memory and how long arithmetic needs for a kernel.

use crate::classes::Counts;

pub const ELEMENTS: f64 = (16 << 20) as f64;

/// What the maker says of a card.
pub struct Card {
    pub name: &'static str,
    /// The family whose code stands for the card's.
    pub family: &'static str,
    /// The card is of another maker than the compiler, so that the code is only a proxy.
    pub proxy: bool,
    /// Compute units, or multiprocessors of NVIDIA.
    pub units: f64,
    /// The highest clock, in GHz.
    pub clock: f64,
    /// In GB/s.
    pub memory: f64,
    /// The results of a unit in a clock: for floats, integers, products of integers, transcendental functions. A load or store
    /// takes a slot of the issue as a float does.
    pub rates: [f64; 4],
}

const AMD: [f64; 4] = [64.0, 64.0, 16.0, 16.0];
const NVIDIA: [f64; 4] = [128.0, 64.0, 64.0, 16.0];

pub const CARDS: [Card; 6] = [
    Card { name: "RX 6900 XT", family: "NAVI21", proxy: false, units: 80.0, clock: 2.25, memory: 512.0, rates: AMD },
    Card { name: "RX 7900 XTX", family: "GFX1100", proxy: false, units: 96.0, clock: 2.5, memory: 960.0, rates: AMD },
    Card { name: "Radeon VII", family: "VEGA20", proxy: false, units: 60.0, clock: 1.75, memory: 1024.0, rates: AMD },
    Card { name: "RTX 4090", family: "GFX1100", proxy: true, units: 128.0, clock: 2.52, memory: 1008.0, rates: NVIDIA },
    Card { name: "H100 SXM", family: "GFX1100", proxy: true, units: 132.0, clock: 1.98, memory: 3350.0, rates: NVIDIA },
    Card { name: "H200", family: "GFX1100", proxy: true, units: 132.0, clock: 1.98, memory: 4800.0, rates: NVIDIA },
];

impl Card {
    /// The time in ms in which memory moves these bytes an element.
    pub fn memory_ms(&self, bytes: f64) -> f64 {
        ELEMENTS * bytes / (self.memory * 1e6)
    }

    /// The time in ms of the arithmetic, if `elements` take these instructions and no two classes overlap.
    pub fn arithmetic_ms(&self, counts: Counts, elements: u32) -> f64 {
        let [floats, integers, products, transcendentals] = self.rates;
        let clocks = f64::from(counts.float + counts.memory) / floats
            + f64::from(counts.integer) / integers
            + f64::from(counts.product) / products
            + f64::from(counts.transcendental) / transcendentals;
        clocks / f64::from(elements) * ELEMENTS / (self.units * self.clock * 1e6)
    }
}
