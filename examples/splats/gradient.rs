//! Checks the backward pass. The gradient of the CPU is compared with finite differences of the loss, which is
//! implemented here a second time, in f64, from the equations of `splat.rs`. The gradient of the GPU is compared with
//! that of the CPU.

use crate::{
    cpu::Cpu,
    device,
    gpu::Gpu,
    init,
    optimizer::Settings,
    picture,
    random::Random,
    setup::{Score, Setup},
    splat::{ANGLE, COLOR, COLUMNS, EMPTY, LOG_STD, LOGIT, MEAN},
    target::Target,
    trainer::Trainer,
};
use wgpu_adam::precision::StateDtype;
use wgpu_adam::rows::{RowSteps, SecondMoment};

/// Sizes of 1, odd sizes, whole tiles, and one pixel more than a tile; more and less than 32 splats.
const SHAPES: [([u32; 2], usize); 5] = [([1, 1], 4), ([7, 5], 8), ([16, 8], 32), ([33, 17], 36), ([41, 30], 100)];

/// Returns a synthetic picture: waves and noise.
pub fn target(size: [u32; 2]) -> Target {
    let mut random = Random::new(5);
    let places = (0..size[1]).flat_map(|y| (0..size[0]).map(move |x| (x as f32, y as f32)));
    let pixels = places.map(|(x, y)| {
        let waves = [(0.3 * x).sin(), (0.2 * x + 0.4 * y).cos(), (0.5 * y).sin()];
        waves.map(|wave| 0.5 + 0.3 * wave + random.uniform(0.1))
    });
    Target { size, pixels: pixels.collect() }
}

fn settings(steps: u32) -> Settings {
    let (moments, second, counts) = (StateDtype::F32, SecondMoment::Elementwise, RowSteps::PerRow);
    Settings { steps, lr: 1.0, moments, second, counts, seed: 0 }
}

/// Returns splats of which no number is a special case, and some are partly outside the image.
pub fn setup(target: &Target, count: usize) -> Setup<'_> {
    let mut random = Random::new(3);
    let mut rows = init::rows(target, count, 1);
    for row in &mut rows {
        for column in [MEAN, MEAN + 1, LOG_STD, LOG_STD + 1, LOGIT] {
            row[column] += random.uniform(0.5);
        }
        row[ANGLE] = random.uniform(3.0);
        (COLOR..LOGIT).for_each(|column| row[column] += random.uniform(0.2));
    }
    let settings = settings(300);
    Setup { target, rows, most: count, capacity: count.next_multiple_of(4), settings }
}

pub fn gpu(setup: &Setup) -> Gpu {
    let (device, queue, _) = device::open().expect("this test needs an adapter; a software adapter is enough");
    Gpu::new(device, queue, setup).unwrap()
}

/// Returns the loss in f64: each pixel asks each splat.
fn loss(target: &Target, splats: &[[f64; COLUMNS]]) -> f64 {
    let [width, height] = target.size;
    let mut sum = 0.0;
    for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))) {
        let (mut color, mut total) = ([0.0; 3], f64::from(EMPTY));
        for splat in splats {
            let d = [f64::from(x) - splat[MEAN], f64::from(y) - splat[MEAN + 1]];
            let (sin, cos) = splat[ANGLE].sin_cos();
            let u = [cos * d[0] + sin * d[1], cos * d[1] - sin * d[0]];
            let q = (u[0] / splat[LOG_STD].exp()).powi(2) + (u[1] / splat[LOG_STD + 1].exp()).powi(2);
            let w = ((-q / 2.0).exp() - (-4.5f64).exp()).max(0.0) / (1.0 + (-splat[LOGIT]).exp());
            (0..3).for_each(|c| color[c] += w * splat[COLOR + c]);
            total += w;
        }
        let wanted = target.pixels[(y * width + x) as usize];
        sum += (0..3).map(|c| (color[c] / total - f64::from(wanted[c])).powi(2)).sum::<f64>();
    }
    sum / (3 * target.pixels.len()) as f64
}

