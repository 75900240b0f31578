//! Checks the backward pass. The gradient of the CPU is compared with finite differences of the loss, which is
//! implemented here a second time, in f64, from the equations. The gradient of the GPU is compared with that of the
//! CPU.

use crate::{
    cpu::Cpu,
    data::Data,
    device,
    gpu::Gpu,
    network::Network,
    random::Random,
    rate::Course,
    storage::{Params, State, Storage},
    trainer::{Epoch, Setup, Trainer, is_measured},
};
use wgpu_adam::probe::Measures;

/// Sizes of 1, odd sizes, whole tiles of 32, and one more than a tile. The last minibatch is short.
const SHAPES: [(usize, usize, usize, usize, usize); 6] = [
    // features, hidden, classes, rows, batch
    (1, 1, 2, 1, 1),
    (5, 4, 3, 7, 3),
    (31, 33, 2, 40, 32),
    (64, 64, 10, 100, 64),
    (67, 129, 37, 70, 65),
    (785, 31, 10, 50, 32),
];

/// Returns synthetic rows. The last fifth is held out.
fn data(features: usize, classes: usize, rows: usize) -> Data {
    let mut random = Random::new(7);
    let pixels = (0..features * rows).map(|_| (random.uniform(1.0) * 255.0).max(0.0) as u8).collect();
    let labels = (0..rows).map(|row| (row * 5 % classes) as u32).collect();
    let train = rows - rows / 5;
    Data {
        name: String::new(),
        title: String::new(),
        pixels,
        white: 255,
        labels,
        features,
        classes,
        train: (0..train as u32).collect(),
        held_out: (train as u32..rows as u32).collect(),
    }
}

fn setup(data: &Data, hidden: usize, batch: usize) -> Setup<'_> {
    let network = Network { features: data.features, hidden, classes: data.classes };
    let mut random = Random::new(3);
    let mut param = network.init(&mut random);
    // Biases other than 0, so that their gradients are no special case.
    param[network.b1()].fill_with(|| random.uniform(0.5));
    param[network.b2()].fill_with(|| random.uniform(0.5));
    Setup {
        data,
        network,
        param,
        batch,
        lr: 3e-3,
        schedule: Course::Cosine.schedule(5 * 45, 20),
        weight_decay: 0.0,
        clip: None,
        storage: Storage { params: Params::F32, state: State::F32, state_min_len: 0 },
        seed: 0,
    }
}

fn gpu(setup: &Setup) -> Gpu {
    let (device, queue, _) = device::open().expect("this test needs an adapter; a software adapter is enough");
    Gpu::new(device, queue, setup).unwrap()
}

/// Returns the mean loss of those rows in f64.
fn loss(setup: &Setup, param: &[f64], rows: &[u32]) -> f64 {
    let Network { features, hidden, classes } = setup.network;
    let (w1, b1) = (&param[setup.network.w1()], &param[setup.network.b1()]);
    let (w2, b2) = (&param[setup.network.w2()], &param[setup.network.b2()]);
    let of_row = |row: usize| {
        let x = |i: usize| f64::from(setup.data.pixels[row * features + i]) / f64::from(setup.data.white);
        let h: Vec<f64> =
            (0..hidden).map(|j| (0..features).map(|i| x(i) * w1[i * hidden + j]).sum::<f64>() + b1[j]).collect();
        let z = |c: usize| h.iter().zip(0..).map(|(h, j)| h.max(0.0) * w2[j * classes + c]).sum::<f64>() + b2[c];
        (0..classes).map(|c| z(c).exp()).sum::<f64>().ln() - z(setup.data.labels[row] as usize)
    };
    rows.iter().map(|&row| of_row(row as usize)).sum::<f64>() / rows.len() as f64
}

