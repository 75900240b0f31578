//! A race: points of several rules descend a landscape. The render pass reads the parameters where the step writes them;
//! nothing is read back.

use crate::{
    Result,
    canvas::{Canvas, begin_pass},
    device::{Device, finished},
    gpu::{empty, upload},
    kernel::{Binding, Kernel},
    random::Random,
    settings::Rule,
};
use wasm_bindgen::prelude::*;
use web_sys::HtmlCanvasElement;
use wgpu::{
    Buffer, BufferUsages, Queue, RenderPipeline, ShaderModuleDescriptor, ShaderSource, VertexAttribute,
    VertexBufferLayout, VertexFormat, VertexStepMode,
};
use wgpu_adam::{Adam, Config, Group, Options, Tensor, View};

/// The rules and their learning rates, in the order of the colors. A point moves over a square of length 2.
const RULES: [(Rule, f64); 5] =
    [(Rule::Adam, 4e-3), (Rule::Sgd, 2e-5), (Rule::RmsProp, 2e-3), (Rule::Lion, 1.5e-3), (Rule::AdaGrad, 2e-2)];

#[wasm_bindgen]
pub struct Race {
    device: wgpu::Device,
    queue: Queue,
    canvas: Canvas,
    descent: Kernel,
    adam: Adam,
    ground: RenderPipeline,
    points: RenderPipeline,
    param: Buffer,
    /// Number of points.
    count: u32,
}

#[wasm_bindgen]
impl Race {
    /// Begins a race of `points` points of each rule.
    pub async fn begin(
        device: &Device,
        canvas: HtmlCanvasElement,
        landscape: u32,
        points: u32,
        dark: bool,
    ) -> Result<Race> {
        let aspect = f64::from(canvas.width()) / f64::from(canvas.height());
        let canvas = Canvas::new(device, canvas)?;
        let Device { device, queue, .. } = device;

        let count = points * RULES.len() as u32;
        let mut random = Random::new(1);
        let starts: Vec<f32> = (0..2 * points).map(|_| random.uniform(0.95)).collect();
        // All rules start from the same points.
        let starts = starts.repeat(RULES.len());
        let usage = BufferUsages::STORAGE | BufferUsages::VERTEX;
        let param = upload(device, "points", bytemuck::cast_slice(&starts), usage);
        let grad = empty(device, "slopes", starts.len(), BufferUsages::STORAGE);
        let view = |buffer, i: usize| {
            let floats = 2 * u64::from(points);
            View::f32(buffer).slice(i as u64 * floats..(i as u64 + 1) * floats)
        };
        let groups: Vec<Group> = (RULES.iter().enumerate())
            .map(|(i, &(rule, lr))| {
                let tensor = Tensor::new(format!("{rule:?}"), view(&param, i), view(&grad, i));
                Group::new(Config { lr, decay: wgpu_adam::Decay::None, ..rule.preset() }, vec![tensor])
            })
            .collect();
        let adam = Adam::new_async(device, queue, &groups, Options::default()).await?;

        let landscape_wgsl = include_str!("landscape.wgsl");
        let descent = Kernel::new(
            device,
            "descent",
            &[landscape_wgsl, include_str!("descent.wgsl")].concat(),
            &[("landscape", landscape.into())],
            &[Binding::Read(&param), Binding::Write(&grad)],
            [count.div_ceil(64), 1, 1],
        );
        let module = device.create_shader_module(ShaderModuleDescriptor {
            label: Some("scenery"),
            source: ShaderSource::Wgsl([landscape_wgsl, include_str!("scenery.wgsl")].concat().into()),
        });
        let dark = f64::from(u8::from(dark));
        let constants = [("dark", dark), ("aspect", aspect), ("points_of_a_rule", points.into())];
        let floor = [("dark", dark), ("landscape", landscape.into())];
        let pipeline = |vertex, fragment, buffers: &[_], vertex_constants: &[_], fragment_constants: &[_]| {
            canvas.pipeline(device, &module, [vertex, fragment], buffers, [vertex_constants, fragment_constants])
        };
        let ground = pipeline("ground", "shade", &[], &[], &floor);
        let attributes = [VertexAttribute { format: VertexFormat::Float32x2, offset: 0, shader_location: 0 }];
        let layout =
            VertexBufferLayout { array_stride: 8, step_mode: VertexStepMode::Instance, attributes: &attributes };
        let points = pipeline("point", "dot_of", &[Some(layout)], &constants, &[]);
        Ok(Self { device: device.clone(), queue: queue.clone(), canvas, descent, adam, ground, points, param, count })
    }

    /// Makes steps, draws where the points are, and waits for the GPU, so that no frames pile up in its queue.
    pub async fn frame(&self, steps: u32) -> Result<()> {
        let Some(texture) = self.canvas.next() else { return Ok(()) };
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        for _ in 0..steps {
            self.descent.record(&mut pass, 0);
            self.adam.step_in_pass(&mut pass);
        }
        drop(pass);
        let mut pass = begin_pass(&mut encoder, &texture);
        pass.set_pipeline(&self.ground);
        pass.draw(0..3, 0..1);
        pass.set_pipeline(&self.points);
        pass.set_vertex_buffer(0, self.param.slice(..));
        pass.draw(0..4, 0..self.count);
        drop(pass);
        self.queue.submit([encoder.finish()]);
        self.queue.present(texture);
        finished(&self.queue).await
    }
}
