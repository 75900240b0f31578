//! Taking parameters out of a module, and putting them back.

use std::any::Any;
use std::iter::Peekable;

use burn::backend::wgpu::Wgpu;
use burn::module::{ModuleMapper, ModuleVisitor, Param, ParamId, ParamMapper};
use burn::optim::GradientsParams;
use burn::tensor::{Device, GradientCheckpointingStrategy, Tensor};
use wgpu_adam::Dtype;

use crate::error::Error;
use crate::place::dtype_of;
use crate::queue::Primitive;

/// The names of the modules around a parameter.
#[derive(Default)]
struct Path(Vec<String>);

impl Path {
    fn join(&self) -> String {
        self.0.join(".")
    }
}

/// A parameter as burn's backend has it, without its autodiff graph.
pub struct Found {
    pub name: String,
    pub id: ParamId,
    pub dtype: Dtype,
    pub device: Device,
    pub primitive: Primitive,
}

/// Visits the parameters that require gradients.
pub struct Find {
    pub found: Result<Vec<Found>, Error>,
    path: Path,
}

impl Find {
    pub fn new() -> Self {
        Self { found: Ok(Vec::new()), path: Path::default() }
    }

    fn find<const D: usize>(&self, param: &Param<Tensor<D>>, first: Option<&Found>) -> Result<Found, Error> {
        let (name, device) = (self.path.join(), param.device());
        let need = first.map_or_else(|| device.clone(), |first| first.device.clone());
        let dtype = check(&name, param, &need)?;
        let other = || wrong_device(&name, &device, &"a device of burn's wgpu backend");
        let primitive = primitive(param.base()).ok_or_else(other)?;
        Ok(Found { name, id: param.id, dtype, device, primitive })
    }
}

impl ModuleVisitor for Find {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.0.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.0.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Ok(found) = &self.found
            && param.is_require_grad()
        {
            let next = self.find(param, found.first());
            match (&mut self.found, next) {
                (Ok(found), Ok(next)) => found.push(next),
                (found, Err(error)) => *found = Err(error),
                _ => {}
            }
        }
    }
}

fn wrong_device(name: &str, given: &Device, need: &dyn std::fmt::Debug) -> Error {
    Error::Device { tensor: name.to_owned(), given: format!("{given:?}"), need: format!("{need:?}") }
}

fn check<const D: usize>(name: &str, param: &Param<Tensor<D>>, need: &Device) -> Result<Dtype, Error> {
    let device = param.device();
    if device != *need {
        return Err(wrong_device(name, &device, need));
    }
    dtype_of(name, "param", param.dtype())
}

fn primitive<const D: usize>(tensor: Tensor<D>) -> Option<Primitive> {
    tensor.inner().try_into_primitive::<Wgpu>().ok()
}

/// What a parameter is beside its values.
struct Kept<const D: usize> {
    mapper: ParamMapper<Tensor<D>>,
    requires_grad: bool,
    is_distributed: bool,
    /// `None`: it is without autodiff.
    checkpointing: Option<GradientCheckpointingStrategy>,
}

/// A parameter that was taken out of a module.
pub struct Taken {
    id: ParamId,
    /// A [`Kept`] of the rank of the parameter.
    kept: Box<dyn Any>,
}

/// Says for a parameter, by its name, id and dtype, which number it has. `None`: it stays in the module.
type Admit<'a> = dyn FnMut(String, ParamId, Result<Dtype, Error>) -> Result<Option<usize>, Error> + 'a;

/// Takes parameters out of a module, so that the module does not hold them while they are stepped.
pub struct Take<'a> {
    device: &'a Device,
    /// Takes only parameters that have a gradient here. `None`: takes parameters without gradients.
    from: Option<GradientsParams>,
    admit: &'a mut Admit<'a>,
    path: Path,
    pub taken: Vec<Taken>,
    pub numbers: Vec<usize>,
    pub params: Vec<Primitive>,
    pub grads: Vec<Primitive>,
    /// Nothing more is taken after an error.
    pub error: Option<Error>,
}

impl<'a> Take<'a> {
    pub fn new(device: &'a Device, from: Option<GradientsParams>, admit: &'a mut Admit<'a>) -> Self {
        let (taken, numbers, params, grads) = Default::default();
        Self { device, from, admit, path: Path::default(), taken, numbers, params, grads, error: None }
    }

    /// The number of a parameter that is to be taken, and its gradient.
    fn choose<const D: usize>(
        &mut self,
        param: &Param<Tensor<D>>,
    ) -> Result<Option<(usize, Option<Primitive>)>, Error> {
        let grad = self.from.as_mut().map(|from| from.remove::<D>(param.id));
        if self.error.is_some() || matches!(grad, Some(None)) {
            return Ok(None);
        }
        let name = self.path.join();
        let dtype = check(&name, param, self.device);
        let grad = grad.flatten().map(|grad| {
            let (given, device) = (grad.dtype(), grad.device());
            if given != param.dtype() {
                let (given, need) = (given.name().to_owned(), param.dtype().name().to_owned());
                return Err(Error::Dtype { tensor: name.clone(), what: "grad", given, need });
            }
            primitive(grad).ok_or_else(|| wrong_device(&name, &device, self.device))
        });
        let grad = grad.transpose()?;
        Ok((self.admit)(name, param.id, dtype)?.map(|number| (number, grad)))
    }
}

impl ModuleMapper for Take<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.0.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.0.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (number, grad) = match self.choose(&param) {
            Ok(Some(chosen)) => chosen,
            Ok(None) => return param,
            Err(error) => {
                self.error = Some(error);
                return param;
            }
        };
        let (device, shape) = (param.device(), param.shape());
        let (id, tensor, mapper) = param.consume();
        let kept = Kept {
            mapper,
            requires_grad: tensor.is_require_grad(),
            is_distributed: tensor.is_distributed(),
            checkpointing: tensor.gradient_checkpointing_strategy(),
        };
        self.taken.push(Taken { id, kept: Box::new(kept) });
        self.numbers.push(number);
        self.params.push(primitive(tensor).expect("`choose` has looked at its device and its dtype"));
        self.grads.extend(grad);
        Param::uninitialized(id, |_, _| unreachable!("`Put` replaces it"), device, true, shape)
    }
}

/// Puts parameters back in the order in which they were taken out.
pub struct Put<I: Iterator<Item = (Taken, Primitive)>>(Peekable<I>);

impl<I: Iterator<Item = (Taken, Primitive)>> Put<I> {
    pub fn new(params: impl IntoIterator<IntoIter = I>) -> Self {
        Self(params.into_iter().peekable())
    }
}

impl<I: Iterator<Item = (Taken, Primitive)>> ModuleMapper for Put<I> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some((taken, primitive)) = self.0.next_if(|(taken, _)| taken.id == param.id && !param.is_initialized())
        else {
            return param;
        };
        let kept = taken.kept.downcast::<Kept<D>>().expect("a module has the same parameters in the same order");
        let mut tensor = Tensor::<D>::from_primitive::<Wgpu>(primitive);
        if let Some(strategy) = kept.checkpointing {
            tensor =
                tensor.autodiff().with_gradient_checkpointing_strategy(strategy).set_require_grad(kept.requires_grad);
        }
        if kept.is_distributed {
            tensor = tensor.set_distributed(taken.id);
        }
        Param::from_mapped_value(taken.id, tensor, kept.mapper)
    }
}
