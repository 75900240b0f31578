//! What each rank was made with, which must be the same on all.

use crate::error::Error;

/// The name of each thing that must be the same, and its value as text.
pub(crate) type Greeting = Vec<(String, String)>;

/// The text of a greeting: names and values in turn, each with a line of its own.
pub(crate) fn text(greeting: &Greeting) -> Vec<u8> {
    let lines = greeting.iter().flat_map(|(what, value)| [what, value]).map(|text| text.replace('\n', " "));
    lines.collect::<Vec<String>>().join("\n").into_bytes()
}

/// Compares the greetings of all ranks with that of rank 0. All ranks find the same difference.
pub(crate) fn compare(all: &[Vec<u8>]) -> Result<(), Error> {
    let texts: Vec<String> = all.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect();
    let lines: Vec<Vec<&str>> = texts.iter().map(|text| text.lines().collect()).collect();
    let need = lines.first().map_or(&[][..], Vec::as_slice);
    for (rank, given) in lines.iter().enumerate() {
        for at in (0..given.len().max(need.len())).step_by(2) {
            let line = |lines: &[&str], at: usize| lines.get(at).map_or("none", |line| line).to_owned();
            let names = [line(given, at), line(need, at)];
            let [given, need] = [line(given, at + 1), line(need, at + 1)];
            if names[0] != names[1] || given != need {
                // A rank that has more than rank 0 names what rank 0 has not.
                let what = if names[1] == "none" { &names[0] } else { &names[1] };
                return Err(Error::Differs { rank, what: what.clone(), given, need });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_named() {
        let greeting = |pairs: &[(&str, &str)]| {
            text(&pairs.iter().map(|(what, value)| ((*what).to_owned(), (*value).to_owned())).collect())
        };
        let own = greeting(&[("the version", "0.1.0"), ("tensor 0", "w 5 F32"), ("tensor 1", "b 1 F32")]);
        assert_eq!(compare(&[own.clone(), own.clone()]), Ok(()));
        for (other, want) in [
            (
                greeting(&[("the version", "0.2.0"), ("tensor 0", "w 5 F32")]),
                "rank 1 differs from rank 0 in the version: it has 0.2.0, but rank 0 has 0.1.0",
            ),
            (
                greeting(&[("the version", "0.1.0"), ("tensor 0", "w 6 F32"), ("tensor 1", "b 1 F32")]),
                "rank 1 differs from rank 0 in tensor 0: it has w 6 F32, but rank 0 has w 5 F32",
            ),
            (
                greeting(&[("the version", "0.1.0"), ("tensor 0", "w 5 F32")]),
                "rank 1 differs from rank 0 in tensor 1: it has none, but rank 0 has b 1 F32",
            ),
        ] {
            assert_eq!(compare(&[own.clone(), other]).unwrap_err().to_string(), want);
        }
    }
}
