//! Devices with small limits, so that a few thousand elements take the paths of huge tensors.

use crate::sampling::sample;
use crate::scene::precisions::{GRADS, align, stored};
use crate::scene::{Gpu, Scene};
use wgpu::Limits;
use wgpu_adam::{Adam, Clip, Config, Group, Options, Tensor, View};

/// A device with bindings of 4,096 bytes and two workgroups per dimension. The device must enforce both.
fn small() -> Gpu {
    let limits =
        Limits { max_storage_buffer_binding_size: 4096, max_compute_workgroups_per_dimension: 2, ..Limits::default() };
    let gpu = Gpu::with(limits);
    assert_eq!(gpu.device.limits().max_storage_buffer_binding_size, 4096);
    assert_eq!(gpu.device.limits().max_compute_workgroups_per_dimension, 2);
    gpu
}

fn options() -> [Options; 2] {
    [
        Options::default(),
        Options { clip: Clip::GlobalNorm(1.0), skip_nonfinite: true, zero_grad: true, ..Options::default() },
    ]
}

#[test]
fn a_tensor_above_the_binding_limit_is_split() {
    let gpu = small();
    for options in options() {
        for (len, param, grad) in [
            (1024, (0, 0), (0, 0)),
            (1025, (0, 0), (0, 0)),
            (5000, (0, 0), (0, 0)),
            (5000, (17, 2), (17, 2)),
            // Param and grad begin at different places of their blocks, or are not even aligned with each other.
            (5000, (0, 0), (60, 0)),
            (5001, (60, 1), (4, 9)),
            (3001, (1, 0), (2, 0)),
        ] {
            let mut run = Scene::offset(len, param, grad, Config::default(), options.clone()).start(&gpu);
            let dispatches = run.adam.dispatches() - 1;
            assert_eq!(dispatches > if options.skip_nonfinite { 2 } else { 1 }, len > 1024, "{len}: {dispatches}");
            run.steps(&gpu, 30);
            run.assert_same(&gpu);
        }
    }
}

#[test]
fn an_arena_above_the_limits_is_split() {
    let gpu = small();
    let configs = [Config::default(), Config { lr: 0.01, ..Config::default() }];
    for options in options() {
        for lens in [&[1; 20][..], &[100; 40], &[1, 1023, 1025, 2, 3000], &[7; 200]] {
            for align in [1, 4, 64] {
                let mut run = Scene::arena(lens, align, &configs, options.clone()).start(&gpu);
                run.steps(&gpu, 10);
                run.assert_same(&gpu);
            }
        }
    }
}

#[test]
fn tensors_and_arenas_of_other_dtypes_are_split() {
    let gpu = small();
    let configs = [Config::default(), Config { lr: 0.01, ..Config::default() }];
    for (i, (param, precision)) in sample(stored().enumerate()) {
        let formats = (param, GRADS[i % 4]);
        let options = Options { precision: precision.clone(), ..options()[i / 4 % 2].clone() };
        let tensor = Scene::offset(5001, (60, 1), (4, 9), configs[0].clone(), options.clone());
        let arena = Scene::arena(&[7, 1023, 2049, 2, 3000], align(&precision), &configs, options);
        for scene in
            [tensor.with_dtypes(formats, (0, 0)), arena.with_dtypes(formats, (align(&precision), align(&precision)))]
        {
            let mut run = scene.start(&gpu);
            assert!(run.adam.dispatches() > 3, "{formats:?}, {precision:?}: {}", run.adam.dispatches());
            run.steps(&gpu, 5);
            run.assert_same(&gpu);
        }
    }
}

