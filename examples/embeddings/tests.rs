//! Compares the gradient of the CPU with finite differences, and that of the GPU with that of the CPU, and checks that both learn alike.

use crate::{
    batch::Sampler,
    cpu::Cpu,
    device,
    gpu::Gpu,
    random::Random,
    text::Text,
    trainer::{Setup, Trainer},
};

fn text() -> Text {
    Text::new(include_str!("../../LICENSE-APACHE"))
}

/// Returns tables in which no row is zero.
fn setup(rows: usize, dim: usize, batch: usize) -> Setup {
    let mut random = Random::new(1);
    let mut setup = Setup::new(rows, dim, batch, 0);
    setup.tables.iter_mut().flatten().for_each(|x| *x = random.uniform(0.5));
    setup
}

/// Returns the same training on the GPU and on the CPU.
fn trainers(rows: usize, dim: usize, batch: usize) -> [Box<dyn Trainer>; 2] {
    let (device, queue, _) = device::open().expect("this test needs an adapter; a software adapter is enough");
    let [for_gpu, for_cpu] = [0, 1].map(|_| setup(rows, dim, batch));
    [Box::new(Gpu::new(device, queue, for_gpu).unwrap()), Box::new(Cpu::new(for_cpu).unwrap())]
}

/// Returns the largest difference, as a part of the norm.
fn off(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    let norm = want.iter().map(|x| x * x).sum::<f32>().sqrt();
    got.iter().zip(want).map(|(got, want)| (got - want).abs()).fold(0.0, f32::max) / norm
}

#[test]
fn gradient_matches_finite_differences() {
    let (text, dim, size) = (text(), 8, 20);
    let batch = Sampler::new(&text, 2).batch(size);
    let grads = Cpu::new(setup(text.words.len(), dim, size)).unwrap().gradient(&batch).unwrap();
    for (table, touched) in batch.touched.iter().enumerate() {
        for (k, row) in touched.rows.iter().enumerate() {
            let beside = |by: f32| {
                let mut setup = setup(text.words.len(), dim, size);
                setup.tables[table][*row as usize * dim + k % dim] += by;
                let mut cpu = Cpu::new(setup).unwrap();
                cpu.gradient(&batch).unwrap();
                cpu.loss().unwrap()
            };
            let slope = (beside(0.01) - beside(-0.01)) / 0.02;
            let error = (slope - f64::from(grads[table][k * dim + k % dim])).abs();
            assert!(error < 1e-4, "{error}");
        }
    }
}

#[test]
fn gpu_and_cpu_have_the_same_gradient() {
    let text = text();
    for (dim, size) in [(1, 1), (7, 40), (64, 100), (130, 3)] {
        let [gpu, cpu] = &mut trainers(text.words.len(), dim, size);
        let mut sampler = Sampler::new(&text, 2);
        for batch in [sampler.batch(size), sampler.batch(size)] {
            let (got, want) = (gpu.gradient(&batch).unwrap(), cpu.gradient(&batch).unwrap());
            let worst = off(&got[0], &want[0]).max(off(&got[1], &want[1]));
            println!("{dim} elements, {size} pairs: difference {worst:.1e} of the norm");
            assert!(worst < 1e-5);
        }
    }
}

#[test]
fn gpu_and_cpu_learn_alike() {
    let text = text();
    let losses = trainers(text.words.len(), 32, 64).map(|mut trainer| {
        let mut sampler = Sampler::new(&text, 4);
        let mut losses = Vec::new();
        for _ in 0..2 {
            for _ in 0..100 {
                trainer.step(&sampler.batch(64)).unwrap();
            }
            losses.push(trainer.loss().unwrap() / 6400.0);
        }
        (losses, trainer.table(0).unwrap())
    });
    let [(gpu, gpu_words), (cpu, cpu_words)] = &losses;
    println!("GPU {gpu:?}, CPU {cpu:?}");
    assert!(gpu[1] < 0.9 * gpu[0]);
    assert!(gpu.iter().zip(cpu).all(|(gpu, cpu)| (gpu - cpu).abs() < 0.01));
    assert!(off(gpu_words, cpu_words) < 1e-3);
}
