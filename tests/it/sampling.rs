//! Selects the cases of a grid that run. `SAMPLE=8` takes one of every eight cases. Without it all cases run.
//! `PROPTEST_CASES` is the number of random cases of each property test.
//!
//! `tests/run.sh` sets both: `quick` takes a small part, `full` everything.

use crate::scene::mix;

/// The value of an environment variable, if it is set.
fn variable(name: &str) -> Option<u32> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is `{value}`, but must be a number")))
}

/// Takes one of every `SAMPLE` neighbouring cases. Its position within them varies, so that a sample does not keep to
/// one value of the innermost dimension. A sample is the same in each run.
pub fn sample<T>(cases: impl IntoIterator<Item = T>) -> Vec<T> {
    one_of_every(variable("SAMPLE").unwrap_or(1).max(1) as usize, cases)
}

/// A sample of the pairs of `a` and `b`.
pub fn grid<A: Clone, B: Clone>(a: impl IntoIterator<Item = A>, b: impl IntoIterator<Item = B>) -> Vec<(A, B)> {
    let b: Vec<B> = b.into_iter().collect();
    sample(a.into_iter().flat_map(|a| b.iter().map(move |b| (a.clone(), b.clone())).collect::<Vec<_>>()))
}

fn one_of_every<T>(count: usize, cases: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut cases = cases.into_iter();
    let mut sample = Vec::new();
    loop {
        let block: Vec<T> = cases.by_ref().take(count).collect();
        if block.is_empty() {
            return sample;
        }
        let which = mix(sample.len() as u64) as usize % block.len();
        sample.extend(block.into_iter().nth(which));
    }
}

/// The number of random cases of a test, unless `PROPTEST_CASES` says otherwise.
pub fn proptest_cases(default: u32) -> u32 {
    variable("PROPTEST_CASES").unwrap_or(default)
}

#[test]
fn a_sample_has_one_case_of_each_block() {
    assert_eq!(one_of_every(1, 0..5), [0, 1, 2, 3, 4]);
    let sample = one_of_every(8, 0..100);
    assert_eq!(sample.iter().map(|case| case / 8).collect::<Vec<_>>(), (0..13).collect::<Vec<_>>());
    let innermost: std::collections::BTreeSet<i32> = sample.iter().map(|case| case % 4).collect();
    assert_eq!(innermost.len(), 4, "{sample:?}");
}
