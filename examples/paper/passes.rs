//! The equations of `net.rs` as kernels: the forward and the backward pass of one minibatch, for all networks side by side.

use crate::{
    gpu::{empty, upload},
    kernel::{Binding::*, Kernel},
    matrix::{Finish, Matrix, matmul},
    net::{Layer, Loss, Net, Then},
    resident::Resident,
};
use wgpu::{Buffer, BufferUsages, ComputePass, Device};

pub struct Passes {
    forward: Vec<Kernel>,
    /// The same with dropout.
    training: Vec<Kernel>,
    backward: Vec<Kernel>,
}

/// The buffers that the passes share with the optimizer and with the host.
pub struct Shared<'a> {
    /// Number of networks, and the distance of one's parameters from those of the next, in elements.
    pub runs: usize,
    pub each: usize,
    pub param: &'a Buffer,
    pub grad: &'a Buffer,
    /// Two numbers for each entry of the order, network after network.
    pub stats: &'a Buffer,
    pub entries: usize,
    /// A number that differs from epoch to epoch.
    pub epoch: &'a Buffer,
}

impl Passes {
    pub fn new(device: &Device, net: &Net, rows: &Resident, shared: &Shared) -> Self {
        Builder { device, net, rows, shared }.build()
    }

    /// Records the forward pass of the minibatch at that offset. It writes the losses to `stats`.
    pub fn record_forward(&self, pass: &mut ComputePass, offset: u32) {
        self.forward.iter().for_each(|kernel| kernel.record(pass, offset));
    }

    /// Records the forward and the backward pass. The latter writes the gradient to `grad`.
    pub fn record_gradient(&self, pass: &mut ComputePass, offset: u32) {
        self.training.iter().chain(&self.backward).for_each(|kernel| kernel.record(pass, offset));
    }
}

struct Builder<'a> {
    device: &'a Device,
    net: &'a Net,
    rows: &'a Resident,
    shared: &'a Shared<'a>,
}

/// What a layer reads and writes.
struct Flow<'a> {
    /// Its input, with a column of ones. All networks share that of the first layer.
    a: &'a Buffer,
    /// `s`, and its gradient later. If nothing is between it and the next layer, this is the next one's input.
    s: &'a Buffer,
}

