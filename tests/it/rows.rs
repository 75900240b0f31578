//! Tensors of rows: GPU and CPU agree over widths, formats, masks, lists and gradients of some rows; both agree with
//! float64; and runs are saved and resumed.

use proptest::prelude::*;
use wgpu_adam::precision::{Master, StateDtype};
use wgpu_adam::rows::{Active, GradRows, RowSteps, Rows, SecondMoment};
use wgpu_adam::state::{Base, Transfer};
use wgpu_adam::{
    Adam, Clip, Config, Decay, Dtype, Error, Group, GroupClip, LossScale, Options, Precision, State, Tensor, Variant,
    View, cpu,
};

use crate::sampling::{proptest_cases, sample};
use crate::scene::precisions::{GRADS, stored};
use crate::scene::rows::{Run, Scene, actives, compact};
use crate::scene::variants::variants;
use crate::scene::{Gpu, normals};

const WIDTHS: [u32; 13] = [1, 2, 3, 4, 7, 10, 16, 48, 59, 255, 256, 260, 1024];

#[test]
fn every_width_and_every_way_to_be_active() {
    let gpu = Gpu::new();
    for (width, active) in WIDTHS.into_iter().flat_map(|width| actives().map(|active| (width, active))) {
        for (i, second_moment) in
            [SecondMoment::Elementwise, SecondMoment::RowMean, SecondMoment::RowSum].into_iter().enumerate()
        {
            let mut scene = Scene::new(width, 301).with(|rows| {
                rows.active = active.clone();
                rows.second_moment = second_moment;
                rows.steps = if i == 1 { RowSteps::PerRow } else { RowSteps::Shared };
                rows.column_lr = if i == 0 { Vec::new() } else { (0..width).map(|j| f64::from(j % 5) / 2.0).collect() };
            });
            scene.options.clip = Clip::GlobalNorm(0.5);
            let mut run = scene.start(&gpu);
            (0..3).for_each(|_| run.step());
            run.assert_same();
        }
    }
}

#[test]
fn every_format() {
    let gpu = Gpu::new();
    let all: Vec<_> = stored().flat_map(|stored| GRADS.map(|grad| (stored.clone(), grad))).collect();
    for (i, ((param, precision), grad)) in sample(all.into_iter().enumerate()) {
        for width in [3, 7, 16, 300] {
            let mut scene = Scene::new(width, 70).with(|rows| {
                rows.active = actives()[i % 5].clone();
                rows.steps = if i % 3 == 0 { RowSteps::PerRow } else { RowSteps::Shared };
                rows.second_moment = if i % 2 == 0 { SecondMoment::RowMean } else { SecondMoment::Elementwise };
                rows.grad_rows = if i % 5 == 0 { compact() } else { GradRows::Dense };
                rows.row_lr = (i % 7 == 0).then_some(());
            });
            scene.formats = (param, grad);
            scene.precision = precision.clone();
            scene.options = Options { clip: Clip::GlobalNorm(0.5), zero_grad: i % 2 == 1, ..Options::default() };
            let mut run = scene.start(&gpu);
            (0..3).for_each(|_| run.step());
            run.assert_same();
        }
    }
}

