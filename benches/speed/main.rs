//! Measures speed in side-by-side comparisons: a step against its memory traffic, many tensors against one, and this
//! crate against its peers.
//!
//! The program is a single binary that can be copied to a machine without Rust. `benches/README.md` explains what is
//! measured and how.

mod cpu;
mod device;
mod gauge;
mod naive;
mod ours;
mod peer;
mod plot;
mod report;
mod rows;
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

/// Measure the speed of an optimizer step on this machine's adapter, side by side with peers.
///
/// WGPU_BACKEND and WGPU_ADAPTER_NAME choose among several adapters. Exit code 2: invalid arguments. 3: no adapter was
/// found.
#[derive(Parser)]
struct Arguments {
    /// Suites to measure [default: all]
    #[arg(value_enum)]
    suites: Vec<Suite>,
    /// Number of measurements of each subject; the median counts
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Target time of one measurement, in milliseconds; it determines the number of steps
    #[arg(long, default_value_t = 60.0)]
    sample: f64,
    /// Maximum time of one measurement, in seconds, including repeats because other programs disturbed it
    #[arg(long, default_value_t = 300.0)]
    patience: f64,
    /// Maximum number of elements of one optimizer; larger cases are left out
    #[arg(long, default_value_t = 128 << 20)]
    elements: u64,
    /// A program to compare with; `benches/README.md` describes the protocol
    #[arg(long = "peer", value_name = "NAME=COMMAND")]
    peers: Vec<Command>,
    /// Folder for BENCHMARKS.md and its plot; the last one given counts
    #[arg(long, value_name = "FOLDER", overrides_with = "write")]
    write: Option<PathBuf>,
    /// Measure the processor time of this process instead of wall-clock time
    ///
    /// This is useful for a software adapter on a busy machine. It is meaningless for other adapters and for peers.
    #[arg(long)]
    processor_time: bool,
    /// `cargo bench` passes this flag. It is ignored.
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
        eprintln!("speed: no adapter was found");
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
