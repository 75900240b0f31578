//! A canvas that is drawn on by render passes.

use crate::{Result, device::Device};
use wasm_bindgen::prelude::*;
use web_sys::HtmlCanvasElement;
use wgpu::{
    BlendState, ColorTargetState, ColorWrites, CommandEncoder, CurrentSurfaceTexture, FragmentState,
    PipelineCompilationOptions, PrimitiveState, PrimitiveTopology, RenderPass, RenderPassColorAttachment,
    RenderPassDescriptor, RenderPipeline, RenderPipelineDescriptor, ShaderModule, Surface, SurfaceTarget,
    SurfaceTexture, TextureFormat, VertexBufferLayout, VertexState,
};

pub struct Canvas {
    surface: Surface<'static>,
    format: TextureFormat,
}

impl Canvas {
    pub fn new(device: &Device, canvas: HtmlCanvasElement) -> Result<Self> {
        let Device { instance, adapter, device, .. } = device;
        let (width, height) = (canvas.width(), canvas.height());
        let surface = instance.create_surface(SurfaceTarget::Canvas(canvas))?;
        let config = surface.get_default_config(adapter, width, height);
        let config = config.ok_or_else(|| JsError::new("This GPU cannot draw on a canvas."))?;
        surface.configure(device, &config);
        Ok(Self { surface, format: config.format })
    }

    /// Builds a pipeline of two entry points of a module, each with the values of its `override`s.
    pub fn pipeline(
        &self,
        device: &wgpu::Device,
        module: &ShaderModule,
        [vertex, fragment]: [&str; 2],
        buffers: &[Option<VertexBufferLayout>],
        [of_vertex, of_fragment]: [&[(&str, f64)]; 2],
    ) -> RenderPipeline {
        let with = |constants| PipelineCompilationOptions { constants, ..Default::default() };
        device.create_render_pipeline(&RenderPipelineDescriptor {
            label: Some(vertex),
            layout: None,
            vertex: VertexState { module, entry_point: Some(vertex), compilation_options: with(of_vertex), buffers },
            primitive: PrimitiveState { topology: PrimitiveTopology::TriangleStrip, ..Default::default() },
            depth_stencil: None,
            multisample: Default::default(),
            fragment: Some(FragmentState {
                module,
                entry_point: Some(fragment),
                compilation_options: with(of_fragment),
                targets: &[Some(ColorTargetState {
                    format: self.format,
                    blend: Some(BlendState::ALPHA_BLENDING),
                    write_mask: ColorWrites::ALL,
                })],
            }),
            multiview_mask: None,
            cache: None,
        })
    }

    /// Returns the texture of the next frame, if there is one.
    pub fn next(&self) -> Option<SurfaceTexture> {
        match self.surface.get_current_texture() {
            CurrentSurfaceTexture::Success(texture) | CurrentSurfaceTexture::Suboptimal(texture) => Some(texture),
            _ => None,
        }
    }
}

/// Begins a render pass that clears the texture.
pub fn begin_pass<'a>(encoder: &'a mut CommandEncoder, texture: &SurfaceTexture) -> RenderPass<'a> {
    let view = texture.texture.create_view(&Default::default());
    let attachment =
        RenderPassColorAttachment { view: &view, depth_slice: None, resolve_target: None, ops: Default::default() };
    encoder.begin_render_pass(&RenderPassDescriptor { color_attachments: &[Some(attachment)], ..Default::default() })
}
