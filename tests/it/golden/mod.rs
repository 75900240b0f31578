//! GPU and twin against PyTorch and optax: the results are no further from float64 than the framework's own float32.
//!
//! `tests/golden/generate.py` made the numbers and explains how a miss is measured: the miss of p in units of the
//! distance moved, the miss of a state in units of its own size, each as a root mean square over the elements and as a
//! maximum.
//!
//! If p is much larger than its steps, nearly all of a miss is the rounding of p. This rounding is the same on both
//! sides until another error carries p over a boundary. It is not random, so the largest misses can be compared too.
//! They depend on the gradients in one respect: if an element has no gradient for dozens of steps, only decay moves it,
//! by the same amount and with the same rounding each time. These roundings add up, and PyTorch adds little to them. So
//! every eighth element has a gradient in one of 16 steps, and not in one of 32: with 32, PyTorch's largest misses of
//! AdamW are at least 2.6 times ours, with 16 at least 3.4 times. Its root mean squares are at least 6 times ours with
//! both.

mod files;
pub mod problem;
mod run;
mod schedules;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use crate::sampling::sample;
use crate::scene::Gpu;
use files::{Case, Golden, Miss};
use run::{End, on_gpu, on_twin};
use wgpu_adam::{Clip, Config, Decay, Options, Variant};

/// The share of the framework's miss that is allowed. Two per cent are for the noise in two sums of roundings.
const SHARE: f64 = 1.02;
/// Cases whose largest miss of p exceeds that share, and the share that is allowed for it. The root mean squares of
/// their misses are 0.79 to 0.98 times the framework's. Which element has the largest miss, and how large it is, is
/// random. With 20 other seeds our largest miss is no larger than the framework's in 15, 14, 18, 14 and 17 of them, its
/// median is 0.89, 0.82, 0.83, 0.79 and 0.93 times the framework's, and our root mean square is smaller in each. See
/// `the_largest_misses_vary_with_the_seed`.
const LARGEST: [(&str, f64); 5] = [
    ("optax rmsprop initial scale", 1.05),
    ("sgd nesterov", 1.05),
    ("sgd dampening", 1.15),
    ("optax sgd nesterov", 1.05),
    ("optax rmsprop centered", 1.25),
];
/// The allowed share of PyTorch's miss of p if PyTorch rounds p twice: once for the decay and once for the step.
const SHARE_DECOUPLED: f64 = 1.0 / 3.0;
/// The cases in which PyTorch rounds p twice.
const DECAY_APART: [&str; 8] = [
    "adamw",
    "adamw lr changes",
    "adamw strong",
    "adamw strong lr changes",
    "adamw clip",
    "amsgradw",
    "nadamw",
    "radamw",
];
/// An allowance for m, because PyTorch's average multiplies and adds with one rounding if the processor can. (If it
/// cannot, PyTorch's misses of m equal ours to the last digit.) Here g - m and its product with the rate are rounded
/// too. That adds up to 2^-24 of g - m for each, and g - m may be several times as large as m.
const UNFUSED: Miss = Miss { rms: 1.0 / (1 << 24) as f64, max: 8.0 / (1 << 24) as f64 };
/// An allowance for p on a hardware adapter, as a share of the distance that p moves: WGSL allows an error of 4.5 ulp
/// in a root and 2.5 ulp in a quotient. On a CPU adapter both are within half an ulp.
const HARDWARE: f64 = 7.0 / (1 << 24) as f64;

/// The configuration of this crate for each case of Adam and AdamW.
fn cases() -> Vec<(&'static str, Vec<Config>)> {
    let adam = Config::default();
    let l2 = Config { decay: Decay::L2(1e-2), ..adam };
    let adamw = Config { decay: Decay::Decoupled(1e-2), ..adam };
    let strong = Config { lr: 1e-2, decay: Decay::Decoupled(1e-1), ..adam };
    let betas = |beta1, beta2| Config { beta1, beta2, ..adam };
    vec![
        ("adam", vec![adam.clone()]),
        ("adam lr changes", vec![Config { lr: 1e-2, ..adam }]),
        ("adam params 1", vec![adam.clone()]),
        ("adam params 1 lr changes", vec![Config { lr: 1e-2, ..adam }]),
        ("adam l2", vec![l2.clone()]),
        ("adam l2 params 1", vec![l2]),
        ("adam maximize", vec![Config { maximize: true, ..adam }]),
        ("adamw", vec![adamw.clone()]),
        ("adamw lr changes", vec![Config { lr: 3e-3, ..adamw }]),
        ("adamw strong", vec![strong.clone()]),
        ("adamw strong lr changes", vec![strong]),
        ("betas 0 .99", vec![betas(0.0, 0.99)]),
        ("betas .5 .9", vec![betas(0.5, 0.9)]),
        ("betas .9 .95", vec![betas(0.9, 0.95)]),
        ("betas .9 .9999", vec![betas(0.9, 0.9999)]),
        ("eps 1e-15", vec![Config { eps: 1e-15, ..adam }]),
        ("eps 1e-5", vec![Config { eps: 1e-5, ..adam }]),
        ("adam clip", vec![adam.clone(), Config { lr: 3e-3, ..betas(0.8, 0.99) }]),
        ("adamw clip", vec![adamw.clone(), Config { decay: Decay::Decoupled(1e-1), ..adam }]),
        ("optax adam", vec![adam]),
        ("optax adamw", vec![adamw]),
    ]
}

