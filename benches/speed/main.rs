//! Speed, side by side: what a step costs against the memory it moves, over many tensors, and against peers.
//!
//! One binary, which can be carried to a machine without Rust. See `benches/README.md` for what is measured and how.

mod cpu;
mod device;
mod gauge;
mod naive;
mod ours;
mod peer;
mod plot;
mod report;
mod shapes;
mod stopwatch;
mod streams;
mod subject;
mod suite;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use device::Gpu;
use peer::Command;
use suite::Suite;

/// Measure the speed of a step on the adapter at hand, side by side with peers.
///
/// WGPU_BACKEND and WGPU_ADAPTER_NAME choose among several adapters. Exit code 2: bad arguments. 3: there is no adapter.
#[derive(Parser)]
struct Arguments {
    /// What to measure; everything, if not given.
    #[arg(value_enum)]
    suites: Vec<Suite>,
    /// Times that each subject is measured; the median counts.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// The least time of one measurement, in milliseconds: as many steps as that takes.
    #[arg(long, default_value_t = 60.0)]
    sample: f64,
    /// Seconds, all together, to make measurements again that were disturbed by others on this machine.
    #[arg(long, default_value_t = 300.0)]
    patience: f64,
    /// The most elements of one optimizer; larger cases are left out.
    #[arg(long, default_value_t = 128 << 20)]
    elements: u64,
    /// A program to measure beside ours, as `name=command`: see `benches/README.md` for what it must answer.
    #[arg(long = "peer", value_name = "NAME=COMMAND")]
    peers: Vec<Command>,
    /// Where to write BENCHMARKS.md and its plots; the last one counts.
    #[arg(long, value_name = "FOLDER", overrides_with = "write")]
    write: Option<PathBuf>,
    /// Count the processor time of this process instead of the time on the wall: for a software adapter on a machine that
    /// is busy otherwise too. Says nothing of other adapters and of peers.
    #[arg(long)]
    processor_time: bool,
    /// `cargo bench` adds this; it means nothing here.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    env_logger::init();
    let mut arguments = Arguments::parse();
    if arguments.suites.is_empty() {
        arguments.suites = <Suite as clap::ValueEnum>::value_variants().to_vec();
    }
    if arguments.processor_time {
        stopwatch::count_processor_time();
    }
    let Some(gpu) = Gpu::new() else {
        eprintln!("speed: there is no adapter");
        return ExitCode::from(3);
    };
    match suite::run(&gpu, &arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("speed: {error}");
            ExitCode::FAILURE
        }
    }
}
