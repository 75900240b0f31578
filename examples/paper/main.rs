//! Redraws the figures 1, 2 and 4 of Kingma & Ba 2015 (arXiv:1412.6980). `--help` lists the options. The equations are in
//! `net.rs`; the calls of this crate are in `runs.rs`. `docs/paper.md` shows the pictures.

#[path = "../adapter/mod.rs"]
mod adapter;
#[path = "../train/buffer.rs"]
mod buffer;
mod cli;
mod contest;
#[path = "../train/data.rs"]
mod data;
#[path = "../train/device.rs"]
mod device;
mod figure1;
mod figure2;
mod figure4;
mod gpu;
#[path = "../train/idx.rs"]
mod idx;
#[path = "../train/kernel.rs"]
mod kernel;
#[path = "../train/matrix.rs"]
mod matrix;
#[path = "../train/minibatch.rs"]
mod minibatch;
mod net;
mod passes;
mod plot;
#[path = "../train/product.rs"]
mod product;
mod progress;
#[path = "../train/random.rs"]
mod random;
#[path = "../train/resident.rs"]
mod resident;
#[allow(dead_code, reason = "no rows are held out here")]
mod runs;
#[path = "../stop/mod.rs"]
mod stop;
#[cfg(test)]
mod tests;
mod words;

use clap::Parser;
use cli::{Cli, Which};
use data::Data;
use gpu::Gpu;
use std::process::ExitCode;
use stop::{Stop, exit_code};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    adapter::log();
    exit_code("paper", run(&Cli::parse()))
}

fn run(cli: &Cli) -> std::result::Result<(), Stop> {
    let mut data = match &cli.data {
        Some(folder) => Data::idx(folder, 10).map_err(Stop::user)?,
        None => Data::digits(),
    };
    // The figures show the training loss.
    data.held_out.clear();
    let all = data.train.clone();
    if !cli.out.is_dir() {
        return Err(Stop::user(format!("{}: no such folder", cli.out.display())));
    }
    let gpu = Gpu::open().map_err(Stop::failure)?;
    println!("runs on  {}", gpu.name);
    for figure in [Which::One, Which::Two, Which::Four] {
        if cli.wants(figure) {
            let few = if figure == Which::One || cli.data.is_none() { all.len() } else { 4000 };
            data.train = all[..cli.rows.map_or(few, |rows| rows as usize).min(all.len())].to_vec();
            println!("data     {}: {} rows of {} pixels", data.name, data.train.len(), data.features);
            match figure {
                Which::One => figure1::draw(cli, &gpu, &data),
                Which::Two => figure2::draw(cli, &gpu, &data),
                _ => figure4::draw(cli, &gpu, &data),
            }
            .map_err(Stop::failure)?;
        }
    }
    Ok(())
}