/// The same for the other variants.
fn family() -> Vec<(&'static str, Vec<Config>)> {
    use wgpu_adam::preset::{optax, optimi, pytorch, schedulefree, timm};
    let l2 = |config: Config| Config { decay: Decay::L2(1e-2), ..config };
    let strong = |config: Config| Config { decay: Decay::Decoupled(0.1), ..config };
    let decoupled = |config: Config| Config { decay: Decay::Decoupled(1e-2), ..config };
    let rmsprop = |momentum| Config {
        lr: 1e-3,
        variant: Variant::RmsProp { momentum, nesterov: false, lr_in_momentum: false, initial: 0.0, centered: false },
        ..pytorch::rmsprop()
    };
    let centered = |momentum, lr_in_momentum, config| Config {
        lr: 1e-3,
        variant: Variant::RmsProp { momentum, nesterov: false, lr_in_momentum, initial: 0.0, centered: true },
        ..config
    };
    let optax_rmsprop = |momentum, nesterov, initial| Config {
        variant: Variant::RmsProp { momentum, nesterov, lr_in_momentum: true, initial, centered: false },
        ..optax::rmsprop()
    };
    let adagrad = |lr_decay, initial| Config { variant: Variant::AdaGrad { lr_decay, initial }, ..pytorch::adagrad() };
    let sgd = |momentum, dampening, nesterov| Config {
        variant: Variant::Sgd { momentum, dampening, nesterov },
        ..pytorch::sgd()
    };
    let eps_outside = Config { beta2: 0.99, eps: 1e-8, eps_root: 0.0, ..optax_rmsprop(0.0, false, 1.0) };
    let corrected = Config { beta2: 0.99, bias_correction: true, ..optax::rmsprop() };
    let slower = Config { variant: Variant::AdEmaMix { beta3: 0.999, alpha: 4.0, warmup: 0 }, ..optax::ademamix() };
    let lion = Config { beta1: 0.95, beta2: 0.98, decay: Decay::Decoupled(0.1), ..optax::lion() };
    vec![
        ("amsgrad", vec![pytorch::amsgrad()]),
        ("amsgrad l2", vec![l2(pytorch::amsgrad())]),
        ("amsgradw", vec![pytorch::adamw_amsgrad()]),
        ("adamax", vec![pytorch::adamax()]),
        ("adamax l2", vec![l2(pytorch::adamax())]),
        ("nadam", vec![pytorch::nadam()]),
        ("nadam l2", vec![l2(pytorch::nadam())]),
        ("nadamw", vec![pytorch::nadamw(1e-2)]),
        ("radam", vec![pytorch::radam()]),
        ("radam l2", vec![l2(pytorch::radam())]),
        ("radamw", vec![pytorch::radamw(1e-2)]),
        ("rmsprop", vec![rmsprop(0.0)]),
        ("rmsprop l2", vec![Config { beta2: 0.9, eps: 1e-6, ..l2(rmsprop(0.0)) }]),
        ("rmsprop momentum", vec![rmsprop(0.9)]),
        ("rmsprop centered", vec![centered(0.0, false, pytorch::rmsprop_centered())]),
        ("rmsprop centered momentum", vec![centered(0.9, false, pytorch::rmsprop_centered())]),
        ("adagrad", vec![adagrad(0.0, 0.0)]),
        ("adagrad lr decay", vec![adagrad(0.01, 0.0)]),
        ("adagrad l2", vec![l2(adagrad(0.0, 0.1))]),
        ("sgd", vec![sgd(0.0, 0.0, false)]),
        ("sgd l2", vec![l2(sgd(0.0, 0.0, false))]),
        ("sgd momentum", vec![sgd(0.9, 0.0, false)]),
        ("sgd nesterov", vec![sgd(0.9, 0.0, true)]),
        ("sgd dampening", vec![l2(sgd(0.9, 0.5, false))]),
        ("optax adam eps_root", vec![Config { eps_root: 1e-8, ..optax::adam() }]),
        ("optax amsgrad", vec![optax::amsgrad()]),
        ("optax adamax", vec![Config { lr: 2e-3, ..optax::adamax() }]),
        ("optax nadam", vec![Config { lr: 2e-3, ..optax::nadam() }]),
        ("optax nadamw", vec![Config { lr: 2e-3, ..decoupled(optax::nadam()) }]),
        ("optax radam", vec![optax::radam()]),
        ("optax adabelief", vec![optax::adabelief()]),
        ("optax adabelief eps", vec![Config { eps: 1e-8, eps_root: 1e-12, ..optax::adabelief() }]),
        ("optax adopt", vec![optax::adopt()]),
        ("optax ademamix", vec![optax::ademamix()]),
        ("optax ademamix b3", vec![decoupled(slower)]),
        ("optax lamb", vec![optax::lamb()]),
        ("optax lamb decay", vec![Config { lr: 1e-2, ..strong(optax::lamb()) }]),
        ("optimi stable", vec![Config { decay: Decay::None, ..optimi::stable_adamw() }]),
        ("optimi stable decay", vec![Config { lr: 1e-2, beta2: 0.9, ..strong(optimi::stable_adamw()) }]),
        ("timm cautious", vec![Config { decay: Decay::None, ..timm::cautious_adamw() }]),
        ("timm cautious decay", vec![Config { lr: 1e-2, beta1: 0.8, beta2: 0.99, ..strong(timm::cautious_adamw()) }]),
        ("optax schedule-free", vec![schedulefree::adamw()]),
        ("optax schedule-free decay", vec![decoupled(Config { beta1: 0.95, lr: 1e-3, ..schedulefree::adamw() })]),
        ("optax lion", vec![Config { lr: 1e-4, ..optax::lion() }]),
        ("optax lion decay", vec![lion]),
        ("optax rmsprop", vec![optax::rmsprop()]),
        ("optax rmsprop momentum", vec![optax_rmsprop(0.9, false, 0.0)]),
        ("optax rmsprop nesterov", vec![optax_rmsprop(0.9, true, 0.0)]),
        ("optax rmsprop initial scale", vec![eps_outside]),
        ("optax rmsprop bias correction", vec![corrected]),
        ("optax rmsprop centered", vec![optax::rmsprop_centered()]),
        ("optax rmsprop centered momentum", vec![centered(0.9, true, optax::rmsprop_centered())]),
        ("optax adagrad", vec![Config { lr: 1e-2, ..optax::adagrad() }]),
        ("optax sgd", vec![optax::sgd()]),
        ("optax sgd momentum", vec![sgd(0.9, 0.0, false)]),
        ("optax sgd nesterov", vec![sgd(0.9, 0.0, true)]),
    ]
}

