//! Reads the files that `generate.py` writes.

use std::collections::BTreeMap;

use safetensors::SafeTensors;
use serde::Deserialize;

use super::problem;

/// One pair of a JSON file and a safetensors file.
pub struct Golden {
    pub cases: Vec<Case>,
    state_every: usize,
    tensors: SafeTensors<'static>,
}

#[derive(Deserialize)]
struct Described {
    elements: usize,
    steps: usize,
    lr_changes_after: usize,
    state_every: usize,
    sum_of_bits: u64,
    cases: Vec<Case>,
}

/// What a test must know about a case in addition to the configuration of this crate.
#[derive(Clone, Deserialize)]
pub struct Case {
    pub name: String,
    pub optimizer: String,
    pub p0: i32,
    pub lr_then: Option<Vec<f64>>,
    pub clip: Option<f64>,
    moved: f64,
    /// The misses of p and of the states, for each implementation of the framework.
    float32: BTreeMap<String, BTreeMap<String, Miss>>,
}

/// An error against the float64 run, in units that `generate.py` defines.
#[derive(Clone, Copy, Deserialize)]
pub struct Miss {
    pub rms: f64,
    pub max: f64,
}

impl Miss {
    fn of(errors: impl Iterator<Item = f64>) -> Self {
        let (mut squares, mut max, mut count) = (0.0, 0.0, 0);
        for error in errors.map(f64::abs) {
            squares += error * error;
            // Unlike f64::max, this does not ignore a NaN.
            max = if error <= max { max } else { error };
            count += 1;
        }
        Self { rms: (squares / f64::from(count)).sqrt(), max }
    }
}

impl Case {
    /// p first, then the states.
    pub fn quantities(&self) -> Vec<&str> {
        let names = self.float32["for-loop"].keys().map(String::as_str);
        [vec!["p"], names.filter(|name| *name != "p").collect()].concat()
    }

    /// The smallest miss among the framework's implementations.
    pub fn framework(&self, quantity: &str) -> Miss {
        let least = |f: fn(&Miss) -> f64| self.float32.values().map(|run| f(&run[quantity])).fold(f64::MAX, f64::min);
        Miss { rms: least(|miss| miss.rms), max: least(|miss| miss.max) }
    }
}

impl Golden {
    /// Panics if the problem in the files differs from the one that is generated here.
    pub fn new(json: &str, tensors: &'static [u8], grads: &[Vec<f32>]) -> Self {
        let described: Described = serde_json::from_str(json).unwrap();
        let sum_of_bits: u64 = grads.iter().flatten().map(|g| u64::from(g.to_bits())).sum();
        assert_eq!(
            (described.elements, described.steps, described.lr_changes_after, described.sum_of_bits),
            (problem::ELEMENTS, problem::STEPS, problem::LR_CHANGES_AFTER, sum_of_bits),
            "problem.py and problem.rs differ"
        );
        let tensors = SafeTensors::deserialize(tensors).unwrap();
        Self { cases: described.cases, state_every: described.state_every, tensors }
    }

    fn float64(&self, name: &str) -> Vec<f64> {
        bytemuck::pod_collect_to_vec(self.tensors.tensor(name).unwrap().data())
    }

    fn float32(&self, name: &str) -> Vec<f32> {
        bytemuck::pod_collect_to_vec(self.tensors.tensor(name).unwrap().data())
    }

    pub fn miss(&self, case: &Case, quantity: &str, got: &[f32]) -> Miss {
        assert_eq!(got.len(), problem::ELEMENTS);
        let name = format!("{}/{quantity}", case.name);
        let want = self.float64(&name);
        if quantity == "p" {
            return Miss::of(got.iter().zip(want).map(|(&got, want)| (f64::from(got) - want) / case.moved));
        }
        let got = got.iter().step_by(self.state_every).map(|&got| f64::from(got));
        let unit = self.float32(&format!("{name} unit"));
        assert_eq!((got.len(), got.len()), (want.len(), unit.len()));
        // If the unit is zero, the state must be zero too: anything else divided by zero is infinite.
        let error = |((got, want), unit)| if got == want { 0.0 } else { (got - want) / f64::from(unit) };
        Miss::of(got.zip(want).zip(unit).map(error))
    }

    /// The distance of each element between start and end, in units of the root mean square of these distances. Its own
    /// root mean square is therefore 1.
    pub fn moved(&self, case: &Case) -> Miss {
        let p = self.float64(&format!("{}/p", case.name));
        let p0 = problem::first_params(0, case.p0);
        Miss::of(p.iter().zip(p0).map(|(p, p0)| (p - f64::from(p0)) / case.moved))
    }
}