/// There are more workgroups than fit in one dimension. All other limits are the defaults.
#[test]
fn a_dispatch_has_several_rows_if_one_is_not_enough() {
    let limits = Limits { max_compute_workgroups_per_dimension: 5, ..Limits::default() };
    let gpu = Gpu::with(limits);
    for options in options() {
        // Five workgroups cover 5,120 elements in the update and 81,920 in the norm.
        for len in [5_120, 5_121, 5_124, 40_000, 200_000] {
            let mut run = Scene::scattered(&[len], &[Config::default()], options.clone()).start(&gpu);
            run.steps(&gpu, 2);
            run.assert_same(&gpu);
        }
    }
}

/// Views above 128 MiB need large buffers, and only this test has some. 33,554,433 elements are split in two.
#[test]
fn a_tensor_may_have_more_elements_than_a_binding_holds() {
    let gpu = Gpu::new();
    let (len, shift) = (33_554_433_u64, 1_u64);
    let limit = gpu.device.limits().max_storage_buffer_binding_size;
    assert!(len * 4 > limit, "the binding limit is {limit}");
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
    let size = (len + shift) * 4;
    let buffer =
        || gpu.device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false });
    let (param, grad) = (buffer(), buffer());
    let ones: Vec<f32> = vec![1.0; 1 << 20];
    for i in 0..=(len / (1 << 20)) {
        let part = &ones[..((len + shift - (i << 20)).min(1 << 20)) as usize];
        gpu.queue.write_buffer(&grad, i << 22, bytemuck::cast_slice(part));
    }
    for (param_at, grad_at) in [(0, 0), (0, 1)] {
        let tensors = vec![Tensor::new(
            "large",
            View::f32(&param).slice(param_at..param_at + len),
            View::f32(&grad).slice(grad_at..grad_at + len),
        )];
        let config = Config { lr: 0.5, eps: 0.0, ..Config::default() };
        let options = Options { skip_nonfinite: true, ..Options::default() };
        let adam = Adam::new(&gpu.device, &gpu.queue, &[Group::new(config, tensors)], options).unwrap();
        assert!(adam.dispatches() >= 5);
        gpu.step(&adam);
        // With a constant gradient and eps 0, each step is the learning rate.
        let report = gpu.report(&adam);
        assert_eq!(report.t, 1);
        let norm = f64::from(report.grad_norm.unwrap());
        assert!((norm / (len as f64).sqrt() - 1.0).abs() < 1e-5, "{norm}");
    }
    let values = gpu.read(&param);
    let (last, all) = values.split_last().unwrap();
    let moved = all.iter().filter(|p| (**p + 1.0).abs() < 1e-6).count();
    assert_eq!(
        (moved as u64, *last),
        (len, 0.0),
        "each element of the view must move twice by lr, and the element after it not at all"
    );
}

fn message(gpu: &Gpu, groups: u32, options: Options) -> String {
    let buffers: Vec<_> = (0..2 * groups).map(|_| gpu.buffer(&[0.0; 4])).collect();
    let tensors =
        buffers.chunks(2).enumerate().map(|(i, b)| Tensor::new(format!("t{i}"), View::f32(&b[0]), View::f32(&b[1])));
    let groups = tensors.map(|tensor| Group::new(Config::default(), vec![tensor]));
    let made = Adam::new(&gpu.device, &gpu.queue, &groups.collect::<Vec<_>>(), options);
    made.err().map_or("no error".to_owned(), |error| error.to_string())
}