fn grads(seed: u64) -> Vec<Vec<f32>> {
    (1..=problem::STEPS).map(|t| problem::grads(seed, t)).collect()
}

/// The cases of Adam and AdamW, and the cases of the other variants.
fn files(grads: &[Vec<f32>]) -> [Golden; 2] {
    [
        Golden::new(include_str!("../../golden/adam.json"), include_bytes!("../../golden/adam.safetensors"), grads),
        Golden::new(include_str!("../../golden/family.json"), include_bytes!("../../golden/family.safetensors"), grads),
    ]
}

#[test]
fn the_twin_is_no_further_from_float64_than_the_framework() {
    let grads = grads(0);
    compare("twin", &files(&grads), 0.0, |case, configs, options, p0| on_twin(case, configs, options, p0, &grads));
}

#[test]
fn the_gpu_is_no_further_from_float64_than_the_framework() {
    let (gpu, grads) = (Gpu::new(), grads(0));
    let all_grads = gpu.buffer(&grads.concat());
    let hardware = if gpu.software { 0.0 } else { HARDWARE };
    compare("GPU", &files(&grads), hardware, |case, configs, options, p0| {
        on_gpu(&gpu, case, configs, options, p0, &all_grads)
    });
}

#[test]
fn every_case_is_in_a_table() {
    for (file, table) in files(&grads(0)).iter().zip([cases(), family()]) {
        let names: Vec<&str> = file.cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(table.iter().map(|case| case.0).collect::<Vec<_>>(), names);
    }
}