#[test]
fn every_variant_that_rows_allow() {
    let gpu = Gpu::new();
    for config in variants() {
        for (second_moment, steps) in [
            (SecondMoment::Elementwise, RowSteps::Shared),
            (SecondMoment::Elementwise, RowSteps::PerRow),
            (SecondMoment::RowMean, RowSteps::Shared),
            (SecondMoment::RowSum, RowSteps::PerRow),
        ] {
            let mut scene = Scene::new(10, 33).with(|rows| {
                (rows.second_moment, rows.steps, rows.active) = (second_moment, steps, Active::Mask(()));
                rows.row_lr = Some(());
            });
            scene.config = config.clone();
            let mut run = match scene.try_start(&gpu) {
                Ok(run) => run,
                Err(Error::Rows { reason, .. }) => {
                    assert!(reason.contains("needs a"), "{reason}");
                    continue;
                }
                Err(other) => panic!("{other}"),
            };
            (0..4).for_each(|_| run.step());
            run.assert_same();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: proptest_cases(60), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn anything_that_rows_can_be(
        width in prop_oneof![1..12_u32, 1..100_u32, 1..1025_u32], count in 1..400_usize, active in 0..5_usize,
        second in 0..3_usize, flags: [bool; 10], format in 0..1000_usize, skip in (0..9_usize, 0..9_usize, 0..70_usize),
        decay in prop_oneof![Just(Decay::None), Just(Decay::Decoupled(0.1)), Just(Decay::L2(0.1)), Just(Decay::Cautious(0.1))],
    ) {
        let [per_row, compact_grads, row_lr, columns, zero_grad, clip, guard, uncorrected, group_clip, scaled] = flags;
        // Everything together binds more than the 8 storage buffers that a device has by default.
        let gpu = Gpu::with_storage_buffers(16);
        let all: Vec<_> = stored().flat_map(|stored| GRADS.map(|grad| (stored.clone(), grad))).collect();
        let ((param, precision), grad) = all[format % all.len()].clone();
        let mut scene = Scene::new(width, count).with(|rows| {
            rows.active = actives()[active].clone();
            rows.second_moment = [SecondMoment::Elementwise, SecondMoment::RowMean, SecondMoment::RowSum][second];
            rows.steps = if per_row { RowSteps::PerRow } else { RowSteps::Shared };
            rows.grad_rows = if compact_grads { compact() } else { GradRows::Dense };
            rows.row_lr = row_lr.then_some(());
            rows.column_lr = if columns { (0..width).map(|j| f64::from(j % 3)).collect() } else { Vec::new() };
        });
        scene.formats = if format % 3 == 0 { (Dtype::F32, Dtype::F32) } else { (param, grad) };
        scene.precision = if format % 3 == 0 { Precision::default() } else { precision };
        scene.skip = skip;
        scene.config = Config { decay, bias_correction: !uncorrected, ..scene.config };
        scene.options = Options {
            clip: if clip { Clip::GlobalNorm(0.1) } else { Clip::Value(0.5) },
            skip_nonfinite: guard,
            zero_grad,
            loss_scale: scaled.then(LossScale::default),
            ..Options::default()
        };
        scene.group_clip = group_clip.then_some(if clip { GroupClip::Tensor(0.05) } else { GroupClip::Group(0.05) });
        let mut run = scene.start(&gpu);
        (0..3).for_each(|_| run.step());
        run.assert_same();
    }
}

/// One step of a row in float64.
struct Row {
    m: Vec<f64>,
    v: Vec<f64>,
    t: i32,
}

impl Row {
    fn step(
        &mut self,
        config: &Config,
        second: SecondMoment,
        param: &mut [f64],
        g: &[f64],
        rate: impl Fn(usize) -> f64,
    ) {
        self.t += 1;
        let square: f64 = g.iter().map(|g| g * g).sum();
        let mean = if second == SecondMoment::RowMean { square / g.len() as f64 } else { square };
        for j in 0..g.len() {
            let square = if second == SecondMoment::Elementwise { g[j] * g[j] } else { mean };
            self.m[j] = config.beta1 * self.m[j] + (1.0 - config.beta1) * g[j];
            self.v[j] = config.beta2 * self.v[j] + (1.0 - config.beta2) * square;
            let (m_hat, v_hat) =
                (self.m[j] / (1.0 - config.beta1.powi(self.t)), self.v[j] / (1.0 - config.beta2.powi(self.t)));
            param[j] -= config.lr * rate(j) * m_hat / (v_hat.sqrt() + config.eps);
        }
    }
}

/// What PyTorch's `SparseAdam` does wrong is right here: a row that is rarely active takes steps as large as any.
#[test]
fn rows_agree_with_float64_and_count_their_own_steps() {
    let gpu = Gpu::new();
    for (width, second) in [(10, SecondMoment::Elementwise), (48, SecondMoment::RowMean), (7, SecondMoment::RowSum)] {
        let columns: Vec<f64> = (0..width).map(|j| 0.5 + f64::from(j) / 8.0).collect();
        let scene = Scene::new(width, 90).with(|rows| {
            rows.active = Active::List { indices: (), count: () };
            (rows.steps, rows.second_moment) = (RowSteps::PerRow, second);
            (rows.row_lr, rows.column_lr) = (Some(()), columns.clone());
        });
        let wide = width as usize;
        let mut run = scene.start(&gpu);
        let mut params: Vec<f64> = run.params[..scene.len()].iter().map(|x| f64::from(*x)).collect();
        let mut rows: Vec<Row> =
            (0..scene.count).map(|_| Row { m: vec![0.0; wide], v: vec![0.0; wide], t: 0 }).collect();
        for _ in 0..30 {
            run.fresh();
            // The first row is active once, after 20 steps of the others.
            run.inputs.active.retain(|row| *row != 0);
            if run.steps == 20 {
                run.inputs.active.push(0);
            }
            run.upload();
            gpu.step(&run.adam);
            for &row in run.inputs.active.iter().filter(|row| (**row as usize) < scene.count) {
                let at = row as usize * wide..(row as usize + 1) * wide;
                let g: Vec<f64> = run.grads[at.clone()].iter().map(|g| f64::from(*g)).collect();
                let rate = |j: usize| columns[j] * f64::from(run.inputs.row_lr[row as usize]);
                rows[row as usize].step(&run.scene.config, second, &mut params[at], &g, rate);
            }
        }
        let got = gpu.read(&run.buffers.param);
        for (i, (got, want)) in got.iter().zip(&params).enumerate() {
            assert!((f64::from(*got) - want).abs() < 2e-6, "param {i}: {got} for {want}");
        }
        let state = gpu.state(&run.adam);
        let steps = state.tensors.iter().find(|tensor| tensor.name == "rows").unwrap().row_steps();
        assert_eq!(steps, rows.iter().map(|row| row.t as u32).collect::<Vec<_>>());
        assert_eq!(steps[0], 1);
    }
}

#[test]
fn a_run_is_saved_and_resumed_on_both_sides() {
    let gpu = Gpu::new();
    for (width, state) in
        [(10, StateDtype::F32), (10, StateDtype::Block8), (300, StateDtype::Block8), (7, StateDtype::Bf16)]
    {
        let mut scene = Scene::new(width, 77).with(|rows| {
            (rows.active, rows.steps) = (Active::Mask(()), RowSteps::PerRow);
            rows.second_moment = SecondMoment::RowMean;
        });
        scene.precision = Precision { state, state_min_len: 0, master: Master::F32, ..Precision::default() };
        scene.formats.0 = Dtype::Bf16;
        let mut run = scene.start(&gpu);
        (0..3).for_each(|_| run.step());
        let saved = State::from_bytes(&gpu.state(&run.adam).to_bytes().unwrap()).unwrap();
        let mut resumed = scene.start(&gpu);
        (resumed.params, resumed.grads, resumed.steps, resumed.plain) =
            (run.params.clone(), run.grads.clone(), run.steps, run.plain.clone());
        gpu.write(&resumed.buffers.param, &resumed.params);
        pollster::block_on(resumed.adam.load_state(&saved)).unwrap();
        resumed.twin.load_state(&saved).unwrap();
        for _ in 0..2 {
            run.step();
            resumed.step();
        }
        run.assert_same();
        resumed.assert_same();
        assert_eq!(run.params, resumed.params);
    }
}

#[test]
fn factors_of_columns_change_in_mid_run() {
    let gpu = Gpu::new();
    let scene = Scene::new(10, 40);
    let mut run = scene.start(&gpu);
    run.step();
    let factors: Vec<f64> = (0..10).map(f64::from).collect();
    run.adam.set_column_lr("rows", &factors).unwrap();
    run.twin.set_column_lr("rows", &factors).unwrap();
    let before = run.params.clone();
    run.step();
    run.assert_same();
    assert_eq!(before[0], run.params[0], "column 0 has the factor 0");
    assert_ne!(before[1], run.params[1]);
    let wrong = run.adam.set_column_lr("rows", &[1.0]).unwrap_err().to_string();
    assert_eq!(wrong, "tensor `rows`: column_lr has 1 factors, but a row has 10 columns");
    let wrong = run.adam.set_column_lr("plain", &[1.0]).unwrap_err().to_string();
    assert_eq!(wrong, "tensor `plain`: it is no tensor of rows");
    run.adam.set_config(0, Config { beta2: 0.9, ..run.scene.config.clone() }).unwrap();
    run.twin.set_config(0, Config { beta2: 0.9, ..run.scene.config.clone() }).unwrap();
    run.step();
    run.assert_same();
}

#[test]
fn gradients_of_inactive_rows_are_not_read() {
    let gpu = Gpu::new();
    for active in &actives()[1..] {
        let mut scene = Scene::new(10, 50).with(|rows| rows.active = active.clone());
        scene.options = Options { clip: Clip::GlobalNorm(0.5), skip_nonfinite: true, ..Options::default() };
        let mut run = scene.start(&gpu);
        run.fresh();
        if matches!(active, Active::First(())) {
            run.inputs.active = vec![30];
        }
        let is_active = |row: usize| match active {
            Active::Mask(()) => run.inputs.active[row] != 0,
            Active::Bits(()) => run.inputs.active[row / 32] >> (row % 32) & 1 == 1,
            Active::First(()) => (row as u32) < run.inputs.active[0],
            _ => run.inputs.active.contains(&(row as u32)),
        };
        let inactive: Vec<usize> = (0..50).filter(|row| !is_active(*row)).collect();
        assert!(inactive.len() > 5 && inactive.len() < 45);
        for row in &inactive {
            run.grads[row * 10..(row + 1) * 10].fill(f32::NAN);
        }
        run.upload();
        gpu.step(&run.adam);
        run.twin_step();
        assert_eq!(gpu.report(&run.adam).skipped, 0);
        run.assert_same();
        // A NaN of an active row is found.
        let row = (0..50).find(|row| !inactive.contains(row)).unwrap();
        run.grads[row * 10 + 9] = f32::NAN;
        run.upload();
        gpu.step(&run.adam);
        run.twin_step();
        let report = gpu.report(&run.adam);
        assert_eq!((report.skipped, report.nonfinite_tensor.as_deref()), (1, Some("rows")));
        run.assert_same();
    }
}

#[test]
fn rows_move_in_every_format() {
    let gpu = Gpu::new();
    // New rows do not begin with zeros.
    let adagrad = Variant::AdaGrad { lr_decay: 0.0, initial: 0.1 };
    for (i, (param, precision)) in sample(stored().enumerate()) {
        for width in [1, 7, 48, 300] {
            let mut scene = Scene::new(width, 90).with(|rows| {
                rows.second_moment = if i % 2 == 0 { SecondMoment::RowMean } else { SecondMoment::Elementwise };
                rows.steps = if i % 3 == 0 { RowSteps::PerRow } else { RowSteps::Shared };
            });
            (scene.formats.0, scene.precision) = (param, precision.clone());
            if i % 4 == 1 {
                scene.config.variant = adagrad;
            }
            let mut run = scene.start(&gpu);
            run.step();
            run.step();
            // Sorted, cloned, pruned and new rows, and a number of no row.
            let source: Vec<u32> = (0..90_u32)
                .map(|k| match k % 5 {
                    0 => 89 - k,
                    1 => k / 2,
                    2 => u32::MAX,
                    3 => 90 + k,
                    _ => k,
                })
                .collect();
            run.gather(&source);
            run.assert_same();
            run.step();
            run.assert_same();
            // Back to the first set of buffers, and rows that restart.
            run.gather(&source);
            run.zero_rows(&[3, 89, 500, 7, 8], 4);
            run.assert_same();
            run.step();
            run.assert_same();
        }
    }
}

#[test]
fn a_move_is_a_permutation_and_a_new_row_counts_from_the_beginning() {
    let gpu = Gpu::new();
    let mut run = Scene::new(10, 50).with(|rows| rows.steps = RowSteps::PerRow).start(&gpu);
    (0..3).for_each(|_| run.step());
    let of_rows = |run: &Run| gpu.state(&run.adam).tensors.into_iter().find(|tensor| tensor.name == "rows").unwrap();
    let before = of_rows(&run);
    let reversed: Vec<u32> = (0..50).rev().collect();
    run.gather(&reversed);
    let after = of_rows(&run);
    assert_eq!(before.m()[..10], after.m()[490..]);
    run.gather(&reversed);
    assert_eq!(of_rows(&run), before, "twice is not at all");
    let mut source: Vec<u32> = (0..50).collect();
    source[4] = u32::MAX;
    run.gather(&source);
    let state = of_rows(&run);
    assert_eq!((state.row_steps()[3..6].to_vec(), state.m()[40..50].to_vec()), (vec![3, 0, 3], vec![0.0; 10]));
    let errors = [
        run.adam.gather(
            &mut gpu.device.create_command_encoder(&Default::default()),
            "rows",
            &View::u32(&gpu.buffer(&[0.0; 3])),
        ),
        run.adam.gather(
            &mut gpu.device.create_command_encoder(&Default::default()),
            "plain",
            &View::u32(&gpu.buffer(&[0.0; 50])),
        ),
        run.adam.gather(
            &mut gpu.device.create_command_encoder(&Default::default()),
            "rows",
            &View::f32(&gpu.buffer(&[0.0; 50])),
        ),
    ];
    let errors = errors.map(|error| error.unwrap_err().to_string());
    assert_eq!(
        errors,
        [
            "tensor `rows`: source has 3 elements, but there are 50 rows",
            "tensor `plain`: it is no tensor of rows",
            "tensor `rows`: source is F32, but must be U32"
        ]
    );
}

#[test]
fn rows_are_added_and_removed_by_other_views() {
    let gpu = Gpu::new();
    for (state, width) in [(StateDtype::F32, 10), (StateDtype::Block8, 7), (StateDtype::Bf16, 300)] {
        let mut scene = Scene::new(width, 40).with(|rows| {
            (rows.steps, rows.second_moment) = (RowSteps::PerRow, SecondMoment::RowMean);
        });
        scene.precision = Precision { state, ..Precision::default() };
        let mut run = scene.start(&gpu);
        run.step();
        run.step();
        for count in [70, 20] {
            let mut next = run.scene.clone();
            next.count = count;
            let (param, grad) = (gpu.buffer(&normals(5, 5, next.len())), gpu.buffer(&normals(5, 6, next.len())));
            run.adam
                .rebind(Tensor::f32("rows", &param, &grad).with_rows(Rows {
                    steps: RowSteps::PerRow,
                    second_moment: SecondMoment::RowMean,
                    ..Rows::new(width)
                }))
                .unwrap();
            run.twin.rebind(cpu::Tensor::new("rows", next.len()).with_rows(next.rows.clone())).unwrap();
            (run.params, run.grads) = (gpu.read(&param), gpu.read(&grad));
            (run.buffers.param, run.buffers.grad, run.scene) = (param, grad, next);
            run.assert_same();
            run.step();
            run.assert_same();
        }
        let wrong = run.twin.rebind(cpu::Tensor::new("rows", 40)).unwrap_err().to_string();
        assert_eq!(wrong, "tensor `rows`: a tensor of rows must stay one");
        let wrong = run.twin.rebind(cpu::Tensor::new("plain", 40)).unwrap_err().to_string();
        assert_eq!(wrong, "tensor `plain`: its length is 40, but must stay 100");
    }
}

/// The limits are so small that a tensor is cut into several regions.
#[test]
fn rows_are_cut_at_small_limits() {
    let limits = wgpu::Limits { max_storage_buffer_binding_size: 32 << 10, ..wgpu::Limits::default() };
    let gpu = Gpu::with(limits);
    for (width, active) in [7, 48, 300].into_iter().flat_map(|width| actives().map(|active| (width, active))) {
        for (i, state) in [StateDtype::F32, StateDtype::Block8].into_iter().enumerate() {
            let mut scene = Scene::new(width, 500).with(|rows| {
                rows.active = active.clone();
                rows.steps = RowSteps::PerRow;
                rows.second_moment = if i == 0 { SecondMoment::RowMean } else { SecondMoment::Elementwise };
                rows.row_lr = Some(());
            });
            scene.options.clip = Clip::GlobalNorm(0.5);
            scene.precision = Precision { state, ..Precision::default() };
            scene.skip = (3, 5, 7);
            let mut run = scene.start(&gpu);
            run.step();
            let source: Vec<u32> = (0..500_u32).map(|k| (k * 7) % 550).collect();
            run.gather(&source);
            run.zero_rows(&[1, 499, 77], 3);
            run.step();
            run.assert_same();
        }
    }
}

#[test]
fn a_tensor_of_rows_is_switched_off_added_and_reset() {
    let gpu = Gpu::new();
    let mut scene = Scene::new(10, 60).with(|rows| (rows.active, rows.steps) = (Active::Bits(()), RowSteps::PerRow));
    scene.options.clip = Clip::GlobalNorm(0.5);
    let mut run = scene.start(&gpu);
    run.step();
    for active in [false, true] {
        run.adam.set_active(&["rows"], active).unwrap();
        run.twin.set_active(&["rows"], active).unwrap();
        let before = run.params.clone();
        run.step();
        run.assert_same();
        assert_eq!(before == run.params, !active);
    }
    run.adam.reset(&["rows"]).unwrap();
    run.twin.reset(&["rows"]).unwrap();
    run.step();
    run.assert_same();
    assert!(gpu.state(&run.adam).tensors[1].row_steps().iter().all(|t| *t < 2));
}

#[test]
fn mistakes_are_named() {
    let gpu = Gpu::new();
    let error = |scene: Scene| match scene.try_start(&gpu) {
        Ok(_) => panic!("{scene:?} is accepted"),
        Err(error) => error.to_string(),
    };
    let rows = |change: fn(&mut Rows<()>)| Scene::new(10, 5).with(change);
    assert_eq!(
        error(rows(|rows| rows.width = 0)),
        "tensor `rows`: its param view has length 0, but must have at least one element"
    );
    assert_eq!(
        error(rows(|rows| rows.column_lr = vec![1.0, 2.0])),
        "tensor `rows`: column_lr has 2 factors, but a row has 10 columns"
    );
    let mut negative = vec![1.0; 10];
    negative[3] = -1.0;
    assert_eq!(
        error(Scene::new(10, 5).with(|rows| rows.column_lr = negative)),
        "tensor `rows`: column_lr[3] is -1, but must be finite and not negative"
    );
    assert_eq!(error(Scene::new(1025, 2)), "tensor `rows`: the rows have 1025 elements, but must have 1 to 1024");
    let mut lion = rows(|rows| rows.second_moment = SecondMoment::RowMean);
    lion.config = variants().into_iter().find(|config| config.variant == Variant::Lion).unwrap();
    assert_eq!(error(lion), "tensor `rows`: RowMean needs a rule that averages the squares of the gradients, not Lion");
    let buffers = [40, 40, 4].map(|len| gpu.buffer(&vec![0.0; len]));
    let start = |rows: Rows, len: u64| {
        let view = |buffer| View::f32(buffer).slice(..len);
        let tensor = Tensor::new("rows", view(&buffers[0]), view(&buffers[1])).with_rows(rows);
        let groups = [Group::new(Config::default(), vec![tensor])];
        Adam::new(&gpu.device, &gpu.queue, &groups, Options::default()).unwrap_err().to_string()
    };
    assert_eq!(start(Rows::new(3), 40), "tensor `rows`: there are 40 elements, but rows of 3 need a multiple of 3");
    let masked = |view| Rows { active: Active::Mask(view), ..Rows::new(4) };
    assert_eq!(start(masked(View::f32(&buffers[2])), 16), "tensor `rows`: the mask is F32, but must be U32");
    assert_eq!(
        start(masked(View::u32(&buffers[2])), 40),
        "tensor `rows`: the mask has 4 elements, but 10 rows need 10"
    );
    assert_eq!(
        start(masked(View::u32(&buffers[0]).slice(..4)), 16),
        "tensor `rows`: the mask must be in another buffer than param and grad"
    );
    let adam = cpu::Tensor::new("w", 4).with_rows(Rows { active: Active::Mask(()), ..Rows::new(2) });
    let mut adam = cpu::Adam::new(&[cpu::Group::new(Config::default(), vec![adam])], Options::default()).unwrap();
    let wrong = adam.step(&mut [cpu::TensorMut::new(&mut [0.0; 4], &mut [0.0; 4])]).unwrap_err().to_string();
    assert_eq!(wrong, "tensor `w`: active has 0 numbers, but 2 rows need 2");
}

#[test]
fn a_list_is_checked() {
    let gpu = Gpu::new();
    let run = Scene::new(4, 9).with(|rows| rows.active = Active::List { indices: (), count: () }).start(&gpu);
    let check = |list: &[u32], count: u32| {
        gpu.queue.write_buffer(&run.buffers.beside[1], 0, bytemuck::cast_slice(list));
        gpu.queue.write_buffer(&run.buffers.beside[2], 0, bytemuck::bytes_of(&count));
        pollster::block_on(run.adam.check_list("rows")).map_err(|error| error.to_string())
    };
    assert_eq!(check(&[3, 8, 0], 3), Ok(()));
    assert_eq!(check(&[3, 8, 3], 3), Err("tensor `rows`: its list has row 3 twice".to_owned()));
    assert_eq!(check(&[3, 8, 3], 2), Ok(()), "the third is not in the list");
    assert_eq!(check(&[3, 9], 2), Err("tensor `rows`: its list has row 9, but there are 9 rows".to_owned()));
    let plain = pollster::block_on(run.adam.check_list("plain")).unwrap_err().to_string();
    assert_eq!(plain, "tensor `plain`: it is no tensor of rows");
}

#[test]
fn a_probe_measures_active_rows() {
    let gpu = Gpu::new();
    let mut cases = Vec::new();
    for active in actives() {
        for width in [7, 48, 300] {
            for second in [SecondMoment::Elementwise, SecondMoment::RowMean] {
                cases.push((active.clone(), width, second));
            }
        }
    }
    for (i, (active, width, second)) in cases.into_iter().enumerate() {
        let mut scene = Scene::new(width, 150).with(|rows| {
            (rows.active, rows.second_moment) = (active, second);
            rows.row_lr = (i % 5 != 0).then_some(());
            rows.steps = if i % 2 == 0 { RowSteps::PerRow } else { RowSteps::Shared };
            rows.grad_rows = if i % 5 == 0 { compact() } else { GradRows::Dense };
            rows.column_lr = (0..width).map(|j| f64::from(j % 3)).collect();
        });
        if i % 3 == 0 {
            scene.precision = Precision { state: StateDtype::Block8, ..Precision::default() };
        }
        let mut run = scene.start(&gpu);
        run.step();
        let (got, want) = run.measured_step();
        if gpu.software && !gpu.flushes {
            assert_eq!(format!("{got:#?}"), format!("{want:#?}"), "{scene:?}");
        }
        assert_eq!(got.tensors[1].measures.elements, want.tensors[1].measures.elements);
        assert!(got.tensors[1].measures.elements <= scene.len() as u64);
        run.step();
        run.assert_same();
    }
}

#[test]
fn padded_rows_are_read_and_loaded_in_pieces_of_any_size() {
    let gpu = Gpu::new();
    for state in [StateDtype::Block8, StateDtype::Bf16] {
        let mut scene = Scene::new(7, 33).with(|rows| rows.steps = RowSteps::PerRow);
        scene.precision = Precision { state, ..Precision::default() };
        let mut run = scene.start(&gpu);
        run.step();
        let whole = gpu.state(&run.adam);
        assert_eq!(whole.tensors[1].m().len(), 7 * 33);
        for staging_bytes in [4, 12, 52, 1000] {
            let transfer = || Transfer { staging_bytes, ..Transfer::default() };
            let read = pollster::block_on(run.adam.read_state_with(transfer())).unwrap();
            assert_eq!(read, whole, "{staging_bytes} bytes");
            pollster::block_on(run.adam.load_state_with(&whole, transfer())).unwrap();
            assert_eq!(gpu.state(&run.adam), whole, "{staging_bytes} bytes");
        }
        let alone = pollster::block_on(run.adam.read_tensor_state("rows")).unwrap();
        assert_eq!(alone, whole.tensors[1]);
    }
}

#[test]
fn a_state_is_fitted_to_rows_of_another_format_and_count() {
    let of = |steps, state, width: u32| {
        let tensor = cpu::Tensor::new("w", 600).with_rows(Rows { steps, ..Rows::new(width) });
        let options = Options { precision: Precision { state, ..Precision::default() }, ..Options::default() };
        cpu::Adam::new(&[cpu::Group::new(Config::default(), vec![tensor])], options).unwrap()
    };
    let mut trained = of(RowSteps::Shared, StateDtype::F32, 300);
    for _ in 0..3 {
        trained.step(&mut [cpu::TensorMut::new(&mut vec![0.0; 600], &mut normals(1, 2, 600))]).unwrap();
    }
    let mut next = of(RowSteps::PerRow, StateDtype::Block8, 300);
    let (state, fitted) = trained.state().fitted(&next.state(), Base::Optimizer).unwrap();
    assert_eq!(fitted.loaded, ["w"]);
    next.load_state(&state).unwrap();
    let (m, trained_m) = (next.state().tensors[0].m(), trained.state().tensors[0].m());
    assert!(m.iter().zip(&trained_m).all(|(a, b)| (a - b).abs() <= 0.06 * b.abs() + 1e-6));
    assert_eq!(next.state().tensors[0].row_steps(), [3, 3], "rows that did not count have taken all steps");
    let narrower = of(RowSteps::Shared, StateDtype::F32, 100);
    let (_, fitted) = trained.state().fitted(&narrower.state(), Base::Optimizer).unwrap();
    assert_eq!(
        fitted.left_out[0].to_string(),
        "tensor `w`: the width of its rows is 300 in the state, but must be 100"
    );
}
