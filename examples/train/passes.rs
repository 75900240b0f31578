//! The equations of `network.rs` as kernels: the forward and the backward pass of one minibatch.

use crate::{
    gpu::{empty, upload},
    kernel::{Binding::*, Kernel},
    matrix::{Finish, Matrix, matmul},
    network::Network,
    resident::Resident,
};
use wgpu::{Buffer, BufferUsages, ComputePass, Device};

pub struct Passes {
    forward: [Kernel; 4],
    backward: [Kernel; 3],
}

impl Passes {
    /// Builds kernels that read `param`, write the gradient to `grad`, and write the loss and the accuracy of each row
    /// to `stats`.
    pub fn new(
        device: &Device,
        network: Network,
        rows: &Resident,
        param: &Buffer,
        grad: &Buffer,
        stats: &Buffer,
    ) -> Self {
        let Network { features, hidden, classes } = network;
        let batch = rows.batch;

        let x_buffer = empty(device, "x", batch * (features + 1), BufferUsages::STORAGE);
        let z_buffer = empty(device, "z", batch * classes, BufferUsages::STORAGE);
        // The last column of h stays 1, for the bias.
        let ones = vec![1f32; batch * (hidden + 1)];
        let h_buffer = upload(device, "h", bytemuck::cast_slice(&ones), BufferUsages::STORAGE);

        let x = Matrix::new(&x_buffer, batch, features + 1);
        let h = Matrix::new(&h_buffer, batch, hidden + 1);
        let z = Matrix::new(&z_buffer, batch, classes);
        let rectified = h.part(batch, hidden);
        // The bias is the last row of each.
        let [w1, dw1] = [param, grad].map(|buffer| Matrix::new(buffer, features + 1, hidden));
        let [w2, dw2] = [param, grad].map(|buffer| Matrix::new(buffer, hidden + 1, classes).at(network.w2().start));

        let gather = Kernel::new(
            device,
            "gather",
            include_str!("gather.wgsl"),
            &[("features", features as f64), ("scale", f64::from(1.0 / f32::from(rows.white)))],
            &[rows.which(), Read(&rows.pixels), Read(&rows.order), Write(&x_buffer)],
            [batch as u32, 1, 1],
        );
        let loss = Kernel::new(
            device,
            "loss",
            include_str!("loss.wgsl"),
            &[("batch_size", batch as f64), ("classes", classes as f64), ("entries", 0.0)],
            &[rows.which(), Read(&rows.labels), Read(&rows.order), Write(&z_buffer), Write(stats)],
            [(batch as u32).div_ceil(64), 1, 1],
        );
        let forward = [
            gather,
            matmul(device, "h = max(0, x w1)", rectified, x, w1, Finish::Rectify),
            matmul(device, "z = h w2", z, h, w2, Finish::Nothing),
            loss, // z becomes dz
        ];
        let backward = [
            matmul(device, "dw2 = h' dz", dw2, h.transposed(), z, Finish::Nothing),
            // h becomes dh, except for its column of ones.
            matmul(device, "dh = dz w2'", rectified, z, w2.part(hidden, classes).transposed(), Finish::Derivative),
            matmul(device, "dw1 = x' dh", dw1, x.transposed(), rectified, Finish::Nothing),
        ];
        Self { forward, backward }
    }

    /// Records the forward pass of the minibatch at that offset. It writes the losses to `stats`.
    pub fn record_forward(&self, pass: &mut ComputePass, offset: u32) {
        for kernel in &self.forward {
            kernel.record(pass, offset);
        }
    }

    /// Records the forward and the backward pass. The latter writes the gradient to `grad`.
    pub fn record_gradient(&self, pass: &mut ComputePass, offset: u32) {
        self.record_forward(pass, offset);
        for kernel in &self.backward {
            kernel.record(pass, offset);
        }
    }
}
