//! The layout of a scene: the place of each tensor in its buffers, its dtypes, and its configuration.

use wgpu::Buffer;
use wgpu_adam::{Adam, Config, Dtype, Group, GroupClip, Options, Tensor, View};

use super::gpu::Gpu;
use super::run::Run;
use super::stored::{Numbers, normals};

/// The place of one tensor: elements `param..param + len` of a param buffer, and the same for its grad.
#[derive(Clone, Debug)]
pub struct Spot {
    pub group: usize,
    pub buffers: (usize, usize),
    pub param: usize,
    pub grad: usize,
    pub len: usize,
    /// The dtypes of param and grad.
    pub formats: (Dtype, Dtype),
    /// The value of the integer 1 in integer gradients.
    pub grad_scale: f32,
}

impl Spot {
    pub fn f32(group: usize, buffers: (usize, usize), param: usize, grad: usize, len: usize) -> Self {
        Self { group, buffers, param, grad, len, formats: (Dtype::F32, Dtype::F32), grad_scale: 1e-6 }
    }

    /// Reads the param from the images of the param buffers.
    pub fn param_of(&self, images: &[Vec<f32>]) -> Numbers {
        Numbers::of(&images[self.buffers.0], self.formats.0, 1.0, self.param, self.len)
    }

    pub fn put_param(&self, numbers: &Numbers, images: &mut [Vec<f32>]) {
        numbers.put(&mut images[self.buffers.0], self.param);
    }

    pub fn grad_of(&self, images: &[Vec<f32>]) -> Numbers {
        Numbers::of(&images[self.buffers.1], self.formats.1, self.grad_scale, self.grad, self.len)
    }

    /// The view of the gradients in the buffers of gradients.
    pub fn grad_view(&self, buffers: &[Buffer]) -> View {
        View::new(&buffers[self.buffers.1], self.formats.1).slice(self.grad as u64..(self.grad + self.len) as u64)
    }

    pub fn put_grad(&self, numbers: &Numbers, images: &mut [Vec<f32>]) {
        numbers.put(&mut images[self.buffers.1], self.grad);
    }
}

/// The lengths of the buffers in 32-bit words, the tensors in them, and the configurations.
#[derive(Clone, Debug)]
pub struct Scene {
    pub params: Vec<usize>,
    pub grads: Vec<usize>,
    pub spots: Vec<Spot>,
    pub configs: Vec<Config>,
    /// Clipping by norms of their own. A group beyond the list has none.
    pub clips: Vec<Option<GroupClip>>,
    pub options: Options,
}

/// A scene in buffers of a device, and the images of the buffers on the host.
pub struct Placed {
    pub groups: Vec<Group>,
    params: Vec<Vec<f32>>,
    grads: Vec<Vec<f32>>,
    param_buffers: Vec<Buffer>,
    grad_buffers: Vec<Buffer>,
}

impl Scene {
    /// Separately allocated tensors, which are assigned to the groups in rotation.
    pub fn scattered(lens: &[usize], configs: &[Config], options: Options) -> Self {
        let spot = |(i, &len): (usize, &usize)| Spot::f32(i % configs.len(), (i, i), 0, 0, len);
        Self {
            params: lens.to_vec(),
            grads: lens.to_vec(),
            spots: lens.iter().enumerate().map(spot).collect(),
            configs: configs.to_vec(),
            clips: Vec::new(),
            options,
        }
    }

    /// Consecutive tensors in one buffer of params and one of grads, each padded to a multiple of `align`.
    pub fn arena(lens: &[usize], align: usize, configs: &[Config], options: Options) -> Self {
        let mut at = 0;
        let mut spots = Vec::new();
        for (i, &len) in lens.iter().enumerate() {
            spots.push(Spot::f32(i % configs.len(), (0, 0), at, at, len));
            at = (at + len).next_multiple_of(align);
        }
        let end = spots.last().map_or(0, |s: &Spot| s.param + s.len);
        Self { params: vec![end], grads: vec![end], spots, configs: configs.to_vec(), clips: Vec::new(), options }
    }

