//! GPU and twin, bit for bit, over lengths, layouts and options.

mod scene;

use scene::{Gpu, Scene};
use wgpu_adam::{Clip, Config, Decay, Options};

#[test]
fn smoke() {
    let gpu = Gpu::new();
    let configs = [Config::default(), Config { lr: 3e-3, decay: Decay::Decoupled(0.1), ..Config::default() }];
    for options in [
        Options::default(),
        Options { clip: Clip::GlobalNorm(1.0), guard: true, zero_grad: true },
        Options { clip: Clip::Value(0.5), guard: false, zero_grad: false },
    ] {
        for scene in [
            Scene::scattered(&[1, 2, 3, 5, 255, 257, 1000, 4097], &configs, options),
            Scene::scattered(&[20_001], &configs[..1], options),
            Scene::arena(&[1, 2, 3, 5, 255, 257, 1000, 4097], 1, &configs, options),
            Scene::arena(&[1, 2, 3, 5, 255, 257, 1000, 4097], 64, &configs, options),
        ] {
            let mut run = scene.start(&gpu);
            for _ in 0..20 {
                run.step(&gpu);
            }
            run.assert_same_bits(&gpu);
        }
    }
}