/// Compares the cases of `LARGEST` under other gradients. `generate.py --seeds 20 FOLDER` makes the numbers, and
/// `GOLDEN_SEEDS=FOLDER cargo test --test it golden:: -- --ignored --nocapture` runs this test.
#[test]
#[ignore = "needs numbers that are made on demand: see above"]
fn the_largest_misses_vary_with_the_seed() {
    let folder =
        PathBuf::from(std::env::var("GOLDEN_SEEDS").expect("GOLDEN_SEEDS must be the folder that generate.py wrote"));
    let mut ratios: BTreeMap<&str, Vec<Miss>> = BTreeMap::new();
    for seed in 1.. {
        let file = folder.join(format!("seed{seed}"));
        let Ok(json) = fs::read_to_string(file.with_extension("json")) else { break };
        let grads = grads(seed);
        let tensors = fs::read(file.with_extension("safetensors")).unwrap().leak();
        let golden = Golden::new(&json, tensors, &grads);
        for case in golden.cases.iter().filter(|case| LARGEST.iter().any(|(name, _)| *name == case.name)) {
            let (name, configs) = family().into_iter().find(|known| known.0 == case.name).unwrap();
            let end = on_twin(case, &configs, Options::default(), &problem::first_params(seed, case.p0), &grads);
            let (miss, framework) = (golden.miss(case, "p", &end["p"]), case.framework("p"));
            ratios.entry(name).or_default().push(Miss { rms: miss.rms / framework.rms, max: miss.max / framework.max });
        }
    }
    assert_eq!(ratios.keys().copied().collect::<BTreeSet<_>>(), LARGEST.map(|(name, _)| name).into_iter().collect());
    for (name, ratios) in ratios {
        let sorted = |f: fn(&Miss) -> f64| {
            let mut sorted: Vec<f64> = ratios.iter().map(f).collect();
            sorted.sort_by(f64::total_cmp);
            sorted
        };
        let (rms, max) = (sorted(|miss| miss.rms), sorted(|miss| miss.max));
        let (below, seeds, median) = (max.iter().filter(|max| **max <= 1.0).count(), max.len(), max[max.len() / 2]);
        println!("{name:28} rms {:.3} to {:.3}", rms[0], rms[seeds - 1]);
        println!("    largest: ours is no larger for {below} of {seeds} seeds, median {median:.3}, {max:.2?}");
        assert!(rms[seeds - 1] <= SHARE, "{name}: our root mean square is larger");
        assert!(median <= 1.0, "{name}: our largest miss is larger for most seeds");
    }
}

fn allowed(file: &Golden, case: &Case, quantity: &str, hardware: f64) -> Miss {
    let Miss { rms, max } = case.framework(quantity);
    match quantity {
        "p" => {
            let share = if DECAY_APART.contains(&case.name.as_str()) { SHARE_DECOUPLED } else { SHARE };
            let largest = LARGEST.iter().find(|(name, _)| *name == case.name).map_or(share, |(_, largest)| *largest);
            let moved = file.moved(case);
            Miss { rms: share * rms + hardware * moved.rms, max: largest * max + hardware * moved.max }
        }
        "m" => Miss { rms: SHARE * rms + UNFUSED.rms, max: SHARE * max + UNFUSED.max },
        _ => Miss { rms: SHARE * rms, max: SHARE * max },
    }
}

/// Runs every case. Prints each miss, its ratio to the framework's miss, and its share of the tolerance.
fn compare(who: &str, files: &[Golden], hardware: f64, run: impl Fn(&Case, &[Config], Options, &[f32]) -> End) {
    println!("{who:24}   miss:                of the framework's:   of the tolerance:");
    println!("{:24}   rms       max        rms       max         rms       max", "");
    let mut failures = Vec::new();
    for (name, configs) in sample(cases().into_iter().chain(family())) {
        let find = |file: &Golden| file.cases.iter().find(|case| case.name == name).cloned();
        let (file, case) = files.iter().find_map(|file| Some((file, find(file)?))).expect(name);
        let clip = case.clip.map_or(Clip::None, Clip::GlobalNorm);
        let end = run(&case, &configs, Options { clip, ..Options::default() }, &problem::first_params(0, case.p0));
        for quantity in case.quantities() {
            let miss = file.miss(&case, quantity, &end[quantity]);
            let (framework, allowed) = (case.framework(quantity), allowed(file, &case, quantity, hardware));
            let of = |miss: f64, other: f64| if miss == 0.0 { 0.0 } else { miss / other };
            let line = format!(
                "{name:24} {quantity} {:.2e}   {:.2e}   {:7.3}   {:7.3}     {:7.3}   {:7.3}",
                miss.rms,
                miss.max,
                of(miss.rms, framework.rms),
                of(miss.max, framework.max),
                of(miss.rms, allowed.rms),
                of(miss.max, allowed.max)
            );
            println!("{line}");
            if !(miss.rms <= allowed.rms && miss.max <= allowed.max) {
                failures.push(line);
            }
        }
    }
    assert!(failures.is_empty(), "{who}: too far from float64:\n{}", failures.join("\n"));
}
