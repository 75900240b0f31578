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
/// Returns [`Error::State`] if no state has the tensor, if the states are not of the same step, or if tensors were switched on or
/// off on some ranks only.
pub fn merge<'a>(states: &[State], names: impl Iterator<Item = &'a str>) -> Result<State, Error> {
    let wrong = |tensor: &str, reason: String| Err(Error::State { tensor: tensor.to_owned(), reason });
    let Some(first) = states.first() else { return wrong("", "there is no state".to_owned()) };
    let mut whole = first.clone();
    whole.tensors.clear();
    let groups = |state: &State| state.clocks.iter().map(|clock| clock.group).collect::<Vec<_>>();
    if let Some(rank) = states.iter().position(|state| groups(state) != groups(first)) {
        let (given, need) = (groups(&states[rank]), groups(first));
        return wrong("", format!("rank {rank} has clocks of the groups {given:?}, but rank 0 has those of {need:?}"));
    }
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
    // A rank steps the clocks of its own tensors only.
    for (number, clock) in whole.clocks.iter_mut().enumerate() {
        let mut owners = states.iter().filter_map(|state| {
            let tensor = state.tensors.iter().find(|tensor| tensor.clock == number)?;
            Some((&tensor.name, &state.clocks[number]))
        });
        if let Some((_, own)) = owners.next() {
            clock.clone_from(own);
        }
        if let Some((name, other)) = owners.find(|(_, other)| *other != clock) {
            return wrong(name, format!("its clock is {other:?} on one rank, but {clock:?} on another"));
        }
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use wgpu_adam::cpu::{Adam, Group, Tensor, TensorMut};
    use wgpu_adam::{Config, Options};

    use super::*;

    /// A rank with one of two tensors, each in a group of its own, after three steps without the second group.
    fn rank(own: usize) -> State {
        let tensors = |group| if group == own { vec![Tensor::new(["a", "b"][own], 256)] } else { Vec::new() };
        let groups = [0, 1].map(|group| Group::new(Config::default(), tensors(group)));
        let mut adam = Adam::new(&groups, Options::default()).unwrap();
        let (mut param, mut grad) = (vec![1.0; 256], vec![0.5; 256]);
        let mut step = |adam: &mut Adam| drop(adam.step(&mut [TensorMut::new(&mut param, &mut grad)]).unwrap());
        step(&mut adam);
        adam.set_group_active(1, false).unwrap();
        step(&mut adam);
        step(&mut adam);
        adam.state()
    }

    #[test]
    fn a_clock_is_that_of_the_rank_with_its_tensors() {
        let whole = merge(&[rank(0), rank(1)], ["a", "b"].into_iter()).unwrap();
        let clocks: Vec<_> = whole.tensors.iter().map(|t| &whole.clocks[t.clock]).map(|c| (c.t, c.active)).collect();
        assert_eq!(clocks, [(3, None), (1, Some(false))]);
    }

    #[test]
    fn ranks_with_other_clocks_are_refused() {
        let mut other = rank(1);
        other.clocks.pop();
        let error = merge(&[rank(0), other], ["a", "b"].into_iter()).unwrap_err().to_string();
        assert!(error.contains("rank 1 has clocks of the groups [0], but rank 0 has those of [0, 1]"), "{error}");
    }
}