    /// One tensor. `param` and `grad` are the numbers of elements before and after it in its buffers.
    pub fn offset(len: usize, param: (usize, usize), grad: (usize, usize), config: Config, options: Options) -> Self {
        Self {
            params: vec![param.0 + len + param.1],
            grads: vec![grad.0 + len + grad.1],
            spots: vec![Spot::f32(0, (0, 0), param.0, grad.0, len)],
            configs: vec![config],
            clips: Vec::new(),
            options,
        }
    }

    /// The same scene with other dtypes, and moved by `skip` elements in the buffers of params and of grads.
    pub fn with_dtypes(mut self, formats: (Dtype, Dtype), skip: (usize, usize)) -> Self {
        for spot in &mut self.spots {
            (spot.formats, spot.param, spot.grad) = (formats, spot.param + skip.0, spot.grad + skip.1);
        }
        self.params.iter_mut().for_each(|words| *words += skip.0);
        self.grads.iter_mut().for_each(|words| *words += skip.1);
        self
    }

    /// The same scene, with groups that are clipped by norms of their own.
    pub fn clipped(self, clips: impl Into<Vec<Option<GroupClip>>>) -> Self {
        Self { clips: clips.into(), ..self }
    }

    /// The tensors in the order of the library: group by group.
    pub fn order(&self) -> Vec<&Spot> {
        (0..self.configs.len()).flat_map(|g| self.spots.iter().filter(move |s| s.group == g)).collect()
    }

    /// The groups of the scene, with new buffers of the device.
    pub fn place(&self, gpu: &Gpu) -> Placed {
        let fill = |sizes: &[usize], seed: u64| -> Vec<Vec<f32>> {
            sizes.iter().enumerate().map(|(i, &len)| normals(seed, i as u64, len)).collect()
        };
        let (mut params, mut grads) = (fill(&self.params, 1), fill(&self.grads, 2));
        for (i, spot) in self.spots.iter().enumerate().filter(|(_, s)| s.formats != (Dtype::F32, Dtype::F32)) {
            let of = |format, seed| Numbers::new(format, spot.grad_scale, &normals(seed, 100 + i as u64, spot.len));
            spot.put_param(&of(spot.formats.0, 1), &mut params);
            spot.put_grad(&of(spot.formats.1, 2), &mut grads);
        }
        let buffers = |values: &[Vec<f32>]| values.iter().map(|v| gpu.buffer(v)).collect::<Vec<_>>();
        let (param_buffers, grad_buffers) = (buffers(&params), buffers(&grads));
        let groups = self.configs.iter().enumerate().map(|(g, config)| {
            let group = Group::new(
                config.clone(),
                (self.spots.iter().enumerate().filter(|(_, s)| s.group == g))
                    .map(|(i, s)| {
                        let param = View::new(&param_buffers[s.buffers.0], s.formats.0);
                        let param = param.slice(s.param as u64..(s.param + s.len) as u64);
                        Tensor::new(format!("tensor{i}"), param, s.grad_view(&grad_buffers))
                            .with_grad_scale(if s.formats.1 == Dtype::I32 { s.grad_scale } else { 1.0 })
                    })
                    .collect(),
            );
            Group { clip: self.clips.get(g).copied().flatten(), ..group }
        });
        Placed { groups: groups.collect(), params, grads, param_buffers, grad_buffers }
    }

    /// The run of an optimizer of these groups.
    pub fn run(&self, placed: Placed, adam: Adam) -> Run {
        let Placed { params, grads, param_buffers, grad_buffers, .. } = placed;
        let twin = adam.to_cpu();
        let largest = self.order().iter().map(|s| vec![(0.0, 0.0); s.len]).collect();
        Run { scene: self.clone(), adam, twin, params, grads, param_buffers, grad_buffers, steps: 0, largest }
    }
}
