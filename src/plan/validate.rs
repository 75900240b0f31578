//! What the user hands over: views of their own buffers, and tensors; and the checks that these can be used.

use std::collections::{HashMap, HashSet};

use wgpu::{Buffer, BufferUsages};

use crate::config::group::Group;
use crate::config::options::Options;
use crate::config::rule::Rule;
use crate::config::tensor::{Tensor, View};
use crate::error::Error;
use crate::plan::partition::{Place, Placed};
use crate::plan::storage::Kind;

/// Checks all views of all groups and says where they are, each buffer by its place in the returned list.
#[expect(clippy::mutable_key_type, reason = "wgpu's handles compare and hash by identity")]
pub(crate) fn place(groups: &[Group], options: &Options) -> Result<(Vec<Placed>, Vec<Buffer>), Error> {
    let mut placed = Vec::new();
    let mut buffers: Vec<Buffer> = Vec::new();
    let mut numbers = HashMap::new();
    let mut names = HashSet::new();
    for (group, tensor) in groups.iter().enumerate().flat_map(|(i, g)| g.tensors.iter().map(move |t| (i, t))) {
        if !names.insert(tensor.name.as_str()) {
            return Err(Error::DuplicateName { tensor: tensor.name.clone() });
        }
        let mut located = |view: &View, which| {
            check_view(&tensor.name, which, view)?;
            let buffer = *numbers.entry(view.buffer.clone()).or_insert_with(|| {
                buffers.push(view.buffer.clone());
                buffers.len() - 1
            });
            Ok(Place { buffer, offset: view.offset, size: view.buffer.size() })
        };
        let param = located(&tensor.param, "param")?;
        let grad = located(&tensor.grad, "grad")?;
        if tensor.param.len != tensor.grad.len {
            let (tensor, param, grad) = (tensor.name.clone(), tensor.param.len, tensor.grad.len);
            return Err(Error::LengthsDiffer { tensor, param, grad });
        }
        let kind = kind(tensor, groups[group].config.variant.rule(), options)?;
        let (group, grad_scale) = (group as u32, tensor.grad.format.scale());
        placed.push(Placed { tensor: placed.len(), group, kind, grad_scale, param, grad, len: tensor.param.len });
    }
    if placed.is_empty() {
        return Err(Error::NoTensors);
    }
    check_overlap(groups, &placed)?;
    Ok((placed, buffers))
}

/// How a tensor is stored, if that can be.
fn kind(tensor: &Tensor, rule: Rule, options: &Options) -> Result<Kind, Error> {
    let (param, grad, len) = (tensor.param.format, tensor.grad.format, tensor.param.len);
    let kind = Kind::new(&tensor.name, rule, param, grad, len, &options.precision)?;
    let elements = |view: &View| view.offset / view.format.bytes();
    if options.zero_grad && kind.grad.is_half() && elements(&tensor.param) % 4 != elements(&tensor.grad) % 4 {
        let reason = "to zero gradients of 16 bits, param and grad must begin at the same element modulo 4";
        return Err(Error::Storage { tensor: tensor.name.clone(), reason });
    }
    if kind.in_blocks() && elements(&tensor.param) % 4 != 0 {
        let reason = "with a state in blocks of 8 bits its param must begin at a multiple of 4 elements in its buffer";
        return Err(Error::Storage { tensor: tensor.name.clone(), reason });
    }
    Ok(kind)
}

fn check_view(tensor: &str, which: &'static str, view: &View) -> Result<(), Error> {
    let named = || tensor.to_owned();
    let element = view.format.bytes();
    if view.len == 0 {
        return Err(Error::EmptyView { tensor: named(), view: which });
    }
    if !view.offset.is_multiple_of(element) {
        return Err(Error::Unaligned { tensor: named(), view: which, offset: view.offset, need: element });
    }
    let end = view.len.saturating_mul(element).saturating_add(view.offset);
    if end > view.buffer.size() {
        let (offset, size) = (view.offset, view.buffer.size());
        return Err(Error::OutOfBounds { tensor: named(), view: which, offset, end, size });
    }
    let given = view.buffer.usage();
    let missing = BufferUsages::STORAGE - given;
    if !missing.is_empty() {
        return Err(Error::MissingUsage { tensor: named(), view: which, given, missing });
    }
    Ok(())
}

/// No two views, of whatever tensors, may share a byte: two invocations would write it, or one would read what
/// another writes.
fn check_overlap(groups: &[Group], placed: &[Placed]) -> Result<(), Error> {
    let names: Vec<&str> = groups.iter().flat_map(|g| &g.tensors).map(|t| t.name.as_str()).collect();
    let mut views: Vec<_> = placed
        .iter()
        .flat_map(|p| {
            [
                (p.param, p.len * p.kind.param.bytes(), p.tensor, "param"),
                (p.grad, p.len * p.kind.grad.bytes(), p.tensor, "grad"),
            ]
        })
        .map(|(place, bytes, tensor, which)| (place.buffer, place.offset, place.offset + bytes, tensor, which))
        .collect();
    views.sort_unstable();
    for pair in views.windows(2) {
        let [(buffer, _, end, first, first_view), (next_buffer, begin, _, second, second_view)] = pair else {
            continue;
        };
        if buffer == next_buffer && begin < end {
            let (tensor, view) = (names[*second].to_owned(), *second_view);
            return Err(Error::Overlap { tensor, view, other: names[*first].to_owned(), other_view: first_view });
        }
    }
    Ok(())
}