fn norm(numbers: &[f32]) -> f32 {
    numbers.iter().map(|grad| grad * grad).sum::<f32>().sqrt()
}

#[test]
fn gradient_matches_finite_differences() {
    for (size, count) in SHAPES {
        let target = target(size);
        let mut cpu = Cpu::new(&setup(&target, count)).unwrap();
        cpu.gradient();
        let mut param: Vec<[f64; COLUMNS]> = cpu.param.iter().map(|row| row.map(f64::from)).collect();
        let numbers = COLUMNS * param.len();
        let mut worst: f64 = 0.0;
        // About 100 numbers, including the first and the last.
        for place in (0..numbers).step_by((numbers / 100).max(1)).chain([numbers - 1]) {
            let (row, column) = (place / COLUMNS, place % COLUMNS);
            let kept = param[row][column];
            let mut beside = |by: f64| {
                param[row][column] = kept + by;
                loss(&target, &param)
            };
            let slope = (beside(1e-6) - beside(-1e-6)) / 2e-6;
            param[row][column] = kept;
            worst = worst.max((slope - f64::from(cpu.grad[row][column])).abs());
        }
        worst /= f64::from(norm(cpu.grad.as_flattened()));
        println!("{size:?}, {count} splats: error {worst:.1e} of the gradient's norm");
        assert!(worst < 1e-5);
    }
}

#[test]
fn gpu_and_cpu_have_the_same_gradient() {
    for (size, count) in SHAPES {
        let target = target(size);
        let setup = setup(&target, count);
        let mut cpu = Cpu::new(&setup).unwrap();
        cpu.gradient();
        let gpu = gpu(&setup);
        gpu.gradient();
        let off = |got: Vec<f32>, want: &[f32]| {
            let off = got.iter().zip(want).map(|(got, want)| (got - want).abs()).fold(0.0, f32::max);
            off / norm(want)
        };
        let grad = off(gpu.read(&gpu.fit.buffers.grad).unwrap(), cpu.grad.as_flattened());
        let stress = off(gpu.read(&gpu.fit.buffers.stress).unwrap(), &cpu.stress);
        println!("{size:?}, {count} splats: differences {grad:.1e} and {stress:.1e} of the norms");
        assert!(grad < 2e-5 && stress < 2e-5);
    }
}

/// Makes 200 steps, and refines after the first hundred.
fn fit(trainer: &mut dyn Trainer) -> (Vec<[f32; 3]>, Score) {
    trainer.advance(100).unwrap();
    trainer.refine().unwrap();
    trainer.advance(100).unwrap();
    trainer.measure().unwrap();
    let score = trainer.score(true).unwrap().unwrap();
    (trainer.picture().unwrap(), score)
}

#[test]
fn gpu_and_cpu_fit_alike_and_reproducibly() {
    let target = target([60, 44]);
    let mut setup = setup(&target, 200);
    (setup.most, setup.capacity) = (240, 240);
    let first = fit(&mut gpu(&setup));
    assert_eq!(first, fit(&mut gpu(&setup)), "the same seed must give the same bits");
    let cpu = fit(&mut Cpu::new(&setup).unwrap());
    println!("{:.3} dB on the GPU, {:.3} dB on the CPU", first.1.psnr(), cpu.1.psnr());
    assert_eq!(first.1.splats, cpu.1.splats);
    assert!((first.1.psnr() - cpu.1.psnr()).abs() < 0.1);
    let off = first.0.iter().flatten().zip(cpu.0.iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("largest difference {off:.1e}");
    assert!(off < 5e-3);
}

#[test]
fn the_portrait_is_fitted_to_30_db() {
    let target = picture::astronaut();
    let settings = settings(100);
    let setup = Setup { target: &target, rows: init::rows(&target, 4000, 0), most: 4000, capacity: 4000, settings };
    let mut gpu = gpu(&setup);
    gpu.advance(100).unwrap();
    gpu.measure().unwrap();
    let score = gpu.score(true).unwrap().unwrap();
    println!("{:.2} dB", score.psnr());
    assert!(score.psnr() > 30.0);
}
