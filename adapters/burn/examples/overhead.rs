//! Measures what the optimizer adds to a training step, with burn's AdamW and with ours in turn, each drained before the next
//! begins; and where our time goes.
//!
//! ```sh
//! cargo run --release --example overhead
//! cargo run --release --example overhead -- --rounds 200 --layers 30 --width 512 --batch 256 --small 1000 --len 1000
//! ```

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use burn::module::{Initializer, Module, ModuleVisitor, Param};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::wgpu::WgpuSetup;
use burn::tensor::{Device, Distribution, Tensor, activation};
use clap::Parser;
use cubecl_runtime::logging::{LaunchObservation, LaunchObserver};
use wgpu_adam_burn::{AdamWConfig, Optimizer};

#[derive(Parser)]
struct Args {
    #[arg(long, default_value_t = 40)]
    rounds: usize,
    /// Layers of the network. Each has two tensors
    #[arg(long, default_value_t = 30)]
    layers: usize,
    #[arg(long, default_value_t = 96)]
    width: usize,
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// Tensors of the second part, which has no network
    #[arg(long, default_value_t = 1000)]
    small: usize,
    /// Elements of each of these tensors
    #[arg(long, default_value_t = 1000)]
    len: usize,
    /// Print what the adapter logs about each step
    #[arg(long)]
    trace: bool,
}

struct Print;

impl log::Log for Print {
    fn enabled(&self, metadata: &log::Metadata) -> bool {
        metadata.target().starts_with("wgpu_adam")
    }

    fn log(&self, record: &log::Record) {
        if self.enabled(record.metadata()) {
            println!("{}", record.args());
        }
    }

    fn flush(&self) {}
}

#[derive(Module, Debug)]
struct Mlp {
    layers: Vec<Linear>,
}

#[derive(Module, Debug)]
struct Tensors {
    params: Vec<Param<Tensor<1>>>,
}

/// Gradients that are a tenth of the parameters.
struct Tenths(GradientsParams);

impl ModuleVisitor for Tenths {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.register(param.id, param.val().inner() * 0.1);
    }
}

enum Optim {
    Nothing,
    Burn(ModuleOptimizer),
    Ours(Optimizer),
}

/// Counts the kernels that burn launches.
#[derive(Default)]
struct Launches(AtomicUsize);

impl LaunchObserver for Launches {
    fn launched(&self, _: &'static str) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Milliseconds of each round.
#[derive(Default)]
struct Times {
    all: Vec<f64>,
    /// The call of `step`.
    call: Vec<f64>,
    /// From then on until burn's queue has come to it: finding, binding, recording, submitting.
    queue: Vec<f64>,
    /// From then on until the device is done.
    device: Vec<f64>,
    submits: Vec<f64>,
    /// Kernels that burn launched.
    launches: Vec<f64>,
}

struct Subject<M> {
    name: &'static str,
    model: Option<M>,
    optim: Optim,
    times: Times,
}

struct Bench {
    device: Device,
    setup: WgpuSetup,
}

impl Bench {
    fn subjects<M: Module>(&self, make: impl Fn(&Device) -> M) -> Result<[Subject<M>; 3], Box<dyn Error>> {
        let auto = self.device.clone().autodiff();
        let subject = |name, model: M, optim| Subject { name, model: Some(model), optim, times: Times::default() };
        let model = make(&auto);
        let ours = AdamWConfig::new().init(&self.setup, &model)?;
        Ok([
            subject("none", make(&auto), Optim::Nothing),
            subject("burn", make(&auto), Optim::Burn(burn::optim::AdamWConfig::new().init())),
            subject("wgpu-adam", model, Optim::Ours(ours)),
        ])
    }

    /// Submits nothing, and returns the number of the submission.
    fn submission(&self) -> u64 {
        let index = format!("{:?}", self.setup.queue.submit([]));
        index.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0)
    }

    /// One training step. If `alone`, the gradients are there before the time begins.
    fn round<M: Module + 'static>(
        &self,
        subject: &mut Subject<M>,
        grads: impl Fn(&M) -> GradientsParams,
        alone: bool,
    ) -> Result<(), Box<dyn Error>> {
        let model = subject.model.take().ok_or("the model was refused")?;
        let mut begin = Instant::now();
        let grads = grads(&model);
        let mut first = 0;
        let launches = Arc::new(Launches::default());
        let mut watching = None;
        if alone {
            self.device.sync()?;
            first = self.submission();
            watching = Some(LaunchObservation::new(launches.clone()));
            begin = Instant::now();
        }
        let lap = |from: Instant, times: &mut Vec<f64>| {
            times.push(from.elapsed().as_secs_f64() * 1e3);
            Instant::now()
        };
        let called = Instant::now();
        subject.model = Some(match &mut subject.optim {
            Optim::Nothing => model,
            Optim::Burn(optimizer) => optimizer.step(1e-4, model, grads),
            Optim::Ours(optimizer) => optimizer.step(1e-4, model, grads)?,
        });
        let times = &mut subject.times;
        let returned = lap(called, &mut times.call);
        self.device.flush()?;
        let flushed = lap(returned, &mut times.queue);
        let last = if alone { self.submission() } else { 1 };
        self.device.sync()?;
        lap(flushed, &mut times.device);
        lap(begin, &mut times.all);
        drop(watching);
        times.launches.push(launches.0.load(Ordering::Relaxed) as f64);
        times.submits.push((last - first - 1) as f64);
        Ok(())
    }

