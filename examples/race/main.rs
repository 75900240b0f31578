//! Lets the rules of this crate race: on a small network, on logistic regression, and on a classifier of words. `--help` lists
//! the options. The rules are in `racers.rs`, a line each. The networks are those of `examples/paper`.

#[path = "../adapter/mod.rs"]
mod adapter;
#[path = "../train/buffer.rs"]
mod buffer;
mod cli;
mod cost;
mod course;
#[path = "../train/data.rs"]
mod data;
#[path = "../train/device.rs"]
mod device;
#[path = "../paper/gpu.rs"]
mod gpu;
#[path = "../train/idx.rs"]
mod idx;
#[path = "../train/kernel.rs"]
mod kernel;
#[path = "../train/matrix.rs"]
mod matrix;
#[path = "../train/minibatch.rs"]
mod minibatch;
#[path = "../paper/net.rs"]
#[allow(dead_code, reason = "no auto-encoder races")]
mod net;
#[path = "../paper/passes.rs"]
mod passes;
mod picture;
#[path = "../paper/plot.rs"]
#[allow(dead_code, reason = "the colours of the figures are not used here")]
mod plot;
#[path = "../train/product.rs"]
mod product;
#[path = "../paper/progress.rs"]
mod progress;
mod racers;
#[path = "../train/random.rs"]
mod random;
#[path = "../train/resident.rs"]
mod resident;
#[path = "../paper/runs.rs"]
#[allow(dead_code, reason = "the gradients are tested in the example paper")]
mod runs;
#[path = "../stop/mod.rs"]
mod stop;
#[path = "../paper/words.rs"]
mod words;

use clap::Parser;
use cli::Cli;
use cost::{Cost, costs};
use course::{Course, Outcome};
use data::Data;
use gpu::Gpu;
use racers::{Racer, racers};
use std::process::ExitCode;
use stop::{Stop, exit_code};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    adapter::log();
    exit_code("race", run(&Cli::parse()))
}

fn run(cli: &Cli) -> std::result::Result<(), Stop> {
    let mut images = match &cli.data {
        Some(folder) => Data::idx(folder, 10).map_err(Stop::user)?,
        None => Data::digits(),
    };
    images.train.truncate(cli.rows as usize);
    // If the file cannot be written, report it before the race.
    std::fs::write(&cli.plot, "").map_err(|error| Stop::user(format!("{}: {error}", cli.plot.display())))?;
    let gpu = Gpu::open().map_err(Stop::failure)?;
    println!("runs on  {}", gpu.name);
    let steps = cli.steps;
    let courses = [
        Course::new("the bundled digits: 64-32-10".into(), &[32], &Data::digits(), 32, steps),
        Course::new(format!("{}: logistic regression", images.name), &[], &images, 64, steps),
        {
            let words = words::words();
            Course::new(format!("{}: logistic regression", words.name), &[], &words, 64, steps)
        },
    ];
    race(cli, &gpu, courses.into()).map_err(Stop::failure)
}

fn race(cli: &Cli, gpu: &Gpu, courses: Vec<Course>) -> Result<()> {
    let costs = costs(gpu, &racers(1))?;
    let mut results = Vec::new();
    for course in courses {
        let racers = racers(course.steps());
        let outcomes = course.race(gpu, &racers, cli.seeds)?;
        print(&course, &racers, &outcomes, &costs);
        results.push((course, outcomes));
    }
    picture::draw(&cli.plot, &racers(1), &results)?;
    println!("\nplot: {}", cli.plot.display());
    Ok(())
}

fn print(course: &Course, racers: &[Racer], outcomes: &[Outcome], costs: &[Cost]) {
    let (steps, adam) = (course.steps(), outcomes[0].median_losses());
    let target = adam[adam.len() / 2 - 1];
    println!(
        "\n{}: {} training rows of {} features, {} held-out rows, batch {}, {steps} steps, {} seeds",
        course.name,
        course.test.train.len(),
        course.test.features,
        course.test.held_out.len(),
        course.batch,
        outcomes[0].accuracies.len(),
    );
    let to = format!("to {target:.3}");
    println!("  {:<16} {:>8}  {to:>9}  {:>14}  {:>7}  {:>5}", "rule", "rate", "accuracy, %", "bytes", "time");
    for ((racer, outcome), cost) in racers.iter().zip(outcomes).zip(costs) {
        let mark = if outcome.edge { "*" } else { " " };
        let to = outcome.steps_to(target).map_or("-".into(), |steps| steps.to_string());
        let [mean, deviation] = outcome.accuracy();
        println!(
            "  {:<16} {:>8.1e}{mark} {to:>9}  {mean:>6.2} +- {deviation:4.2}  {:>7.2}  {:>5.2}",
            racer.name, outcome.lr, cost.bytes, cost.time,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two rules race on the digits for two epochs. Adam learns, and its equal is equal.
    #[test]
    fn the_same_rule_gives_the_same_outcome() {
        let gpu = Gpu::open().expect("this test needs an adapter; a software adapter is enough");
        let course = Course::new("digits".into(), &[16], &Data::digits(), 32, 72);
        let racer = |name| Racer { name, config: wgpu_adam::Config::default(), rates: -6..=-4 };
        let outcomes = course.race(&gpu, &[racer("one"), racer("other")], 2).unwrap();
        assert_eq!(outcomes[0].losses, outcomes[1].losses);
        assert_eq!(outcomes[0].accuracies, outcomes[1].accuracies);
        assert!(outcomes[0].accuracies.iter().all(|accuracy| *accuracy > 80.0), "{:?}", outcomes[0].accuracies);
        assert_ne!(outcomes[0].losses[0], outcomes[0].losses[1], "another seed is another run");
    }

    /// The table and the costs have the racers in the same order.
    #[test]
    fn racers_differ_in_their_names() {
        let racers = racers(100);
        let mut names: Vec<_> = racers.iter().map(|racer| racer.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!((names.len(), racers[0].name), (racers.len(), "Adam"));
    }
}
