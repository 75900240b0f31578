//! The state of a rank, and the whole state: cut into parts, and merged again.

use wgpu_adam::State;
use wgpu_adam::state::{StateKind, StateTensor, TensorState};

use crate::error::Error;
use crate::parts::{BLOCK, Part};
use crate::ranks::Outline;

/// Whether the numbers of a kind belong to blocks and not to elements.
fn is_of_blocks(kind: StateKind) -> bool {
    matches!(kind, StateKind::MScale | StateKind::VScale | StateKind::VMaxScale | StateKind::GradAvgScale)
}

/// A rank's part of a whole state.
pub(crate) fn of_rank(whole: &State, tensors: &[Outline], parts: &[Part]) -> Result<State, Error> {
    let mut state = whole.clone();
    state.tensors.clear();
    for part in parts {
        let Outline { name, len, .. } = &tensors[part.tensor];
        let wrong = |reason| Error::State { tensor: name.clone(), reason };
        let missing = || wrong("it is not in the state".to_owned());
        let tensor = whole.tensors.iter().find(|tensor| tensor.name == *name).ok_or_else(missing)?;
        if tensor.len != *len {
            return Err(wrong(format!("the state has {} elements, but the optimizer has {len}", tensor.len)));
        }
        let mut own = tensor.clone();
        own.len = part.end - part.begin;
        for kind in &mut own.state {
            let (all, begin, end) = match is_of_blocks(kind.kind) {
                true => (len.div_ceil(BLOCK), part.begin / BLOCK, part.end.div_ceil(BLOCK)),
                false => (*len, part.begin, part.end),
            };
            let size = kind.bytes.len() / all as usize;
            kind.bytes = kind.bytes[begin as usize * size..end as usize * size].to_vec();
        }
        state.tensors.push(own);
    }
    let unknown = |tensor: &&TensorState| tensors.iter().all(|known| known.name != tensor.name);
    if let Some(tensor) = whole.tensors.iter().find(unknown) {
        let reason = "it is in the state, but not in the optimizer".to_owned();
        return Err(Error::State { tensor: tensor.name.clone(), reason });
    }
    Ok(state)
}

/// Merges the states of all ranks, in the order of the ranks, to that of one optimizer with whole tensors. `names` are the
/// names of all tensors, group by group.
///
/// Files that each rank has saved can be merged so, without MPI.
///
/// # Errors
/// Returns [`Error::State`] if no state has the tensor, or if the states are not of the same step.
pub fn merge<'a>(states: &[State], names: impl Iterator<Item = &'a str>) -> Result<State, Error> {
    let wrong = |tensor: &str, reason: String| Err(Error::State { tensor: tensor.to_owned(), reason });
    let Some(first) = states.first() else { return wrong("", "there is no state".to_owned()) };
    let mut whole = first.clone();
    whole.tensors.clear();
    for name in names {
        let parts = states.iter().enumerate();
        let parts = parts.flat_map(|(rank, state)| state.tensors.iter().map(move |tensor| (rank, state, tensor)));
        let mut merged: Option<TensorState> = None;
        for (rank, state, part) in parts.filter(|(_, _, tensor)| tensor.name == name) {
            let counts = |state: &State| (state.t, state.skipped);
            if counts(state) != counts(first) {
                let [given, need] = [counts(state), counts(first)].map(|(t, skipped)| format!("{t} and {skipped}"));
                return wrong(
                    name,
                    format!("rank {rank} has {given} applied and skipped steps, but rank 0 has {need}"),
                );
            }
            let Some(merged) = &mut merged else {
                merged = Some(part.clone());
                continue;
            };
            let kinds = |tensor: &TensorState| tensor.state.iter().map(|s| (s.kind, s.dtype)).collect::<Vec<_>>();
            if kinds(merged) != kinds(part) {
                return wrong(name, format!("rank {rank} has {:?}, but must have {:?}", kinds(part), kinds(merged)));
            }
            merged.len += part.len;
            let add = |(to, from): (&mut StateTensor, &StateTensor)| to.bytes.extend_from_slice(&from.bytes);
            merged.state.iter_mut().zip(&part.state).for_each(add);
        }
        match merged {
            Some(merged) => whole.tensors.push(merged),
            None => return wrong(name, "no rank has a part of it".to_owned()),
        }
    }
    Ok(whole)
}
