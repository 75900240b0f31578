//! The suites: which subjects are compared, and the tables of their results.

mod formats;
mod page;
mod peers;
mod roofline;
mod rows;
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
use crate::report::{Table, Target};
use crate::shapes::{Shape, equal};
use crate::subject::{Median, Subject, median, side_by_side};

/// A set of comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// A step compared with its memory traffic, from 1 Ki to 64 Mi elements
    Roofline,
    /// Variants and options, at 16 Mi elements
    Variants,
    /// Formats of parameters, gradients and moments, at 16 Mi elements
    Formats,
    /// Many tensors: number of dispatches, time per step, host time to record
    Tensors,
    /// Rows of Gaussian splats: all, some, with one moment per row, and moved
    Rows,
    /// Comparison with other optimizers
    Peers,
}

type Failure = Box<dyn Error>;

/// Makes a subject.
type Maker<'a> = Box<dyn Fn() -> Result<Box<dyn Subject + 'a>, Failure> + 'a>;

/// The results of a run.
struct Findings<'a> {
    gpu: &'a Gpu,
    arguments: &'a Arguments,
    peers: Vec<Peer>,
    tables: Vec<Table>,
    targets: Vec<Target>,
    lines: Vec<Line>,
    /// The share of the processors' time that other programs used before the first measurement.
    load: Option<f64>,
    gauge: Gauge,
}

pub fn run(gpu: &Gpu, arguments: &Arguments) -> Result<(), Failure> {
    let load = page::load();
    let peers = arguments.peers.iter().map(Peer::start).collect::<Result<_, _>>()?;
    let gauge = Gauge::new(arguments.patience);
    let (tables, targets, lines) = Default::default();
    let mut findings = Findings { gpu, arguments, peers, tables, targets, lines, load, gauge };
    for suite in &arguments.suites {
        match suite {
            Suite::Roofline => findings.roofline()?,
            Suite::Variants => findings.variants()?,
            Suite::Formats => findings.formats()?,
            Suite::Tensors => findings.tensors()?,
            Suite::Rows => findings.rows()?,
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

/// Returns gigabytes per second, given the bytes of a step.
fn rate(bytes: u64, time: &Median) -> f64 {
    bytes as f64 / time.best() / 1e6
}

impl Findings<'_> {
    fn measure(&self, subjects: &mut [Box<dyn Subject + '_>]) -> Result<Vec<Median>, Failure> {
        let times = side_by_side(subjects, self.arguments.rounds, self.arguments.sample, &self.gauge)?;
        Ok(times.iter().map(|times| median(times)).collect())
    }

    /// Makes each subject twice, in this order and then in reverse order, and gives each half of the rounds. The
    /// location of its buffers changes the time of a subject by a few percent, and it depends on the order of
    /// allocation.
    fn measure_mirrored(&self, makers: &[Maker]) -> Result<Vec<Median>, Failure> {
        let mut subjects =
            makers.iter().chain(makers.iter().rev()).map(|make| make()).collect::<Result<Vec<_>, Failure>>()?;
        let rounds = self.arguments.rounds.div_ceil(2);
        let times = side_by_side(&mut subjects, rounds, self.arguments.sample, &self.gauge)?;
        let both = times.iter().zip(times.iter().rev()).take(makers.len());
        Ok(both.map(|(first, second)| median(&[&first[..], second].concat())).collect())
    }

    /// Returns whether a case is within `--elements`. Prints a message if it is not.
    fn fits(&self, name: &str, elements: u64) -> bool {
        let fits = elements <= self.arguments.elements;
        if !fits {
            eprintln!("speed: {name} is left out because of --elements");
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
        if !self.targets.is_empty() {
            let mut table = Table::new(
                "Targets",
                "Ratios of medians in this run, unless a unit is given.",
                &["what", "target", "measured", "met"],
            );
            self.targets.iter().for_each(|target| table.row(target.cells()));
            println!("{}", table.markdown());
            self.tables.insert(0, table);
        }
        let Some(folder) = &self.arguments.write else { return Ok(()) };
        fs::create_dir_all(folder)?;
        fs::write(folder.join("BENCHMARKS.md"), self.page())?;
        if !self.lines.is_empty() {
            let title = format!("{}: gigabytes per second", self.gpu.info.name);
            plot(&folder.join("roofline.svg"), &title, &self.lines)?;
        }
        Ok(())
    }
}
