//! How the work comes to the device: through burn's fusion queue, or at once.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::core::Core;
use crate::error::Error;

#[cfg(not(feature = "fusion"))]
pub use direct::{Primitive, resolve, run};
#[cfg(feature = "fusion")]
pub use fused::{Primitive, resolve, run};

/// What the caller's thread and the thread of the queue share.
pub struct Shared {
    core: Mutex<Core>,
    /// The error of work that the queue came to after the call had returned.
    failed: Mutex<Option<Error>>,
}

impl Shared {
    pub fn new(core: Core) -> Self {
        Self { core: Mutex::new(core), failed: Mutex::new(None) }
    }

    pub fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, error: Error) {
        log::error!("a step was not made: {error}");
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    pub fn take_error(&self) -> Option<Error> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[cfg(feature = "fusion")]
mod fused {
    use std::fmt;
    use std::sync::Arc;

    use burn::backend::fusion::custom::{
        CustomOpIr, HandleContainer, Operation, OperationIr, StreamId, TensorId, TensorIr,
    };
    use burn::backend::fusion::{ExecutionError, FusionBackend, FusionRuntime, FusionTensor};
    use burn::backend::wgpu::{CubeBackend, CubeTensor};

    use crate::core::Work;
    use crate::queue::Shared;

    type Runtime = <CubeBackend as FusionBackend>::FusionRuntime;
    type Handles = HandleContainer<<Runtime as FusionRuntime>::FusionHandle>;

    /// A tensor of `burn::backend::wgpu::Wgpu`.
    pub type Primitive = FusionTensor<Runtime>;

    /// Waits until the queue has come to the tensor.
    pub fn resolve(tensor: Primitive) -> CubeTensor {
        tensor.client.clone().resolve_tensor_float::<CubeBackend>(tensor)
    }

    struct Queued {
        shared: Arc<Shared>,
        work: Work,
        params: Vec<TensorIr>,
        grads: Vec<TensorIr>,
        outputs: Vec<TensorId>,
    }

    impl fmt::Debug for Queued {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("wgpu-adam").field("work", &self.work).finish_non_exhaustive()
        }
    }

    impl Operation<Runtime> for Queued {
        fn execute(&self, handles: &mut Handles) -> Result<(), ExecutionError> {
            let mut get = |irs: &[TensorIr]| -> Vec<CubeTensor> {
                irs.iter().map(|ir| handles.get_float_tensor::<CubeBackend>(ir)).collect()
            };
            let (params, grads) = (get(&self.params), get(&self.grads));
            let (params, done) = self.shared.core().run(&self.work, params, grads);
            // An error here would make burn forget the parameters. The next call of the optimizer returns it.
            done.unwrap_or_else(|error| self.shared.fail(error));
            for (param, output) in params.into_iter().zip(&self.outputs) {
                handles.register_float_tensor::<CubeBackend>(output, param);
            }
            Ok(())
        }
    }

    /// Puts the work into burn's queue. Returns the parameters as they will be then.
    pub fn run(shared: &Arc<Shared>, work: Work, params: Vec<Primitive>, grads: Vec<Primitive>) -> Vec<Primitive> {
        let Some(client) = params.first().map(|param| param.client.clone()) else { return params };
        let into_ir = |tensors: Vec<Primitive>| tensors.into_iter().map(Primitive::into_ir).collect::<Vec<_>>();
        let (params, grads) = (into_ir(params), into_ir(grads));
        let output =
            |param: &TensorIr| TensorIr::uninit(client.create_empty_handle(), param.shape.clone(), param.dtype);
        let outputs: Vec<TensorIr> = params.iter().map(output).collect();
        let ir = CustomOpIr::new("wgpu-adam", &[&params[..], &grads[..]].concat(), &outputs);
        let outputs = outputs.iter().map(|output| output.id).collect();
        let queued = Queued { shared: shared.clone(), work, params, grads, outputs };
        client.register(StreamId::current(), OperationIr::Custom(ir), queued)
    }
}

#[cfg(not(feature = "fusion"))]
mod direct {
    use std::sync::Arc;

    use crate::core::Work;
    use crate::queue::Shared;

    /// A tensor of `burn::backend::wgpu::Wgpu`.
    pub type Primitive = burn::backend::wgpu::CubeTensor;

    pub fn resolve(tensor: Primitive) -> Primitive {
        tensor
    }

    /// Does the work.
    pub fn run(shared: &Arc<Shared>, work: Work, params: Vec<Primitive>, grads: Vec<Primitive>) -> Vec<Primitive> {
        let (params, done) = shared.core().run(&work, params, grads);
        done.unwrap_or_else(|error| shared.fail(error));
        params
    }
}
