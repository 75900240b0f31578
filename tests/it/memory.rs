//! `memory_use()` returns what wgpu has allocated, and the README's table of memory is correct.

use crate::scene::{Gpu, Scene};
use wgpu_adam::precision::{Master, StateDtype};
use wgpu_adam::{
    Adam, Clip, Config, Dtype, Group, LossScale, MemoryUse, Options, Precision, Schedule, Tensor, View, preset,
};

const LEN: usize = 1 << 16;

fn adam(gpu: &Gpu, config: Config, formats: (Dtype, Dtype), precision: Precision) -> Adam {
    let [param, grad] = [0, 1].map(|_| gpu.buffer(&vec![0.0; LEN]));
    let view = |buffer, format| View::new(buffer, format).slice(..LEN as u64);
    let tensor = Tensor::new("w", view(&param, formats.0), view(&grad, formats.1));
    let options = Options { precision, ..Options::default() };
    Adam::new(&gpu.device, &gpu.queue, &[Group::new(config, vec![tensor])], options).unwrap()
}

#[test]
fn each_kind_of_buffer_has_the_expected_size() {
    let gpu = Gpu::new();
    let len = LEN as u64;
    let f32s = (Dtype::F32, Dtype::F32);
    let halves = (Dtype::Bf16, Dtype::Bf16);
    let small = adam(&gpu, Config::default(), f32s, Precision::default()).memory_use().small;
    assert!((500..3000).contains(&small), "{small}");
    let held = |m, v, v_max, master, remainder| {
        let mut held = MemoryUse::default();
        (held.m, held.v, held.v_max, held.master, held.remainder, held.small) = (m, v, v_max, master, remainder, small);
        held
    };
    let averaged = |mut held: MemoryUse| {
        held.grad_avg = 4 * len;
        held
    };
    let beside = |master| Precision { master, ..Precision::default() };
    let bf16 = Precision { state: StateDtype::Bf16, ..Precision::default() };
    for (config, formats, precision, want) in [
        (preset::pytorch::adam(), f32s, Precision::default(), held(4 * len, 4 * len, 0, 0, 0)),
        (preset::pytorch::amsgrad(), f32s, Precision::default(), held(4 * len, 4 * len, 4 * len, 0, 0)),
        (preset::optax::lion(), f32s, Precision::default(), held(4 * len, 0, 0, 0, 0)),
        (preset::pytorch::adagrad(), f32s, bf16.clone(), held(0, 2 * len, 0, 0, 0)),
        (preset::pytorch::rmsprop_centered(), f32s, Precision::default(), averaged(held(0, 4 * len, 0, 0, 0))),
        (preset::pytorch::sgd(), f32s, bf16, held(0, 0, 0, 0, 0)),
        (preset::pytorch::adam(), halves, beside(Master::F32), held(4 * len, 4 * len, 0, 4 * len, 0)),
        (preset::pytorch::amsgrad(), halves, beside(Master::Remainder), held(4 * len, 4 * len, 4 * len, 0, 2 * len)),
    ] {
        let memory = adam(&gpu, config.clone(), formats, precision.clone()).memory_use();
        assert_eq!(memory, want, "{config:?}, {precision:?}");
        assert_eq!(memory.total(), want.m + want.v + want.v_max + want.grad_avg + want.master + want.remainder + small);
    }
    let with = |options| Scene::scattered(&[LEN], &[Config::default()], options).start(&gpu).adam.memory_use().small;
    let guarded = with(Options { skip_nonfinite: true, ..Options::default() });
    assert_eq!(with(Options { loss_scale: Some(LossScale::default()), ..Options::default() }), guarded + 16);
    // The norm's dispatch has a uniform of 48 bytes. 16 bytes for one partial are always allocated.
    assert_eq!(guarded, small + 48 + 16 * (LEN as u64 / 16_384 - 1));
    let memory = held(4096, 0, 0, 8, 0);
    assert_eq!(memory.to_string(), format!("m 4096, master 8, small {small}: {} bytes", 4104 + small));
}

/// The number of this crate's buffers in wgpu's allocator, and their bytes.
fn allocated(gpu: &Gpu) -> Option<(u64, u64)> {
    gpu.device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    let report = gpu.device.generate_allocator_report()?;
    let ours = report.allocations.iter().filter(|allocation| allocation.name.starts_with("wgpu-adam"));
    Some(ours.fold((0, 0), |(count, bytes), allocation| (count + 1, bytes + allocation.size)))
}

