//! Steps of tensors of rows.

use std::sync::LazyLock;

use wgpu_adam::precision::{Rounding, StateDtype};
use wgpu_adam::rows::{Active, RowSteps, Rows, SecondMoment};
use wgpu_adam::{Clip, Dtype, Options, Precision, Variant};

use super::Difference;
use crate::scene::Gpu;
use crate::scene::rows::{Scene, compact};

pub const SCENES: &[(&str, Difference)] = &[
    ("rows", |gpu| steps(gpu, scene(48, |rows| rows.active = Active::Mask(())))),
    ("rows of 41 quads", |gpu| steps(gpu, scene(164, |rows| rows.active = Active::Mask(())))),
    ("partial rows", |gpu| steps(gpu, scene(7, |rows| rows.active = Active::Bits(())))),
    ("first rows", |gpu| steps(gpu, scene(10, |rows| rows.active = Active::First(())))),
    ("listed rows", |gpu| steps(gpu, scene(10, |rows| rows.active = Active::List { indices: (), count: () }))),
    ("listed rows whose gradients are set to zero", zeroed),
    ("joined rows", |gpu| steps(gpu, scene(10, |_| {}))),
    ("joined rows, cut", |_| cut_joined()),
    ("compact rows", |gpu| steps(gpu, scene(48, |rows| rows.grad_rows = compact()))),
    ("rows with their own rates", |gpu| steps(gpu, scene(7, |rows| rows.row_lr = Some(())))),
    ("rows with one moment", |gpu| steps(gpu, scene(11, |rows| rows.second_moment = SecondMoment::RowMean))),
    ("rows with their own steps", own_steps),
    ("rows in blocks", |gpu| steps(gpu, narrow(300, (Dtype::F32, Dtype::F32)))),
    ("partial rows in f16", |gpu| steps(gpu, narrow(7, (Dtype::F16, Dtype::F16)))),
    ("huge gradients of rows", |gpu| of_magnitude(gpu, 1e25)),
    ("tiny gradients of rows", |gpu| of_magnitude(gpu, 1e-25)),
    ("moved rows", moved),
    ("measured rows", measured),
    ("cut rows", |_| cut()),
    ("rows in blocks, cut", |_| cut_blocks()),
    ("many rows", many),
];

/// A device whose limits are so small that rows are cut into several regions.
static SMALL: LazyLock<Gpu> =
    LazyLock::new(|| Gpu::with(wgpu::Limits { max_storage_buffer_binding_size: 32 << 10, ..wgpu::Limits::default() }));

fn scene(width: u32, change: impl FnOnce(&mut Rows<()>)) -> Scene {
    let mut scene = Scene::new(width, 300).with(change);
    scene.options = Options { clip: Clip::GlobalNorm(0.1), ..Options::default() };
    scene.rows.column_lr = (0..width).map(|j| 1.0 + f64::from(j % 3)).collect();
    scene.skip = (4, 8, 5);
    scene
}

/// State in 8-bit blocks. Gradients are set to zero.
fn narrow(width: u32, formats: (Dtype, Dtype)) -> Scene {
    let mut scene = scene(width, |_| {});
    scene.formats = formats;
    scene.options.zero_grad = true;
    let state_rounding = Rounding::Stochastic;
    scene.precision = Precision { state: StateDtype::Block8, state_rounding, ..Precision::default() };
    scene
}

fn steps(gpu: &Gpu, scene: Scene) -> Option<String> {
    let mut run = scene.start(gpu);
    (0..3).for_each(|_| run.step());
    run.difference()
}

fn own_steps(gpu: &Gpu) -> Option<String> {
    let mut scene = scene(12, |rows| (rows.steps, rows.active) = (RowSteps::PerRow, Active::Mask(())));
    scene.config.eps_root = 1e-4;
    let mut run = scene.start(gpu);
    (0..6).for_each(|_| run.step());
    run.difference()
}

/// The first step with gradients of this magnitude.
fn of_magnitude(gpu: &Gpu, magnitude: f32) -> Option<String> {
    let mut scene = scene(10, |_| {});
    scene.options.skip_nonfinite = true;
    let mut run = scene.start(gpu);
    // Its norm would hide that of the rows.
    run.adam.set_active(&["plain"], false).unwrap();
    run.twin.set_active(&["plain"], false).unwrap();
    run.fresh();
    run.grads.iter_mut().for_each(|g| *g *= magnitude);
    run.upload();
    gpu.step(&run.adam);
    run.twin_step();
    let difference = run.difference();
    if difference.is_some() {
        return difference;
    }
    // The first gradient.
    run.grads[8] = f32::NAN;
    run.upload();
    gpu.step(&run.adam);
    run.twin_step();
    run.difference()
}

fn moved(gpu: &Gpu) -> Option<String> {
    let mut scene = scene(7, |rows| rows.steps = RowSteps::PerRow);
    // New rows do not begin with zeros.
    scene.config.variant = Variant::AdaGrad { lr_decay: 0.0, initial: 0.1 };
    let mut run = scene.start(gpu);
    run.step();
    let source: Vec<u32> = (0..300_u32).map(|k| if k % 3 == 0 { k + 201 } else { 299 - k }).collect();
    assert!(source.contains(&300), "the first number of no row");
    run.gather(&source);
    run.gather(&source);
    run.gather(&source);
    run.zero_rows(&[2, 3, 299, 4], 3);
    run.difference()
}

fn measured(gpu: &Gpu) -> Option<String> {
    let mut scene = scene(10, |rows| {
        (rows.steps, rows.second_moment) = (RowSteps::PerRow, SecondMoment::RowMean);
        (rows.active, rows.row_lr) = (Active::Mask(()), Some(()));
    });
    scene.count = 500;
    let mut run = scene.start(gpu);
    run.step();
    let (got, want) = run.measured_step();
    let texts = [got, want].map(|insight| format!("{insight:?}"));
    (texts[0] != texts[1]).then(|| texts.join(" for ")).or_else(|| run.difference())
}

fn many(gpu: &Gpu) -> Option<String> {
    let mut scene = scene(1024, |_| {});
    scene.count = 5000;
    steps(gpu, scene)
}

fn zeroed(gpu: &Gpu) -> Option<String> {
    let mut scene = scene(10, |rows| rows.active = Active::List { indices: (), count: () });
    scene.options.zero_grad = true;
    steps(gpu, scene)
}

fn cut_joined() -> Option<String> {
    let mut scene = scene(12, |_| {});
    scene.count = 900;
    let state_rounding = Rounding::Stochastic;
    scene.precision = Precision { state: StateDtype::Bf16, state_rounding, ..Precision::default() };
    steps(&SMALL, scene)
}

fn cut_blocks() -> Option<String> {
    steps(&SMALL, narrow(300, (Dtype::F32, Dtype::F32)))
}

fn cut() -> Option<String> {
    for active in [Active::First(()), Active::List { indices: (), count: () }] {
        let mut scene = scene(48, |rows| (rows.active, rows.row_lr) = (active, Some(())));
        scene.count = 900;
        let mut run = scene.start(&SMALL);
        run.step();
        run.gather(&(0..900_u32).map(|k| (k * 7) % 950).collect::<Vec<_>>());
        run.zero_rows(&[2, 3, 899], 3);
        run.step();
        let difference = run.difference();
        if difference.is_some() {
            return difference;
        }
    }
    None
}
