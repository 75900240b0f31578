//! The checks of the caller's views and tensors.

use std::collections::{HashMap, HashSet};

use wgpu::BufferUsages;

use crate::config::dtype::Dtype;
use crate::config::group::Group;
use crate::config::options::Options;
use crate::config::precision::Precision;
use crate::config::rows::{Active, GradRows, Rows};
use crate::config::rule::Rule;
use crate::config::tensor::Tensor;
use crate::config::variant::Variant;
use crate::config::view::{Outside, View};
use crate::error::Error;
use crate::num::noise::stream_seed;
use crate::num::order::order;
use crate::plan::clocks::Registry;
use crate::plan::partition::{Location, TensorPlan};
use crate::plan::rows::{Beside, RowsPlan};
use crate::plan::storage::Storage;
use crate::plan::window::Place;

/// The bytes of a quad of the widest format. A gradient that moves is bound in whole quads.
pub(crate) const QUAD: u64 = 16;

/// Checks all views of all groups, and returns a plan for each tensor. A buffer's number is its place in the returned
/// list.
#[expect(clippy::mutable_key_type, reason = "wgpu's handles compare and hash by identity")]
pub(crate) fn place(registry: &Registry, options: &Options) -> Result<(Vec<TensorPlan>, Vec<Place>), Error> {
    let groups = &registry.groups;
    let mut tensor_plans = Vec::new();
    let mut places: Vec<Place> = Vec::new();
    let mut numbers = HashMap::new();
    let mut names = HashSet::new();
    for (group, tensor) in groups.iter().enumerate().flat_map(|(i, g)| g.tensors.iter().map(move |t| (i, t))) {
        if !names.insert(tensor.name.as_str()) {
            return Err(Error::DuplicateName { tensor: tensor.name.clone() });
        }
        let mut located = |view: &View, which| {
            check_view(&tensor.name, which, view)?;
            let buffer = *numbers.entry(view.buffer.clone()).or_insert_with(|| {
                places.push(Place::Buffer(view.buffer.clone()));
                places.len() - 1
            });
            Ok(Location { buffer, offset: view.offset, size: view.buffer.size() })
        };
        let param = located(&tensor.param, "param")?;
        let grad = tensor.grad.view().map(|grad| located(grad, "grad")).transpose()?;
        let variant = &groups[group].config.variant;
        let rows = tensor.rows.as_ref().map(|rows| rows_of(tensor, rows, variant, &mut located)).transpose()?;
        let grad = grad.unwrap_or_else(|| {
            places.push(Place::Grads(tensor_plans.len()));
            let size = tensor.grad.len().saturating_mul(tensor.grad.dtype().bytes()).next_multiple_of(QUAD);
            Location { buffer: places.len() - 1, offset: 0, size }
        });
        let compact = rows.is_some_and(|rows| rows.kind.compact);
        if tensor.param.len != tensor.grad.len() && !compact {
            let (tensor, param, grad) = (tensor.name.clone(), tensor.param.len, tensor.grad.len());
            return Err(Error::LengthsDiffer { tensor, param, grad });
        }
        let precision = groups[group].precision_in(options);
        let storage = storage(tensor, variant.rule(), precision, options.zero_grad)?;
        let number = tensor_plans.len();
        tensor_plans.push(TensorPlan {
            tensor: number,
            clock: registry.clocks.of_tensor[number] as u32,
            storage,
            grad_scale: tensor.grad_scale,
            param,
            grad,
            len: tensor.param.len,
            stream_seed: stream_seed(precision.seed, &tensor.name),
            share: registry.clocks.share(registry.clocks.of_tensor[number], groups[group].clip.is_some()),
            rows,
        });
    }
    if tensor_plans.is_empty() {
        return Err(Error::NoTensors);
    }
    check_overlap(groups, &tensor_plans)?;
    Ok((tensor_plans, places))
}

