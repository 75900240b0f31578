//! What the clock makes on the device, step by step, against float64.

use wgpu::BufferUsages;

use crate::clock::Scalars;
use crate::kernels::UNIFORM_STRIDE;
use crate::scene::Gpu;
use crate::{Adam, Config, Group, Options, Tensor, View};

/// `1 - beta^t` in f64, by a route that does not cancel.
fn correction(beta: f64, t: f64) -> f64 {
    -(t * beta.ln()).exp_m1()
}

const BETAS: [f64; 4] = [0.99, 0.999, 0.9999, 0.99999];

/// `1 - beta^t` by m, and 1 over its root by v, as the device has them, after each of so many ticks from `t` on.
fn corrections(gpu: &Gpu, adam: &Adam, ticks: u64) -> Vec<[(f64, f64); 4]> {
    let size = UNIFORM_STRIDE * BETAS.len() as u64;
    let usage = BufferUsages::COPY_DST | BufferUsages::COPY_SRC;
    let descriptor = wgpu::BufferDescriptor { label: None, size: size * ticks, usage, mapped_at_creation: false };
    let all = gpu.device.create_buffer(&descriptor);
    let mut encoder = gpu.device.create_command_encoder(&Default::default());
    for t in 0..ticks {
        adam.step(&mut encoder);
        encoder.copy_buffer_to_buffer(&adam.slots, 0, &all, t * size, size);
    }
    gpu.queue.submit([encoder.finish()]);
    let words = gpu.read(&all);
    let bytes: &[u8] = bytemuck::cast_slice(&words);
    let scalars = |at: usize| -> Scalars { bytemuck::pod_read_unaligned(&bytes[at..at + size_of::<Scalars>()]) };
    (0..ticks as usize)
        .map(|t| {
            std::array::from_fn(|group| {
                let scalars = scalars(t * size as usize + group * UNIFORM_STRIDE as usize);
                // The learning rate is 1.
                (1.0 / f64::from(scalars.m_coef), f64::from(scalars.v_coef))
            })
        })
        .collect()
}

#[test]
fn bias_corrections_on_the_device_are_within_2e_7_of_float64() {
    let gpu = Gpu::new();
    let groups = BETAS.map(|beta| {
        let (param, grad) = (gpu.buffer(&[1.0]), gpu.buffer(&[1.0]));
        let config = Config { lr: 1.0, beta1: beta, beta2: beta, ..Config::default() };
        Group::new(config, vec![Tensor::new(format!("{beta}"), View::f32(&param), View::f32(&grad))])
    });
    let adam = Adam::new(&gpu.device, &groups, Options::default()).unwrap();
    // Elsewhere than on a CPU adapter the division may add 2.5 ulp and the root 4.5.
    let ulp = 2f64.powi(-23);
    let (allowed_m, allowed_v) = if gpu.software { (2e-7, 2e-7) } else { (2e-7 + 2.5 * ulp, 2e-7 + 7.0 * ulp) };
    let mut worst: f64 = 0.0;
    for (start, ticks) in [(0, 10_000), (10_000, 10_000), (999_995, 10), (999_999_995, 10)] {
        adam.set_t(&gpu.queue, start);
        for (i, groups) in corrections(&gpu, &adam, ticks).iter().enumerate() {
            let t = f64::from(start) + i as f64 + 1.0;
            for (beta, (by_m, by_v)) in BETAS.iter().zip(groups) {
                let want = correction(*beta, t);
                let (error_m, error_v) = ((by_m / want - 1.0).abs(), (by_v * want.sqrt() - 1.0).abs());
                assert!(error_m < allowed_m, "beta {beta}, t {t}: {by_m} for {want}");
                assert!(error_v < allowed_v, "beta {beta}, t {t}: {by_v} for 1 / sqrt({want})");
                worst = worst.max(error_m).max(error_v);
            }
        }
    }
    println!("worst: {worst:.2e}");
}