#[test]
fn gradient_matches_finite_differences() {
    for (features, hidden, classes, rows, batch) in SHAPES {
        let data = data(features, classes, rows);
        let all: Vec<u32> = (0..batch as u32).collect();
        let mut cpu = Cpu::new(setup(&data, hidden, batch)).unwrap();
        let (sum, _) = cpu.gradient(&all);
        let setup = setup(&data, hidden, batch);
        let mut param: Vec<f64> = setup.param.iter().map(|&param| f64::from(param)).collect();
        let want = loss(&setup, &param, &all);
        assert!((sum / batch as f64 - want).abs() < 1e-6 * want, "{sum} / {batch} is not {want}");

        let norm = cpu.grad.iter().map(|grad| grad * grad).sum::<f32>().sqrt();
        // About 100 parameters, including the first and the last.
        let count = param.len();
        let sampled = (0..count).step_by((count / 100).max(1)).chain([count - 1]);
        let mut worst: f64 = 0.0;
        for at in sampled {
            let kept = param[at];
            let mut beside = |by: f64| {
                param[at] = kept + by;
                loss(&setup, &param, &all)
            };
            let slope = (beside(1e-6) - beside(-1e-6)) / 2e-6;
            param[at] = kept;
            worst = worst.max((slope - f64::from(cpu.grad[at])).abs() / f64::from(norm));
        }
        println!("{features}-{hidden}-{classes}: error {worst:.1e} of the gradient's norm");
        assert!(worst < 1e-6);
    }
}

#[test]
fn gpu_and_cpu_have_the_same_gradient() {
    for (features, hidden, classes, rows, batch) in SHAPES {
        let data = data(features, classes, rows);
        let mut cpu = Cpu::new(setup(&data, hidden, batch)).unwrap();
        let gpu = gpu(&setup(&data, hidden, batch));
        for (number, rows) in data.train.chunks(batch).enumerate() {
            cpu.gradient(rows);
            let got = gpu.gradient(number).unwrap();
            let norm = cpu.grad.iter().map(|grad| grad * grad).sum::<f32>().sqrt();
            let off = got.iter().zip(&cpu.grad).map(|(got, want)| (got - want).abs()).fold(0.0, f32::max);
            println!("{features}-{hidden}-{classes}, {} rows: difference {:.1e} of the norm", rows.len(), off / norm);
            // WGSL allows `exp` an error of about 2e-6.
            assert!(off < 4e-6 * norm);
        }
    }
}

#[test]
fn four_steps_of_an_epoch_are_measured_or_all_if_fewer() {
    for (steps, want) in [(1, vec![0]), (3, vec![0, 1, 2]), (45, vec![11, 22, 33, 44])] {
        assert_eq!((0..steps).filter(|step| is_measured(*step, steps)).collect::<Vec<_>>(), want);
    }
}

#[test]
fn gpu_and_cpu_train_alike_and_reproducibly() {
    let data = Data::digits();
    let train = |trainer: &mut dyn Trainer| {
        let mut order = data.train.clone();
        let mut random = Random::new(1);
        let epochs: Vec<_> = (0..5)
            .map(|_| {
                random.shuffle(&mut order);
                trainer.epoch(&order, &|_| ()).unwrap()
            })
            .collect();
        assert_eq!(trainer.report().unwrap().t, 5 * 45);
        epochs
    };
    let setup = || setup(&data, 64, 32);
    let first = train(&mut gpu(&setup()));
    assert_eq!(first, train(&mut gpu(&setup())), "the same seed must give the same bits");
    for (gpu, cpu) in first.iter().zip(train(&mut Cpu::new(setup()).unwrap())) {
        println!("training loss {:.6} on the GPU, {:.6} on the CPU", gpu.train.loss, cpu.train.loss);
        println!("held-out loss {:.6} on the GPU, {:.6} on the CPU", gpu.held_out.loss, cpu.held_out.loss);
        assert!((gpu.train.loss - cpu.train.loss).abs() < 1e-4);
        assert!((gpu.held_out.loss - cpu.held_out.loss).abs() < 1e-3);
        assert!(gpu.held_out.correct.abs_diff(cpu.held_out.correct) <= 1);
        assert_eq!([&gpu.insights, &cpu.insights].map(|insights| insights.last().unwrap().t % 45), [0, 0]);
        let snr = |epoch: &Epoch| epoch.mean(|all| all.snr.map(|snr| snr.mean)).unwrap();
        let ratio = |epoch: &Epoch| epoch.mean(Measures::update_ratio).unwrap();
        assert!((snr(gpu) / snr(&cpu) - 1.0).abs() < 1e-2 && (ratio(gpu) / ratio(&cpu) - 1.0).abs() < 1e-2);
        assert_eq!([gpu.insights.len(), cpu.insights.len()], [4, 4]);
    }
}
