//! Where a tensor of burn lies: its buffer, and the order of its elements there.

use std::any::Any;

use burn::backend::wgpu::{AutoCompiler, CubeTensor};
use burn::cubecl::wgpu::WgpuServer;
use burn::tensor::DType;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::permute;
use wgpu_adam::{Dtype, View};

use crate::error::Error;

/// The place of a tensor. While it lives, burn neither gives the memory to another tensor nor moves it. It does not count as a
/// holder of the tensor.
pub struct Place {
    pub view: View,
    _pin: Box<dyn Any + Send>,
}

/// Finds a tensor, and submits all that burn has queued on its stream.
pub fn locate(tensor: &str, cube: &CubeTensor, dtype: Dtype) -> Result<Place, Error> {
    let resource = cube.client.get_resource::<WgpuServer<AutoCompiler>>(cube.handle.clone());
    let pin = resource.map_err(|e| Error::Burn { reason: format!("tensor `{tensor}`: {e:?}") })?;
    let mut view = View::new(&pin.resource().buffer, dtype);
    (view.offset, view.len) = (pin.resource().offset, elements(cube));
    Ok(Place { view, _pin: Box::new(pin) })
}

pub fn elements(cube: &CubeTensor) -> u64 {
    cube.meta.shape().num_elements() as u64
}

pub fn dtype_of(tensor: &str, what: &'static str, dtype: DType) -> Result<Dtype, Error> {
    match dtype {
        DType::F32 | DType::Flex32 => Ok(Dtype::F32),
        DType::F16 => Ok(Dtype::F16),
        DType::BF16 => Ok(Dtype::Bf16),
        other => {
            let (given, need) = (other.name().to_owned(), "f32, f16 or bf16".to_owned());
            Err(Error::Dtype { tensor: tensor.to_owned(), what, given, need })
        }
    }
}

/// The dims in the order in which they lie in memory, from the outermost to the innermost. `None` if there are gaps, or if
/// elements share memory.
pub fn order_of(cube: &CubeTensor) -> Option<Vec<usize>> {
    if cube.meta.is_tiled() {
        return None;
    }
    let (shape, strides) = (cube.meta.shape(), cube.meta.strides());
    let mut order: Vec<usize> = (0..shape.num_dims()).collect();
    // Dims of one element lie anywhere: the sort is stable and leaves them where they are.
    order.sort_by_key(|&dim| std::cmp::Reverse((strides[dim], shape[dim])));
    let mut expected = 1;
    for &dim in order.iter().rev() {
        if shape[dim] != 1 && strides[dim] != expected {
            return None;
        }
        expected *= shape[dim];
    }
    Some(order)
}

/// The same tensor with its elements in memory in the given order of dims: itself, if they lie so, or else a copy.
pub fn laid_out(cube: CubeTensor, order: &[usize]) -> CubeTensor {
    as_if_contiguous(cube, order, into_contiguous)
}

/// A copy with memory of its own, and its elements there in the given order of dims.
pub fn copied(cube: CubeTensor, order: &[usize]) -> CubeTensor {
    // A kernel of burn copies. A command of wgpu could not copy within one buffer.
    as_if_contiguous(cube, order, |cube| if cube.is_contiguous() { cube.copy() } else { into_contiguous(cube) })
}

fn as_if_contiguous(cube: CubeTensor, order: &[usize], change: impl FnOnce(CubeTensor) -> CubeTensor) -> CubeTensor {
    let mut back = vec![0; order.len()];
    order.iter().enumerate().for_each(|(place, &dim)| back[dim] = place);
    permute(change(permute(cube, order)), &back)
}
