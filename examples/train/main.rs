//! Trains a small network on the GPU. The forward pass, the backward pass and Adam are WGSL kernels on the same
//! buffers. `--help` lists the options. The equations are in `network.rs`; the calls of this crate are in `gpu.rs`.

#[path = "../adapter/mod.rs"]
mod adapter;
mod buffer;
mod cli;
mod cpu;
mod data;
mod device;
mod gpu;
#[cfg(test)]
mod gradient;
mod idx;
mod kernel;
#[allow(dead_code, reason = "one network trains here, without softplus")]
mod matrix;
mod minibatch;
mod network;
mod passes;
mod plot;
mod product;
mod random;
mod rate;
mod resident;
#[path = "../stop/mod.rs"]
mod stop;
mod storage;
mod trainer;

use clap::Parser;
use cli::Cli;
use cpu::Cpu;
use data::Data;
use gpu::Gpu;
use indicatif::{ProgressBar, ProgressStyle};
use network::Network;
use random::Random;
use std::{
    io::{ErrorKind, Write},
    process::ExitCode,
    sync::Arc,
    time::Instant,
};
use stop::{Stop, exit_code};
use trainer::{Epoch, Setup, Trainer};
use wgpu_adam::probe::Measures;

fn main() -> ExitCode {
    adapter::log();
    exit_code("train", run(&Cli::parse()))
}

fn run(cli: &Cli) -> Result<(), Stop> {
    let data = match &cli.data {
        Some(folder) => Data::idx(folder, cli.classes.into()).map_err(Stop::user)?,
        None => Data::digits(),
    };
    let network = Network { features: data.features, hidden: cli.hidden(), classes: data.classes };
    let mut random = Random::new(cli.seed);
    let batch = cli.batch().min(data.train.len());
    let epochs = cli.epochs();
    let train_batches = data.train.len().div_ceil(batch) as u64;
    let steps = u32::try_from(u64::from(epochs) * train_batches).unwrap_or(u32::MAX);
    let setup = Setup {
        data: &data,
        network,
        param: network.init(&mut random),
        batch,
        lr: cli.lr,
        schedule: cli.schedule.schedule(steps, cli.warm_up),
        weight_decay: cli.weight_decay,
        clip: cli.clip,
        storage: cli.storage(),
        seed: cli.seed as u32,
    };
    let batches = train_batches + data.held_out.len().div_ceil(batch) as u64;
    let shape = format!("{}-{}-{}", data.features, network.hidden, data.classes);

    let (mut trainer, place) = trainer(cli, setup)?;
    let bar = progress(cli, u64::from(epochs) * batches);
    let say = |line: String| if cli.quiet { Ok(()) } else { bar.suspend(|| print(&line)) };
    say(format!("runs on  {place}"))?;
    say(format!("data     {}", data.title))?;
    say(format!(
        "network  {shape}, {} parameters; batch {batch}, lr {:?} ({}), seed {}{}",
        network.len(),
        cli.lr,
        cli.schedule.name(),
        cli.seed,
        cli.storage().title(),
    ))?;
    let title =
        format!("{}: {shape}, batch {batch}, lr {:?} ({}), seed {}", data.name, cli.lr, cli.schedule.name(), cli.seed);
    let draw = |so_far: &[_]| match cli.no_plot {
        true => Ok(()),
        false => plot::draw(&cli.plot, &title, so_far, epochs)
            .map_err(|error| Stop::user(format!("{}: cannot write the plot: {error}", cli.plot.display()))),
    };
    // If the file cannot be written, report it before training.
    draw(&[])?;

    let mut order = data.train.clone();
    let mut so_far = Vec::new();
    let start = Instant::now();
    for epoch in 0..epochs {
        let begin = Instant::now();
        random.shuffle(&mut order);
        let scores = trainer.epoch(&order, &|batches| bar.inc(batches)).map_err(Stop::failure)?;
        say(format!(
            "epoch {:>3}/{epochs}   loss {:.4}   accuracy {:6.2} %   held out {:6.2} %   {}   {:.2} s",
            epoch + 1,
            scores.train.loss,
            scores.train.percent(),
            scores.held_out.percent(),
            adam(&scores),
            begin.elapsed().as_secs_f64(),
        ))?;
        so_far.push(scores);
        draw(&so_far)?;
    }
    bar.finish_and_clear();

    let report = trainer.report().map_err(Stop::failure)?;
    let last = so_far.last().expect("there is at least one epoch").held_out;
    print(&format!(
        "held-out accuracy {:.2} % ({} of {}) after {epochs} epoch{}, {} steps ({} skipped), {:.1} s",
        last.percent(),
        last.correct,
        last.rows,
        if epochs == 1 { "" } else { "s" },
        report.t,
        report.skipped,
        start.elapsed().as_secs_f64(),
    ))?;
    if !cli.no_plot {
        say(format!("plot: {}", cli.plot.display()))?;
    }
    Ok(())
}

/// Returns the requested trainer, or the one on the CPU if there is no GPU. Also returns a description of where it
/// runs.
fn trainer<'a>(cli: &Cli, setup: Setup<'a>) -> Result<(Box<dyn Trainer + 'a>, String), Stop> {
    if !cli.cpu {
        match device::open() {
            Ok((device, queue, name)) => {
                device.on_uncaptured_error(Arc::new(|error| {
                    eprintln!("train: the GPU reported an error: {error}");
                    std::process::exit(1);
                }));
                let gpu = Gpu::new(device, queue, &setup).map_err(Stop::failure)?;
                return Ok((Box::new(gpu), name));
            }
            Err(problem) => eprintln!("train: {problem}; training on the CPU instead, as with --cpu"),
        }
    }
    let place = format!("the CPU ({} threads)", rayon::current_num_threads());
    Ok((Box::new(Cpu::new(setup).map_err(Stop::failure)?), place))
}

fn progress(cli: &Cli, minibatches: u64) -> ProgressBar {
    if cli.quiet {
        return ProgressBar::hidden();
    }
    let template = "{bar:40} {pos}/{len} minibatches, {eta} left";
    ProgressBar::new(minibatches).with_style(ProgressStyle::with_template(template).expect("a valid template"))
}

/// Describes the measured steps of the epoch: the signal-to-noise ratio of the gradients, the effective step in units
/// of the learning rate, and the ratio of the update to the parameters.
fn adam(scores: &Epoch) -> String {
    if scores.insights.iter().all(|insight| insight.skipped) {
        let nonfinite = 100.0 * scores.mean(|all| Some(all.nonfinite_share())).unwrap_or_default();
        return format!("steps skipped: {nonfinite:.1} % of the gradients are non-finite");
    }
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
    let snr = number(scores.mean(|all| all.snr.map(|snr| snr.mean)));
    let step = number(scores.mean(|all| all.step.map(|step| step.rms)));
    let ratio = scores.mean(Measures::update_ratio).map_or("-".to_owned(), |ratio| format!("{ratio:.1e}"));
    format!("SNR {snr:>5}   step {step:>5} lr   update/param {ratio:>7}")
}

/// Prints a line. If the reader is gone (`| head`), the program ends without a message.
fn print(line: &str) -> Result<(), Stop> {
    writeln!(std::io::stdout(), "{line}").map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Stop::failure(""),
        _ => Stop::failure(format!("cannot print: {error}")),
    })
}
