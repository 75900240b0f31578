//! A million steps: memory use stays constant, t is exact, and GPU and twin have the same bits at the end.
//!
//! ```sh
//! cargo test --release --test it soak:: -- --ignored --nocapture
//! ```

use crate::scene::{Gpu, Scene};
use wgpu_adam::preset::pytorch;
use wgpu_adam::{Clip, Config, Decay, Options};

/// Each submission makes a thousand steps with the same gradients.
const SUBMISSIONS: u32 = 1000;

/// The resident bytes of this process, which include the device memory of a software driver, and the bytes of wgpu's
/// buffers.
fn memory(gpu: &Gpu) -> (u64, u64) {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0);
    let device = gpu.device.generate_allocator_report().map_or(0, |report| report.total_allocated_bytes);
    (pages * 4096, device)
}

#[test]
#[ignore = "takes minutes"]
fn a_million_steps() {
    let gpu = Gpu::new();
    let configs = [
        Config { lr: 1e-3, decay: Decay::Decoupled(0.01), ..Config::default() },
        Config { lr: 1e-4, ..pytorch::nadam() },
    ];
    let options = Options { clip: Clip::GlobalNorm(1.0), skip_nonfinite: true, ..Options::default() };
    let mut run = Scene::arena(&[64, 17, 100, 5], 4, &configs, options).start(&gpu);
    let (mut skipped, mut early) = (0, (0, 0));
    for submission in 0..SUBMISSIONS {
        run.fresh_grads();
        // Some submissions skip all of their thousand steps.
        if submission % 100 == 7 {
            run.grads[0][30] = f32::NAN;
            skipped += 1000;
        }
        run.upload_grads(&gpu);
        gpu.steps(&run.adam, 1000);
        for _ in 0..1000 {
            run.twin_step();
        }
        // Only one submission is in flight at a time, since the memory that several need varies.
        gpu.device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
        if submission % 50 == 49 {
            let report = gpu.report(&run.adam);
            assert_eq!(report.t + report.skipped, 1000 * (submission + 1));
            let (host, device) = memory(&gpu);
            println!(
                "{} steps, {} skipped, {} KiB, {} KiB of buffers",
                report.t,
                report.skipped,
                host >> 10,
                device >> 10
            );
            if submission == 99 {
                early = (host, device);
            }
        }
    }
    let report = gpu.report(&run.adam);
    assert_eq!((report.t, report.skipped), (1000 * SUBMISSIONS - skipped, skipped));
    let (host, device) = memory(&gpu);
    assert!(host <= early.0 + (4 << 20), "the process grew from {} to {host} bytes", early.0);
    assert_eq!(device, early.1, "bytes of buffers");
    run.steps = report.t.into();
    run.assert_same(&gpu);
}