/// The rows of a tensor, or an error if they cannot be stepped as asked.
fn rows_of(
    tensor: &Tensor,
    rows: &Rows,
    variant: &Variant,
    located: &mut impl FnMut(&View, &'static str) -> Result<Location, Error>,
) -> Result<RowsPlan, Error> {
    let wrong = |reason| Error::Rows { tensor: tensor.name.clone(), reason };
    rows.check(variant, tensor.param.len, tensor.grad.len()).map_err(wrong)?;
    let count = tensor.param.len / u64::from(rows.width);
    let mut beside = |view: &View, which, dtype, need: Option<u64>| {
        let location = located(view, which)?;
        if view.dtype != dtype {
            return Err(wrong(format!("{which} is {:?}, but must be {dtype:?}", view.dtype)));
        }
        if let Some(need) = need.filter(|need| *need != view.len) {
            return Err(wrong(format!("{which} has {} elements, but {count} rows need {need}", view.len)));
        }
        if [Some(&tensor.param), tensor.grad.view()].iter().flatten().any(|other| other.buffer == view.buffer) {
            return Err(wrong(format!("{which} must be in another buffer than param and grad")));
        }
        Ok(Beside { buffer: location.buffer, offset: location.offset, len: view.len })
    };
    let row_lr = rows.row_lr.as_ref().map(|view| beside(view, "row_lr", Dtype::F32, Some(count))).transpose()?;
    let (active, list_count) = match &rows.active {
        Active::All => (None, None),
        Active::Mask(view) => (Some(beside(view, "the mask", Dtype::U32, Some(count))?), None),
        Active::Bits(view) => (Some(beside(view, "the bits", Dtype::U32, Some(count.div_ceil(32)))?), None),
        Active::First(count) => (None, Some(beside(count, "the count of the first rows", Dtype::U32, None)?)),
        Active::List { indices, count } => {
            let indices = beside(indices, "the list", Dtype::U32, None)?;
            (Some(indices), Some(beside(count, "the count of the list", Dtype::U32, None)?))
        }
    };
    let inverse = match &rows.grad_rows {
        GradRows::Dense => None,
        GradRows::Compact { inverse } => Some(beside(inverse, "inverse", Dtype::U32, Some(count))?),
    };
    let (kind, width) = (rows.kind(), rows.width);
    Ok(RowsPlan { kind, width, grad_len: tensor.grad.len(), row_lr, active, count: list_count, inverse })
}

/// The storage of a tensor, or an error if it cannot be stored in this way.
fn storage(tensor: &Tensor, rule: Rule, precision: &Precision, zero_grad: bool) -> Result<Storage, Error> {
    let (param, grad, len) = (tensor.param.dtype, tensor.grad.dtype(), tensor.param.len);
    let rows = tensor.rows.as_ref().map(Rows::without_views);
    let storage = Storage::new(&tensor.name, rule, (param, grad), tensor.grad_scale, len, precision, rows.as_ref())?;
    if zero_grad && tensor.grad.view().is_none() {
        let reason = "with zero_grad, its gradients must be in a fixed place, since a step does not zero those that are given to it";
        return Err(Error::Storage { tensor: tensor.name.clone(), reason });
    }
    if rows.is_some() {
        return Ok(storage);
    }
    let elements = |view: &View| view.offset / view.dtype.bytes();
    let apart = tensor.grad.view().is_some_and(|grad| elements(&tensor.param) % 4 != elements(grad) % 4);
    if zero_grad && storage.grad.is_half() && apart {
        let reason = "with zero_grad and 16-bit gradients, param and grad must begin at the same element modulo 4";
        return Err(Error::Storage { tensor: tensor.name.clone(), reason });
    }
    if storage.in_blocks() && elements(&tensor.param) % 4 != 0 {
        let reason = "with 8-bit state, param must begin at a multiple of 4 elements in its buffer";
        return Err(Error::Storage { tensor: tensor.name.clone(), reason });
    }
    Ok(storage)
}

/// Checks a view of the caller's.
pub(crate) fn check_view(tensor: &str, which: &'static str, view: &View) -> Result<(), Error> {
    let named = || tensor.to_owned();
    let element = view.dtype.bytes();
    if let Some(Outside { start, end, len }) = view.outside {
        return Err(Error::SliceOutOfBounds { tensor: named(), view: which, start, end, len });
    }
    if view.len == 0 {
        return Err(Error::EmptyView { tensor: named(), view: which });
    }
    if !view.offset.is_multiple_of(element) {
        return Err(Error::Unaligned { tensor: named(), view: which, offset: view.offset, need: element });
    }
    let end = view.len.saturating_mul(element).saturating_add(view.offset);
    if end > view.buffer.size() {
        let size = view.buffer.size();
        return Err(Error::OutOfBounds { tensor: named(), view: which, offset: view.offset, end, size });
    }
    if end.next_multiple_of(4) > view.buffer.size() {
        let (given, need) = (view.buffer.size(), end.next_multiple_of(4));
        return Err(Error::BufferSize { tensor: named(), view: which, given, need });
    }
    let given = view.buffer.usage();
    let missing = BufferUsages::STORAGE - given;
    if !missing.is_empty() {
        return Err(Error::MissingUsage { tensor: named(), view: which, given, missing });
    }
    Ok(())
}

/// Checks that no two views share a byte. Two invocations would write it, or one would read what another writes.
fn check_overlap(groups: &[Group], tensor_plans: &[TensorPlan]) -> Result<(), Error> {
    let names: Vec<&str> = groups.iter().flat_map(|g| &g.tensors).map(|t| t.name.as_str()).collect();
    let views: Vec<_> = tensor_plans
        .iter()
        .flat_map(|p| {
            [
                (p.param, p.len * p.storage.param.bytes(), p.tensor, "param"),
                (p.grad, p.rows.map_or(p.len, |rows| rows.grad_len) * p.storage.grad.bytes(), p.tensor, "grad"),
            ]
        })
        .map(|(location, bytes, tensor, which)| {
            (location.buffer, location.offset, location.offset + bytes, tensor, which)
        })
        .collect();
    let sorted = order(views.len(), &|a, b| views[a].cmp(&views[b]));
    for (a, b) in sorted.iter().zip(sorted.iter().skip(1)) {
        let (buffer, _, end, first, first_view) = &views[*a];
        let (next_buffer, begin, _, second, second_view) = &views[*b];
        if buffer == next_buffer && begin < end {
            let (tensor, view) = (names[*second].to_owned(), *second_view);
            return Err(Error::Overlap { tensor, view, other: names[*first].to_owned(), other_view: first_view });
        }
    }
    Ok(())
}