impl Builder<'_> {
    fn build(self) -> Passes {
        let Self { net, rows, shared, .. } = self;
        let (count, batch) = (net.layers.len(), rows.batch);
        // The inputs of the layers; behind them the outputs of the last one, and the code's `mu` and `r`.
        let inputs: Vec<Buffer> =
            net.layers.iter().enumerate().map(|(number, layer)| self.ones(number, layer)).collect();
        let last = net.layers[count - 1];
        let floats = |outputs: usize| shared.runs * batch * outputs;
        let y = empty(self.device, "y", floats(last.outputs), BufferUsages::STORAGE);
        let sampled = net.layers.iter().find(|layer| layer.then == Then::Sample).map_or(1, |layer| layer.outputs);
        let q = empty(self.device, "q", floats(sampled), BufferUsages::STORAGE);
        let flow = |number: usize| {
            let s = match net.layers[number].then {
                _ if number + 1 == count => &y,
                Then::Sample => &q,
                _ => &inputs[number + 1],
            };
            Flow { a: &inputs[number], s }
        };

        let (mut forward, mut training, mut backward) =
            (vec![self.gather(&inputs[0])], vec![self.gather(&inputs[0])], vec![]);
        for number in 0..count {
            let layer = &net.layers[number];
            let flow = flow(number);
            if layer.drop > 0.0 {
                training.push(self.drop(number, flow.a));
            }
            for list in [&mut forward, &mut training] {
                list.push(self.product(number, &flow));
                if layer.then == Then::Sample {
                    list.push(self.sample("sample", include_str!("sample.wgsl"), number, &q, &inputs[number + 1]));
                }
            }
        }
        forward.push(self.loss(&inputs[0], &q, &y));
        training.push(self.loss(&inputs[0], &q, &y)); // y becomes dy
        for number in (0..count).rev() {
            let flow = flow(number);
            if net.layers[number].then == Then::Sample {
                backward.push(self.sample("unsample", include_str!("unsample.wgsl"), number, &inputs[number + 1], &q));
            }
            backward.push(self.weights(number, &flow));
            if number > 0 {
                backward.push(self.back(number, &flow)); // a becomes da, except for its column of ones
                if net.layers[number].drop > 0.0 {
                    backward.push(self.drop(number, flow.a));
                }
            }
        }
        Passes { forward, training, backward }
    }

    /// The input of a layer: ones, of which the last column stays.
    fn ones(&self, number: usize, layer: &Layer) -> Buffer {
        let runs = if number == 0 { 1 } else { self.shared.runs };
        let ones = vec![1f32; runs * self.rows.batch * (layer.inputs + 1)];
        upload(self.device, "a", bytemuck::cast_slice(&ones), BufferUsages::STORAGE)
    }

    /// The matrix of a layer's inputs, with the column of ones.
    fn a<'b>(&self, number: usize, buffer: &'b Buffer) -> Matrix<'b> {
        let (batch, columns) = (self.rows.batch, self.net.layers[number].inputs + 1);
        let a = Matrix::new(buffer, batch, columns);
        if number == 0 { a } else { a.side_by_side(self.shared.runs, batch * columns) }
    }

    /// The matrix of a layer's `s`.
    fn s<'b>(&self, number: usize, flow: &Flow<'b>) -> Matrix<'b> {
        let Layer { outputs, then, .. } = self.net.layers[number];
        if then == Then::Nothing || then == Then::Sample {
            let batch = self.rows.batch;
            Matrix::new(flow.s, batch, outputs).side_by_side(self.shared.runs, batch * outputs)
        } else {
            self.a(number + 1, flow.s).part(self.rows.batch, outputs)
        }
    }

    /// The matrix of a layer's parameters or of their gradients. The last row is the bias.
    fn w<'b>(&self, number: usize, buffer: &'b Buffer) -> Matrix<'b> {
        let layer = self.net.layers[number];
        let w = Matrix::new(buffer, layer.inputs + 1, layer.outputs).at(self.net.start(number));
        w.side_by_side(self.shared.runs, self.shared.each)
    }

    fn gather(&self, x: &Buffer) -> Kernel {
        let rows = self.rows;
        Kernel::new(
            self.device,
            "gather",
            include_str!("../train/gather.wgsl"),
            &[("features", self.net.layers[0].inputs as f64), ("scale", f64::from(1.0 / f32::from(rows.white)))],
            &[rows.which(), Read(&rows.pixels), Read(&rows.order), Write(x)],
            [rows.batch as u32, 1, 1],
        )
    }

    fn drop(&self, number: usize, a: &Buffer) -> Kernel {
        let Layer { drop, inputs, .. } = self.net.layers[number];
        let elements = self.rows.batch * (inputs + 1);
        let overrides = [
            ("layer", number as f64),
            ("width", inputs as f64),
            ("elements", elements as f64),
            ("share", f64::from(drop)),
        ];
        let runs = if number == 0 { 1 } else { self.shared.runs };
        let bindings = [self.rows.which(), Read(self.shared.epoch), Write(a)];
        let wgsl = [include_str!("chance.wgsl"), include_str!("drop.wgsl")].concat();
        Kernel::new(self.device, "drop", &wgsl, &overrides, &bindings, [elements.div_ceil(64) as u32, 1, runs as u32])
    }

    fn product(&self, number: usize, flow: &Flow) -> Kernel {
        let finish = match self.net.layers[number].then {
            Then::Rectify => Finish::Rectify,
            Then::Softplus => Finish::Softplus,
            Then::Nothing | Then::Sample => Finish::Nothing,
        };
        let w = self.w(number, self.shared.param);
        matmul(self.device, "s = a w", self.s(number, flow), self.a(number, flow.a), w, finish)
    }

    fn weights(&self, number: usize, flow: &Flow) -> Kernel {
        let dw = self.w(number, self.shared.grad);
        matmul(
            self.device,
            "dw = a' ds",
            dw,
            self.a(number, flow.a).transposed(),
            self.s(number, flow),
            Finish::Nothing,
        )
    }

    fn back(&self, number: usize, flow: &Flow) -> Kernel {
        let Layer { inputs, outputs, .. } = self.net.layers[number];
        let finish = match self.net.layers[number - 1].then {
            Then::Rectify => Finish::Derivative,
            Then::Softplus => Finish::SoftplusDerivative,
            Then::Nothing | Then::Sample => Finish::Nothing,
        };
        let w = self.w(number, self.shared.param).part(inputs, outputs).transposed();
        let da = self.a(number, flow.a).part(self.rows.batch, inputs);
        matmul(self.device, "da = ds w'", da, self.s(number, flow), w, finish)
    }

    /// The kernel from `mu` and `r` to the code, or back from its gradient to theirs.
    fn sample(&self, label: &str, wgsl: &str, number: usize, from: &Buffer, to: &Buffer) -> Kernel {
        let (width, size) = (self.net.layers[number].width(), self.rows.batch);
        let overrides = [("layer", number as f64), ("width", width as f64), ("size", size as f64)];
        let bindings = [self.rows.which(), Read(self.shared.epoch), Read(from), Write(to)];
        let wgsl = [include_str!("chance.wgsl"), wgsl].concat();
        let workgroups = [(size * width).div_ceil(64) as u32, 1, self.shared.runs as u32];
        Kernel::new(self.device, label, &wgsl, &overrides, &bindings, workgroups)
    }

    fn loss(&self, x: &Buffer, q: &Buffer, y: &Buffer) -> Kernel {
        let Self { device, net, rows, shared } = *self;
        let outputs = net.layers[net.layers.len() - 1].outputs as f64;
        let (size, entries) = (rows.batch as f64, shared.entries as f64);
        let workgroups = [(rows.batch as u32).div_ceil(64), shared.runs as u32, 1];
        match net.loss {
            Loss::Softmax => {
                let overrides = [("batch_size", size), ("classes", outputs), ("entries", entries)];
                let bindings = [rows.which(), Read(&rows.labels), Read(&rows.order), Write(y), Write(shared.stats)];
                Kernel::new(device, "loss", include_str!("../train/loss.wgsl"), &overrides, &bindings, workgroups)
            }
            Loss::Bernoulli => {
                let code = net.layers.iter().find(|layer| layer.then == Then::Sample).map_or(0, Layer::width);
                let overrides = [("size", size), ("features", outputs), ("code", code as f64), ("entries", entries)];
                let bindings = [rows.which(), Read(x), Read(q), Write(y), Write(shared.stats)];
                Kernel::new(device, "bernoulli", include_str!("bernoulli.wgsl"), &overrides, &bindings, workgroups)
            }
        }
    }
}
