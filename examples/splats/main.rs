//! Fits an image with 2D Gaussians on the GPU. Rendering, gradients, Adam, pruning, cloning and splitting are WGSL kernels
//! on the same buffers. `--help` lists the options. The equations are in `splat.rs`; the optimizer is described in
//! `optimizer.rs`.

#[path = "../adapter/mod.rs"]
mod adapter;
mod cli;
mod cpu;
#[path = "../train/device.rs"]
mod device;
mod fit;
mod gpu;
#[cfg(test)]
mod gradient;
mod init;
#[path = "../train/kernel.rs"]
#[allow(dead_code, reason = "no kernel here has a uniform")]
mod kernel;
mod optimizer;
mod passes;
mod picture;
#[path = "../train/random.rs"]
#[allow(dead_code, reason = "nothing is shuffled here")]
mod random;
mod readback;
mod refine;
mod setup;
mod splat;
#[path = "../stop/mod.rs"]
mod stop;
mod surgery;
mod target;
mod trainer;

use clap::Parser;
use cli::Cli;
use cpu::Cpu;
use gpu::Gpu;
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use optimizer::Settings;
use setup::{Score, Setup};
use splat::COLUMNS;
use std::{
    io::{ErrorKind, Write},
    process::ExitCode,
    sync::Arc,
    time::Instant,
};
use stop::{Stop, exit_code};
use target::Target;
use trainer::Trainer;

/// Number of scores in a run.
const SCORES: u32 = 20;

fn main() -> ExitCode {
    adapter::log();
    exit_code("splats", run(&Cli::parse()))
}

fn run(cli: &Cli) -> Result<(), Stop> {
    let target = match &cli.image {
        Some(path) => picture::read(path, cli.size).map_err(Stop::user)?,
        None => picture::astronaut(),
    };
    if let Some(folder) = &cli.frames {
        std::fs::create_dir_all(folder).map_err(|error| Stop::user(format!("{}: {error}", folder.display())))?;
    }
    let most = cli.splats as usize;
    let setup = Setup {
        target: &target,
        rows: init::rows(&target, cli.start() as usize, cli.seed),
        most,
        capacity: most.next_multiple_of(4),
        settings: Settings {
            steps: cli.steps,
            lr: cli.lr,
            moments: cli.moments.into(),
            second: cli.second_moment.into(),
            counts: cli.row_steps.into(),
            seed: cli.seed as u32,
        },
    };
    // If the file cannot be written, report it before the fit.
    picture::write_comparison(&cli.output, &target, &target.pixels).map_err(Stop::user)?;
    let (mut trainer, place) = trainer(cli, &setup)?;
    let template = "{bar:40} {pos}/{len} steps, {eta} left";
    let style = ProgressStyle::with_template(template).expect("a valid template");
    let bar = ProgressBar::new(cli.steps.into()).with_style(style);
    let say = |line: String| bar.suspend(|| print(&line));
    let [width, height] = target.size;
    say(format!("runs on  {place}"))?;
    say(format!("image    {width} x {height}"))?;
    let [first, last] = [cli.start(), cli.splats].map(|count| HumanCount(count.into()));
    say(format!(
        "splats   {first} at the start, at most {last}; {} steps, seed {}",
        HumanCount(cli.steps.into()),
        cli.seed
    ))?;
    if let Some(bytes) = trainer.state_bytes() {
        let full = (2 * 4 * COLUMNS * setup.capacity) as u64;
        let percent = 100.0 * bytes as f64 / full as f64;
        say(format!("moments  {}, {percent:.1} % of those of Adam in f32 ({})", HumanBytes(bytes), HumanBytes(full)))?;
    }

    let start = Instant::now();
    let say_score = |score: Score| {
        let seconds = start.elapsed().as_secs_f64();
        let splats = HumanCount(score.splats.into()).to_string();
        say(format!("step {:>6}   {:5.2} dB   {splats:>7} splats   {seconds:6.1} s", score.step, score.psnr()))
    };
    let every = cli.steps.div_ceil(SCORES);
    let mut step = 0;
    while step < cli.steps {
        if step.is_multiple_of(every) {
            trainer.measure().map_err(Stop::failure)?;
            frame(cli, &target, &mut *trainer, step)?;
        }
        if !cli.fixed && surgery::is_due(step, cli.steps) {
            trainer.refine().map_err(Stop::failure)?;
        }
        let next = |interval: u32| (step / interval + 1) * interval;
        let end = cli.steps.min(next(every)).min(next(surgery::INTERVAL)).min(next(10));
        trainer.advance(end - step).map_err(Stop::failure)?;
        bar.inc((end - step).into());
        step = end;
        while let Some(score) = trainer.score(false).map_err(Stop::failure)? {
            say_score(score)?;
        }
    }
    trainer.measure().map_err(Stop::failure)?;
    while let Some(score) = trainer.score(true).map_err(Stop::failure)? {
        say_score(score)?;
    }
    frame(cli, &target, &mut *trainer, step)?;
    bar.finish_and_clear();
    let result = trainer.picture().map_err(Stop::failure)?;
    picture::write_comparison(&cli.output, &target, &result).map_err(Stop::user)?;
    say(format!("target, result and {} times the error: {}", picture::MAGNIFIED, cli.output.display()))
}

/// Writes the image of the last `measure`, if the user wants frames.
fn frame(cli: &Cli, target: &Target, trainer: &mut dyn Trainer, step: u32) -> Result<(), Stop> {
    let Some(folder) = &cli.frames else { return Ok(()) };
    let result = trainer.picture().map_err(Stop::failure)?;
    picture::write(&folder.join(format!("{step:06}.png")), target.size, &result).map_err(Stop::user)
}

/// Returns the requested trainer, or the one on the CPU if there is no GPU. Also returns a description of where it
/// runs.
fn trainer<'a>(cli: &Cli, setup: &Setup<'a>) -> Result<(Box<dyn Trainer + 'a>, String), Stop> {
    if !cli.cpu {
        match device::open() {
            Ok((device, queue, name)) => {
                device.on_uncaptured_error(Arc::new(|error| {
                    eprintln!("splats: the GPU reported an error: {error}");
                    std::process::exit(1);
                }));
                return Ok((Box::new(Gpu::new(device, queue, setup).map_err(Stop::failure)?), name));
            }
            Err(problem) => eprintln!("splats: {problem}; fitting on the CPU instead, as with --cpu"),
        }
    }
    let place = format!("the CPU ({} threads)", rayon::current_num_threads());
    Ok((Box::new(Cpu::new(setup).map_err(Stop::failure)?), place))
}

/// Prints a line. If the reader is gone (`| head`), the program ends without a message.
fn print(line: &str) -> Result<(), Stop> {
    writeln!(std::io::stdout(), "{line}").map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Stop::failure(""),
        _ => Stop::failure(format!("cannot print: {error}")),
    })
}
