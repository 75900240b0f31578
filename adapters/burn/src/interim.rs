//! Until the crate takes gradients by step.
use wgpu_adam::wgpu::{BufferDescriptor, BufferUsages, CommandEncoder, Device};
use wgpu_adam::{Adam, Error, Tensor, View};

pub fn each_step(device: &Device, name: &str, param: View) -> Tensor {
    let usage = BufferUsages::STORAGE | BufferUsages::COPY_DST;
    let size = (param.len * param.dtype.bytes()).next_multiple_of(16);
    let grad = device.create_buffer(&BufferDescriptor { label: None, size, usage, mapped_at_creation: false });
    let grad = View::new(&grad, param.dtype).slice(..param.len);
    Tensor::new(name, param, grad)
}

pub fn set_grads(adam: &mut Adam, encoder: &mut CommandEncoder, grads: &[Option<View>]) -> Result<(), Error> {
    for (tensor, grad) in adam.groups().iter().flat_map(|g| &g.tensors).zip(grads) {
        if let Some(from) = grad {
            let bytes = (from.len * from.dtype.bytes()).next_multiple_of(4);
            encoder.copy_buffer_to_buffer(&from.buffer, from.offset, &tensor.grad.buffer, 0, bytes);
        }
    }
    Ok(())
}