#[test]
fn memory_use_is_what_wgpu_has_allocated() {
    let gpu = Gpu::new();
    let Some(before) = allocated(&gpu) else {
        assert!(
            !matches!(gpu.backend, wgpu::Backend::Vulkan | wgpu::Backend::Dx12),
            "these backends report their allocations"
        );
        println!("skipped: {:?} does not report its allocations", gpu.backend);
        return;
    };
    assert_eq!(before, (0, 0));
    let other = Config { lr: 0.1, ..Config::default() };
    let options = Options { clip: Clip::GlobalNorm(1.0), loss_scale: Some(LossScale::default()), ..Options::default() };
    let lens: Vec<usize> = (0..40).map(|i| 3001 + 97 * i).collect();
    for scene in [
        Scene::scattered(&[4096], &[Config::default()], Options::default()),
        // This scene has tables of the owners, partials, and a loss scale.
        Scene::arena(&lens, 64, &[Config::default(), other.clone()], options.clone()),
        Scene::scattered(&lens, &[preset::pytorch::amsgrad(), other], options),
    ] {
        let mut run = scene.start(&gpu);
        check(&gpu, &run.adam);
        run.step(&gpu);
        // A change must free the old buffers.
        run.adam.remove(&["tensor0"]).unwrap_or(());
        check(&gpu, &run.adam);
    }
    // An optimizer with a schedule.
    let [param, grad] = [0, 1].map(|_| gpu.buffer(&[0.0; 100]));
    let values = (0..50).map(|i| f64::from(i) / 50.0).collect();
    let table = Schedule::Table { values, every: 1, interpolate: true };
    let tensor = Tensor::f32("w", &param, &grad);
    let group = Group::new(Config::default(), vec![tensor]).with_schedule(table);
    check(&gpu, &Adam::new(&gpu.device, &gpu.queue, &[group], Options::default()).unwrap());
}

fn check(gpu: &Gpu, adam: &Adam) {
    let (buffers, bytes) = allocated(gpu).unwrap();
    let told = adam.memory_use().total();
    // The allocator rounds up the size and the offset of each buffer.
    assert!(
        (told..=told + 255 * buffers).contains(&bytes),
        "{bytes} in {buffers} buffers, memory_use says {}",
        adam.memory_use()
    );
}

#[test]
fn reading_one_tensor_copies_only_its_bytes() {
    let gpu = Gpu::new();
    let Some(_) = allocated(&gpu) else {
        return println!("skipped: {:?} does not report its allocations", gpu.backend);
    };
    let run = Scene::arena(&[LEN, 1000, LEN], 64, &[Config::default()], Options::default()).start(&gpu);
    let staging = || {
        let report = gpu.device.generate_allocator_report().unwrap();
        let sizes = report.allocations.iter().filter(|allocation| allocation.name == "wgpu-adam staging");
        sizes.map(|allocation| allocation.size).sum::<u64>()
    };
    let reading = run.adam.read_tensor_state("tensor1");
    // Two moments, and the clock, twice.
    let own = 2 * 4 * 1000;
    assert!((own..own + 1024).contains(&staging()), "{}", staging());
    assert_eq!(pollster::block_on(reading).unwrap().m(), [0.0; 1000]);
    let reading = run.adam.read_state();
    assert!(staging() > 2 * 2 * 4 * LEN as u64, "{}", staging());
    drop(reading);
}

/// Checks each line of the README's table.
#[test]
fn the_table_in_the_readme_is_correct() {
    let gpu = Gpu::new();
    let table = include_str!("../../README.md").lines().skip_while(|line| !line.starts_with("| params, gradients |"));
    let lines: Vec<&str> = table.skip(2).take_while(|line| line.starts_with('|')).collect();
    assert!(lines.len() >= 6, "{lines:?}");
    for line in lines {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, formats, moments, beside, held, moved, _] = cells[..] else { panic!("{line}") };
        let state = match moments {
            "f32" => StateDtype::F32,
            "bf16" => StateDtype::Bf16,
            _ if moments.starts_with("8") => StateDtype::Block8,
            _ => panic!("{line}"),
        };
        let master = match beside {
            "" => Master::None,
            "f32 master" => Master::F32,
            "16-bit remainder" => Master::Remainder,
            _ => panic!("{line}"),
        };
        for format in formats.split(" or ") {
            let format = match format {
                "f32" => Dtype::F32,
                "f16" => Dtype::F16,
                "bf16" => Dtype::Bf16,
                _ => panic!("{line}"),
            };
            let precision = Precision { state, master, ..Precision::default() };
            let memory = adam(&gpu, preset::pytorch::adamw(), (format, format), precision).memory_use();
            let bytes = (memory.total() - memory.small) as f64 / LEN as f64;
            let told = |cell: &str| cell.parse::<f64>().unwrap_or_else(|e| panic!("{e}: {line}"));
            assert!((bytes - told(held)).abs() < 0.005, "{bytes} held: {line}");
            // A step reads and writes the params and all state, and reads the gradients.
            let bytes = 3.0 * format.bytes() as f64 + 2.0 * bytes;
            assert!((bytes - told(moved)).abs() < 0.01, "{bytes} moved: {line}");
        }
    }
}