    fn rounds<M: Module + 'static>(
        &self,
        subjects: &mut [Subject<M>],
        grads: impl Fn(&M) -> GradientsParams,
        alone: bool,
        rounds: usize,
    ) -> Result<(), Box<dyn Error>> {
        for round in 0..rounds + 5 {
            // The first rounds compile kernels.
            if round == 5 {
                subjects.iter_mut().for_each(|subject| subject.times = Times::default());
            }
            for subject in &mut *subjects {
                self.round(subject, &grads, alone)?;
            }
        }
        Ok(())
    }
}

/// The median, and the quartiles.
fn quartiles(values: &[f64]) -> [f64; 3] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    [2, 1, 3].map(|quarter| sorted.get(quarter * sorted.len() / 4).copied().unwrap_or(f64::NAN))
}

fn print_alone<M>(what: &str, subjects: &[Subject<M>]) {
    println!("\n{what}: the optimizer alone, ms\n");
    println!(
        "| | median (quartiles) | call | queue | device | launches of burn | submits |\n|---|---:|---:|---:|---:|---:|---:|"
    );
    for Subject { name, times, .. } in &subjects[1..] {
        let [all, low, high] = quartiles(&times.all);
        let [call, queue, device, launches, submits] =
            [&times.call, &times.queue, &times.device, &times.launches, &times.submits]
                .map(|values| quartiles(values)[0]);
        println!(
            "| {name} | {all:.2} ({low:.2} to {high:.2}) | {call:.2} | {queue:.2} | {device:.2} | {launches} | {submits} |"
        );
    }
    let ratio: Vec<f64> =
        subjects[2].times.all.iter().zip(&subjects[1].times.all).map(|(ours, burn)| ours / burn).collect();
    println!("\nwgpu-adam / burn, of pairs: {:.3}", quartiles(&ratio)[0]);
}

/// What wgpu-adam dispatches beside the kernels that burn launches for it.
fn print_dispatches<M>(subjects: &[Subject<M>]) -> Result<(), Box<dyn Error>> {
    if let Optim::Ours(optimizer) = &subjects[2].optim {
        println!("dispatches of a step of wgpu-adam: {}", optimizer.adam()?.dispatches());
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    if args.trace {
        log::set_logger(&Print).map_err(|error| error.to_string())?;
        log::set_max_level(log::LevelFilter::Trace);
    }
    let (device, setup) = Device::wgpu_options().init_with_setup()?;
    let info = setup.adapter.get_info();
    println!("{} ({}, {})", info.name, info.driver, info.driver_info);
    let bench = Bench { device: device.clone(), setup };

    let x = Tensor::<2>::random([args.batch, args.width], Distribution::Default, &device);
    let mlp = |device: &Device| Mlp {
        layers: (0..args.layers).map(|_| LinearConfig::new(args.width, args.width).init(device)).collect(),
    };
    let backward = |model: &Mlp| {
        let out = model.layers.iter().fold(x.clone().autodiff(), |x, layer| activation::relu(layer.forward(x)));
        GradientsParams::from_grads((out.clone() * out).mean().backward(), model)
    };
    let mut subjects = bench.subjects(mlp)?;
    let what = format!("network of {} tensors, {} wide, batches of {}", 2 * args.layers, args.width, args.batch);
    bench.rounds(&mut subjects, backward, false, args.rounds)?;
    println!("\n{what}: a whole training step, ms\n");
    println!("| | median (quartiles) | beside none, of pairs (quartiles) |\n|---|---:|---:|");
    let none = subjects[0].times.all.clone();
    for Subject { name, times, .. } in &subjects {
        let [all, low, high] = quartiles(&times.all);
        let added: Vec<f64> = times.all.iter().zip(&none).map(|(all, none)| all - none).collect();
        let [added, less, more] = quartiles(&added);
        println!("| {name} | {all:.2} ({low:.2} to {high:.2}) | {added:.2} ({less:.2} to {more:.2}) |");
    }
    bench.rounds(&mut subjects, backward, true, args.rounds)?;
    print_alone(&what, &subjects);
    print_dispatches(&subjects)?;

    let tensors = |device: &Device| Tensors {
        // As a layer makes its parameters.
        params: (0..args.small).map(|_| Initializer::Normal { mean: 0.0, std: 1.0 }.init([args.len], device)).collect(),
    };
    let tenths = |model: &Tensors| {
        let mut grads = Tenths(GradientsParams::new());
        model.visit(&mut grads);
        grads.0
    };
    let mut subjects = bench.subjects(tensors)?;
    bench.rounds(&mut subjects, tenths, true, args.rounds)?;
    print_alone(&format!("{} tensors of {} elements", args.small, args.len), &subjects);
    print_dispatches(&subjects)
}
