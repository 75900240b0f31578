//! The suites: which subjects are measured side by side, and what is made of it.

mod formats;
mod page;
mod peers;
mod roofline;
mod tensors;
mod variants;

use std::error::Error;
use std::fs;

use clap::ValueEnum;
use wgpu_adam::{Config, Decay, Options};

use crate::Arguments;
use crate::device::Gpu;
use crate::gauge::Gauge;
use crate::ours::{Layout, Ours};
use crate::peer::Peer;
use crate::plot::{Line, plot};
use crate::report::{Bar, Table};
use crate::shapes::{Shape, equal};
use crate::subject::{Median, Subject, median, side_by_side};

/// What to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// A step against the memory it moves, from 1 Ki to 64 Mi elements.
    Roofline,
    /// Variants and options, at 16 Mi elements.
    Variants,
    /// Formats of params, gradients and state, at 16 Mi elements.
    Formats,
    /// Many tensors: launches, time a step, host time to record.
    Tensors,
    /// Beside other optimizers.
    Peers,
}

type Failure = Box<dyn Error>;

/// How to make a subject.
type Maker<'a> = Box<dyn Fn() -> Result<Box<dyn Subject + 'a>, Failure> + 'a>;

/// All that a run has found.
struct Findings<'a> {
    gpu: &'a Gpu,
    arguments: &'a Arguments,
    peers: Vec<Peer>,
    tables: Vec<Table>,
    bars: Vec<Bar>,
    lines: Vec<Line>,
    /// The part of the processors' time that others used before anything was measured.
    load: Option<f64>,
    gauge: Gauge,
}

pub fn run(gpu: &Gpu, arguments: &Arguments) -> Result<(), Failure> {
    let load = page::load();
    let peers = arguments.peers.iter().map(Peer::start).collect::<Result<_, _>>()?;
    let gauge = Gauge::new(arguments.patience);
    let (tables, bars, lines) = Default::default();
    let mut findings = Findings { gpu, arguments, peers, tables, bars, lines, load, gauge };
    for suite in &arguments.suites {
        match suite {
            Suite::Roofline => findings.roofline()?,
            Suite::Variants => findings.variants()?,
            Suite::Formats => findings.formats()?,
            Suite::Tensors => findings.tensors()?,
            Suite::Peers => findings.peers()?,
        }
    }
    findings.finish()
}

fn adamw() -> Config {
    Config { decay: Decay::Decoupled(0.01), ..Config::default() }
}

fn one(len: u64) -> Vec<Shape> {
    equal(1, len, 1)
}

/// Gigabytes a second, of so many bytes a step.
fn rate(bytes: u64, time: &Median) -> f64 {
    bytes as f64 / time.best() / 1e6
}

impl Findings<'_> {
    fn measure(&self, subjects: &mut [Box<dyn Subject + '_>]) -> Result<Vec<Median>, Failure> {
        let times = side_by_side(subjects, self.arguments.rounds, self.arguments.sample, &self.gauge)?;
        Ok(times.iter().map(|times| median(times)).collect())
    }

    /// Measures each of them twice, with half of the rounds: made in this order, and once more in the reverse one. Where its
    /// buffers come to lie makes a few percent, and buffers that are made later lie better or worse than earlier ones.
    fn measure_mirrored(&self, makers: &[Maker]) -> Result<Vec<Median>, Failure> {
        let mut subjects =
            makers.iter().chain(makers.iter().rev()).map(|make| make()).collect::<Result<Vec<_>, Failure>>()?;
        let rounds = self.arguments.rounds.div_ceil(2);
        let times = side_by_side(&mut subjects, rounds, self.arguments.sample, &self.gauge)?;
        let both = times.iter().zip(times.iter().rev()).take(makers.len());
        Ok(both.map(|(first, second)| median(&[&first[..], second].concat())).collect())
    }

    /// Leaves out what is too large for `--elements`, and says so.
    fn fits(&self, name: &str, elements: u64) -> bool {
        let fits = elements <= self.arguments.elements;
        if !fits {
            eprintln!("speed: {name} is left out, by --elements");
        }
        fits
    }

    fn ours(
        &self,
        shapes: &[Shape],
        layout: Layout,
        config: Config,
        options: Options,
    ) -> Result<Ours<'_>, wgpu_adam::Error> {
        Ours::new(self.gpu, shapes, layout, config, options)
    }

    fn add(&mut self, table: Table) {
        println!("{}", table.markdown());
        self.tables.push(table);
    }

    fn finish(mut self) -> Result<(), Failure> {
        if !self.bars.is_empty() {
            let mut table = Table::new("Bars", "Ratios of medians in this run.", &["what", "bar", "measured", "met"]);
            self.bars.iter().for_each(|bar| table.row(bar.cells()));
            println!("{}", table.markdown());
            self.tables.insert(0, table);
        }
        let Some(folder) = &self.arguments.write else { return Ok(()) };
        fs::create_dir_all(folder)?;
        fs::write(folder.join("BENCHMARKS.md"), self.page())?;
        if !self.lines.is_empty() {
            let title = format!("{}: gigabytes a second", self.gpu.info.name);
            plot(&folder.join("roofline.svg"), &title, &self.lines)?;
        }
        Ok(())
    }
}
