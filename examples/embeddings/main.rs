//! Trains word embeddings on the GPU: skip-gram with negative sampling (Mikolov et al. 2013, arXiv:1310.4546). The tables
//! are tensors of rows, and a step changes the rows of a list. `--help` lists the options. The loss is in `trainer.rs`.

#[path = "../adapter/mod.rs"]
mod adapter;
mod batch;
mod cli;
mod cpu;
#[path = "../train/device.rs"]
mod device;
mod gpu;
#[path = "../train/kernel.rs"]
#[allow(dead_code, reason = "no kernel here has a uniform")]
mod kernel;
#[path = "../train/random.rs"]
#[allow(dead_code, reason = "nothing is shuffled here")]
mod random;
#[path = "../splats/readback.rs"]
mod readback;
#[cfg(test)]
mod tests;
mod text;
mod trainer;

use batch::{Batch, Sampler};
use clap::Parser;
use cli::Cli;
use std::{process::ExitCode, time::Instant};
use text::Text;
use trainer::{Result, Setup, Trainer};

/// The number of runs that are measured, and the steps of each.
const RUNS: usize = 11;
const BATCHES: usize = 10;

fn main() -> ExitCode {
    adapter::log();
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("embeddings: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    let text = match &cli.text {
        Some(path) => &std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?,
        None => include_str!("../../LICENSE-APACHE"),
    };
    let text = Text::new(text);
    if text.words.len() < 2 {
        return Err("the text must have at least two different words".into());
    }
    let gpu = if cli.cpu { None } else { device::open().inspect_err(|why| eprintln!("embeddings: {why}")).ok() };
    let trainer = |rows: usize, batch: usize| -> Result<Box<dyn Trainer>> {
        let setup = Setup::new(rows, cli.dim.into(), batch, cli.seed);
        Ok(match &gpu {
            Some((device, queue, _)) => Box::new(gpu::Gpu::new(device.clone(), queue.clone(), setup)?),
            None => Box::new(cpu::Cpu::new(setup)?),
        })
    };
    println!("runs on  {}", gpu.as_ref().map_or("the CPU", |(_, _, name)| name));
    println!("text     {} words, {} of them different", text.tokens.len(), text.words.len());

    let mut sampler = Sampler::new(&text, cli.seed.wrapping_add(1));
    let batch = usize::from(cli.batch);
    let mut embeddings = trainer(text.words.len(), batch)?;
    let every = cli.steps.div_ceil(10);
    let mut last = 0;
    for step in 1..=cli.steps {
        embeddings.step(&sampler.batch(batch))?;
        if step % every == 0 || step == cli.steps || step == 1 {
            let pairs = f64::from(step - last) * batch as f64;
            println!("step {step:>6}   loss {:.3}", embeddings.loss()? / pairs);
            last = step;
        }
    }

    println!("\nThe nearest neighbours of the most frequent long words:");
    let table = embeddings.table(0)?;
    let rows: Vec<&[f32]> = table.chunks(cli.dim.into()).collect();
    let long = (0..rows.len()).filter(|word| text.words[*word].chars().count() > 5);
    for word in long.take(6) {
        let near: Vec<&str> = nearest(&rows, word).into_iter().take(5).map(|near| &*text.words[near]).collect();
        println!("{:>14}: {}", text.words[word], near.join(", "));
    }

    // The additional rows are those of words that never occur.
    let mut cases = Vec::new();
    for (times, batch) in [(1, batch), (4, batch), (16, batch), (16, batch.div_ceil(4))] {
        let rows = times * text.words.len();
        // The same batches, if they are of the same size.
        let mut sampler = Sampler::new(&text, cli.seed.wrapping_add(2));
        let batches = (0..BATCHES).map(|_| sampler.batch(batch)).collect();
        cases.push(Case { rows, trainer: trainer(rows, batch)?, batches, seconds: Vec::new() });
    }
    measure(&mut cases)?;
    println!("\nThe time of a step (medians of {RUNS} interleaved runs):");
    for case in &cases {
        let touched = |table: usize| case.batches.iter().map(|batch| batch.touched[table].rows.len()).sum::<usize>();
        let [words, contexts] = [0, 1].map(|table| touched(table) / BATCHES);
        let milliseconds = 1e3 * case.median();
        println!(
            "{:>8} rows in each table, of which {words:>4} and {contexts:>4} change: {milliseconds:.3} ms",
            case.rows
        );
    }
    let ratio = |case: usize, base: usize| cases[case].median() / cases[base].median();
    println!("16 times the rows take {:.2} of the time, and a quarter of the batch {:.2}.", ratio(2, 0), ratio(3, 2));
    Ok(())
}

/// Returns the other words, the most similar by cosine first.
fn nearest(rows: &[&[f32]], word: usize) -> Vec<usize> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let cosine = |other: usize| dot(rows[word], rows[other]) / dot(rows[other], rows[other]).sqrt();
    let mut others: Vec<usize> = (0..rows.len()).filter(|other| *other != word).collect();
    others.sort_by(|a, b| cosine(*b).total_cmp(&cosine(*a)));
    others
}

/// A trainer whose steps are measured.
struct Case {
    rows: usize,
    trainer: Box<dyn Trainer>,
    batches: Vec<Batch>,
    /// Of a step, for each run over the batches.
    seconds: Vec<f64>,
}

impl Case {
    fn median(&self) -> f64 {
        let mut seconds = self.seconds.clone();
        seconds.sort_by(f64::total_cmp);
        seconds[seconds.len() / 2]
    }
}

/// Measures the cases in turn, after a run that warms them up.
fn measure(cases: &mut [Case]) -> Result<()> {
    for run in 0..=RUNS {
        for Case { trainer, batches, seconds, .. } in &mut *cases {
            let start = Instant::now();
            batches.iter().try_for_each(|batch| trainer.step(batch))?;
            trainer.wait()?;
            if run > 0 {
                seconds.push(start.elapsed().as_secs_f64() / batches.len() as f64);
            }
        }
    }
    Ok(())
}