#[test]
fn limits_that_are_too_small_are_named() {
    let guarded = Options { skip_nonfinite: true, ..Options::default() };
    let has = Limits::default;
    for (limits, want) in [
        (
            Limits { max_storage_buffers_per_shader_stage: 3, ..has() },
            "max_storage_buffers_per_shader_stage is 3, but 4 is needed",
        ),
        (
            Limits { max_uniform_buffers_per_shader_stage: 1, ..has() },
            "max_uniform_buffers_per_shader_stage is 1, but 2 is needed",
        ),
        (
            Limits { max_buffers_and_acceleration_structures_per_shader_stage: 5, ..has() },
            "max_buffers_and_acceleration_structures_per_shader_stage is 5, but 6 is needed",
        ),
        (Limits { max_bindings_per_bind_group: 8, ..has() }, "max_bindings_per_bind_group is 8, but 22 is needed"),
        (
            Limits { min_uniform_buffer_offset_alignment: 512, ..has() },
            "min_uniform_buffer_offset_alignment is 512, but 256 is needed",
        ),
        (
            Limits { max_compute_workgroups_per_dimension: 0, ..has() },
            "max_compute_workgroups_per_dimension is 0, but 1 is needed",
        ),
        (Limits { max_bind_groups: 0, ..has() }, "max_bind_groups is 0, but 1 is needed"),
        (
            Limits { max_compute_invocations_per_workgroup: 64, ..has() },
            "max_compute_invocations_per_workgroup is 64, but 256 is needed",
        ),
        (Limits { max_compute_workgroup_size_x: 64, ..has() }, "max_compute_workgroup_size_x is 64, but 256 is needed"),
        (
            Limits { max_compute_workgroup_storage_size: 4096, ..has() },
            "max_compute_workgroup_storage_size is 4096, but 4108 is needed",
        ),
        (
            Limits { max_uniform_buffer_binding_size: 64, ..has() },
            "max_uniform_buffer_binding_size is 64, but 256 is needed",
        ),
        (
            Limits { max_storage_buffer_binding_size: 256, ..has() },
            "max_storage_buffer_binding_size is 256, but 512 is needed",
        ),
    ] {
        let gpu = Gpu::with(limits);
        assert_eq!(message(&gpu, 1, guarded.clone()), format!("the device's limit {want}"));
    }
    // There are seventeen dispatches with uniforms of 256 bytes.
    let gpu = Gpu::with(Limits { max_buffer_size: 4096, ..has() });
    let want = "the device's limit max_buffer_size is 4096, but 4352 is needed";
    assert_eq!(message(&gpu, 17, Options::default()), want);
    let gpu = Gpu::with(Limits { max_buffer_size: 256, ..has() });
    assert_eq!(message(&gpu, 1, Options::default()), "the device's limit max_buffer_size is 256, but 512 is needed");
    // Seventeen groups need seventeen slots of 256 bytes, but a binding has room for sixteen.
    let gpu = small();
    assert_eq!(message(&gpu, 16, Options::default()), "no error");
    let want = "the device's limit max_storage_buffer_binding_size is 4096, but 4352 is needed";
    assert_eq!(message(&gpu, 17, Options::default()), want);
}

/// These limits are exactly what Adam needs, but for the bindings of three tensors in one dispatch of the norm.
#[test]
fn the_least_limits_are_enough() {
    let limits = Limits {
        max_storage_buffers_per_shader_stage: 4,
        max_uniform_buffers_per_shader_stage: 2,
        max_buffers_and_acceleration_structures_per_shader_stage: 6,
        max_bindings_per_bind_group: 26,
        max_bind_groups: 1,
        max_compute_workgroup_storage_size: 4108,
        max_uniform_buffer_binding_size: 256,
        max_compute_workgroups_per_dimension: 1,
        ..Limits::default()
    };
    let gpu = Gpu::with(limits);
    for options in options() {
        let mut run = Scene::scattered(&[1000, 300, 20], &[Config::default()], options).start(&gpu);
        run.steps(&gpu, 3);
        run.assert_same(&gpu);
    }
}

/// Each tensor has a tile of its own, in a table whose tiles are larger than the state of a quad.
#[test]
fn many_tensors_of_one_element_are_split() {
    let gpu = Gpu::with(Limits { max_storage_buffer_binding_size: 4096, ..Limits::default() });
    let configs = [Config::default(), Config { lr: 0.01, ..Config::default() }];
    let mut run = Scene::arena(&[1; 256], 4, &configs, Options::default()).start(&gpu);
    run.steps(&gpu, 3);
    run.assert_same(&gpu);
}
