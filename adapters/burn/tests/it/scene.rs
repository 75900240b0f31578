//! What the tests share: a device, a network, gradients, and what to compare.

use std::sync::LazyLock;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::nn::Linear;
use burn::optim::GradientsParams;
use burn::tensor::wgpu::WgpuSetup;
use burn::tensor::{Device, Tensor, TensorData, activation};
use wgpu_adam_burn::{AdamWConfig, Optimizer};

static DEVICE: LazyLock<(Device, WgpuSetup)> = LazyLock::new(|| Device::wgpu_options().init_with_setup().unwrap());

/// One device for all tests.
pub fn device() -> Device {
    DEVICE.0.clone()
}

pub fn setup() -> &'static WgpuSetup {
    &DEVICE.1
}

pub const LR: f64 = 1e-2;

/// AdamW with an eps at which all of its terms matter.
pub fn adamw() -> AdamWConfig {
    AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(0.1)
}

pub fn burn_adamw() -> burn::optim::ModuleOptimizer {
    burn::optim::AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(0.1).init()
}

pub fn optimizer(model: &impl Module) -> Optimizer {
    adamw().init(setup(), model).unwrap()
}

/// Numbers in (-1, 1) that are the same in each run.
pub fn noise(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

pub fn tensor<const D: usize>(seed: u64, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(noise(seed, shape.iter().product()), shape), &device())
}

#[derive(Module, Debug)]
pub struct Mlp {
    pub layers: Vec<Linear>,
}

impl Mlp {
    pub fn new(widths: &[usize]) -> Self {
        let auto = device().autodiff();
        let layer = |(i, pair): (usize, &[usize])| {
            let scale = 1.0 / (pair[0] as f32).sqrt();
            let weight: Vec<f32> = noise(10 + i as u64, pair[0] * pair[1]).iter().map(|x| x * scale).collect();
            let bias: Vec<f32> = noise(50 + i as u64, pair[1]).iter().map(|x| x * scale).collect();
            Linear {
                weight: Param::from_data(TensorData::new(weight, [pair[0], pair[1]]), &auto),
                bias: Some(Param::from_data(TensorData::new(bias, [pair[1]]), &auto)),
            }
        };
        Self { layers: widths.windows(2).enumerate().map(layer).collect() }
    }

    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let last = self.layers.len() - 1;
        self.layers.iter().enumerate().fold(x, |x, (i, layer)| {
            let x = layer.forward(x);
            if i == last { x } else { activation::tanh(x) }
        })
    }

    /// The loss of batch `t`.
    pub fn loss(&self, t: u64) -> Tensor<1> {
        let (inputs, outputs) = (self.layers[0].weight.dims()[0], self.layers.last().unwrap().weight.dims()[1]);
        let (x, y) = (tensor(100 + t % 7, [8, inputs]).autodiff(), tensor(200 + t % 7, [8, outputs]).autodiff());
        let off = self.forward(x) - y;
        (off.clone() * off).mean()
    }

    pub fn grads(&self, t: u64) -> GradientsParams {
        GradientsParams::from_grads(self.loss(t).backward(), self)
    }
}

/// Six tensors, of lengths that are multiples of 4 and others.
pub fn mlp() -> Mlp {
    Mlp::new(&[7, 16, 9, 4])
}

pub fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_to_vec().unwrap()
}

#[derive(Default)]
struct Values(Vec<Vec<f32>>);

impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.push(floats(param.val()));
    }
}

/// All parameters, in the order of the module.
pub fn values(model: &impl Module) -> Vec<Vec<f32>> {
    let mut values = Values::default();
    model.visit(&mut values);
    values.0
}

struct GradsOf<'a>(&'a GradientsParams, Vec<Vec<f32>>);

impl ModuleVisitor for GradsOf<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.1.push(floats(self.0.get::<D>(param.id).unwrap()));
    }
}

/// The gradients of all parameters, in the order of the module.
pub fn grads_of(model: &impl Module, grads: &GradientsParams) -> Vec<Vec<f32>> {
    let mut visitor = GradsOf(grads, Vec::new());
    model.visit(&mut visitor);
    visitor.1
}

struct MadeGrads(u64, GradientsParams);

impl ModuleVisitor for MadeGrads {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0 += 1000;
        self.1.register(param.id, tensor::<D>(self.0, param.dims()));
    }
}

/// Gradients that depend on `t` alone.
pub fn made_grads(model: &impl Module, t: u64) -> GradientsParams {
    let mut visitor = MadeGrads(t, GradientsParams::new());
    model.visit(&mut visitor);
    visitor.1
}

struct Computed;

impl ModuleMapper for Computed {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| (tensor.inner() * 1.0).autodiff().require_grad())
    }
}

/// The same parameters, made by an operation: burn may put several into one buffer.
pub fn computed<M: Module>(model: M) -> M {
    model.map(&mut Computed)
}

/// `steps` steps, from batch `from` on.
pub fn train(optimizer: &mut Optimizer, mut model: Mlp, from: u64, steps: u64) -> Mlp {
    for t in from..from + steps {
        let grads = model.grads(t);
        model = optimizer.step(LR, model, grads).unwrap();
    }
    model
}

pub fn largest<A: Copy + Into<f64>, B: Copy + Into<f64>>(a: &[Vec<A>], b: &[Vec<B>]) -> f64 {
    assert_eq!(a.len(), b.len());
    let pairs = a.iter().zip(b).flat_map(|(a, b)| {
        assert_eq!(a.len(), b.len());
        a.iter().zip(b)
    });
    pairs.map(|(&a, &b)| (a.into() - b.into()).abs()).fold(0.0, f64::max)
}

pub fn bits(values: &[Vec<f32>]) -> Vec<Vec<u32>> {
    values.iter().map(|values| values.iter().map(|x| x.to_bits()).collect()).collect()
}

/// Equal to the last bit.
#[track_caller]
pub fn assert_same(a: &[Vec<f32>], b: &[Vec<f32>]) {
    assert!(bits(a) == bits(b), "the largest difference is {:e}", largest(a, b));
}
