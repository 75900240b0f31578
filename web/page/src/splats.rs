//! A picture that is fitted by 2D Gaussians. The render pass reads the image where the kernels of the fit write it. Two
//! numbers are read back for a score.
//!
//! The fit is that of `examples/splats`.

#[path = "../../../examples/splats/fit.rs"]
mod fit;
#[path = "../../../examples/splats/init.rs"]
mod init;
#[path = "../../../examples/splats/optimizer.rs"]
mod optimizer;
#[path = "../../../examples/splats/passes.rs"]
mod passes;
#[path = "../../../examples/splats/setup.rs"]
mod setup;
#[path = "../../../examples/splats/splat.rs"]
#[allow(dead_code, reason = "the page renders on the GPU only")]
mod splat;
#[path = "../../../examples/splats/surgery.rs"]
mod surgery;
#[path = "../../../examples/splats/target.rs"]
mod target;

use crate::{
    Result,
    canvas::{Canvas, begin_pass},
    device::{Device, Part, finished, read},
    settings::Moments,
};
use fit::{Buffers, Fit};
use optimizer::Settings;
use serde::Deserialize;
use setup::{Score, Setup};
use target::Target;
use wasm_bindgen::prelude::*;
use web_sys::HtmlCanvasElement;
use wgpu::{BindGroup, BindGroupDescriptor, BindGroupEntry, Queue, RenderPipeline};
use wgpu_adam::Adam;
use wgpu_adam::rows::{RowSteps, SecondMoment};

/// Number of steps of a fit.
const STEPS: u32 = 1500;
/// The greatest number of splats, and the number of pixels for each of them in a small picture.
const MOST: usize = 8000;
const PIXELS_OF_A_SPLAT: usize = 8;

#[wasm_bindgen]
pub struct Splats {
    device: wgpu::Device,
    queue: Queue,
    canvas: Canvas,
    fit: Fit,
    draw: RenderPipeline,
    image: BindGroup,
    pixels: usize,
    step: u32,
}

/// The controls. The page sends them as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Controls {
    /// A factor of all learning rates.
    lr: f64,
    moments: Moments,
}

/// How far a fit is.
#[wasm_bindgen]
pub struct Progress {
    pub step: u32,
    pub splats: u32,
    /// Peak signal-to-noise ratio in decibels.
    pub psnr: f64,
    /// Whether that was the last step.
    pub done: bool,
}

#[wasm_bindgen]
impl Splats {
    /// Begins to fit a picture of the size of the canvas. Its pixels have four bytes each: red, green, blue and alpha.
    pub async fn begin(
        device: &Device,
        canvas: HtmlCanvasElement,
        pixels: Vec<u8>,
        controls: String,
        seed: u32,
    ) -> Result<Splats> {
        let Controls { lr, moments } = serde_json::from_str(&controls)?;
        let size = [canvas.width(), canvas.height()];
        let canvas = Canvas::new(device, canvas)?;
        let pixels = pixels.as_chunks().0.iter().map(|&[red, green, blue, _]| [red, green, blue]);
        let target = Target::new(size, pixels);
        let pixels = target.pixels.len();
        let most = pixels.div_ceil(PIXELS_OF_A_SPLAT).min(MOST);
        let setup = Setup {
            target: &target,
            rows: init::rows(&target, most.div_ceil(4), seed.into()),
            most,
            capacity: most.next_multiple_of(4),
            settings: Settings {
                steps: STEPS,
                lr,
                moments: moments.precision().state,
                second: SecondMoment::Elementwise,
                counts: RowSteps::PerRow,
                seed,
            },
        };
        let Device { device, queue, .. } = device;
        let buffers = Buffers::new(device, &setup);
        let group = setup.settings.group(buffers.of_optimizer());
        let adam = Adam::new_async(device, queue, &[group], setup.settings.options()).await?;
        let fit = Fit::new(device, buffers, adam, &setup);

        let module = device.create_shader_module(wgpu::include_wgsl!("picture.wgsl"));
        let width = [("width", size[0].into())];
        let draw = canvas.pipeline(device, &module, ["corner", "color"], &[], [&[], &width]);
        let image = device.create_bind_group(&BindGroupDescriptor {
            label: Some("image"),
            layout: &draw.get_bind_group_layout(0),
            entries: &[BindGroupEntry { binding: 0, resource: fit.buffers.image.as_entire_binding() }],
        });
        let (device, queue) = (device.clone(), queue.clone());
        Ok(Self { device, queue, canvas, fit, draw, image, pixels, step: 0 })
    }

    /// Makes at most so many steps, draws the image of the last one, and waits for the GPU.
    pub async fn frame(&mut self, steps: u32) -> Result<()> {
        let Some(texture) = self.canvas.next() else { return Ok(()) };
        let mut encoder = self.device.create_command_encoder(&Default::default());
        if surgery::is_due(self.step, STEPS) {
            self.fit.record_surgery(&mut encoder)?;
        }
        let round = (self.step / surgery::INTERVAL + 1) * surgery::INTERVAL;
        let end = (self.step + steps).min(round).min(STEPS);
        let mut pass = encoder.begin_compute_pass(&Default::default());
        for _ in self.step..end {
            self.fit.record_step(&mut pass);
        }
        drop(pass);
        self.step = end;
        let mut pass = begin_pass(&mut encoder, &texture);
        pass.set_pipeline(&self.draw);
        pass.set_bind_group(0, &self.image, &[]);
        pass.draw(0..3, 0..1);
        drop(pass);
        self.queue.submit([encoder.finish()]);
        self.queue.present(texture);
        finished(&self.queue).await
    }

    /// Measures the splats as they are.
    pub async fn measure(&self) -> Result<Progress> {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        self.fit.passes.record_score(&mut encoder.begin_compute_pass(&Default::default()));
        self.queue.submit([encoder.finish()]);
        let numbers = read(&self.device, &self.queue, &[Part(&self.fit.buffers.score, 0, 2)]).await?;
        let score = Score::new(self.step, [numbers[0], numbers[1]], self.pixels);
        Ok(Progress { step: score.step, splats: score.splats, psnr: score.psnr(), done: self.step == STEPS })
    }

    /// Sets the factor of all learning rates.
    #[wasm_bindgen(js_name = setLr)]
    pub async fn set_lr(&mut self, lr: f64) -> Result<()> {
        Ok(self.fit.adam.checked(|adam| adam.set_lr(0, lr)).await?)
    }
}
