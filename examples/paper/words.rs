//! Two books as a data set: who wrote these eight words? A passage is a row of word counts, most of which are 0. It stands in
//! for the film reviews of the paper, which it classifies by their words.

use crate::{data::Data, random::Random};
use flate2::read::GzDecoder;
use std::{collections::HashMap, io::Read};

/// The books, with the names of their authors. `examples/data/README.md` says where they are from.
const BOOKS: [(&[u8], &str); 2] =
    [(include_bytes!("../data/alice29.txt.gz"), "Carroll"), (include_bytes!("../data/asyoulik.txt.gz"), "Shakespeare")];
/// The number of words of a passage.
const PASSAGE: usize = 8;
/// A word that occurs less often is no feature.
const OFTEN: usize = 2;
/// Selects the held-out fifth, independently of the seed of the training.
const SPLIT_SEED: u64 = 1;

pub fn words() -> Data {
    let books = BOOKS.map(|(packed, _)| {
        let mut text = String::new();
        GzDecoder::new(packed).read_to_string(&mut text).expect("the bundled file is complete");
        words_of(&text)
    });
    let mut counts = HashMap::<&str, usize>::new();
    books.iter().flatten().for_each(|word| *counts.entry(word).or_default() += 1);
    let mut features: Vec<&str> =
        counts.into_iter().filter(|(_, count)| *count >= OFTEN).map(|(word, _)| word).collect();
    features.sort_unstable();
    let places: HashMap<&str, usize> = features.iter().enumerate().map(|(place, word)| (*word, place)).collect();

    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for (label, book) in (0..).zip(&books) {
        for passage in book.chunks_exact(PASSAGE) {
            let start = pixels.len();
            pixels.resize(start + features.len(), 0);
            let known = passage.iter().filter_map(|word| places.get(word.as_str()));
            known.for_each(|place| pixels[start + place] += 1);
            labels.push(label);
        }
    }
    let mut rows: Vec<u32> = (0..labels.len() as u32).collect();
    Random::new(SPLIT_SEED).shuffle(&mut rows);
    let held_out = rows.split_off(rows.len() - rows.len() / 5);
    let name = format!("{PASSAGE} words of {} or {}", BOOKS[0].1, BOOKS[1].1);
    let title = format!("{name}: {} training rows of {} features", rows.len(), features.len());
    Data { name, title, pixels, white: 1, labels, features: features.len(), classes: 2, train: rows, held_out }
}

/// The words of a text in lower case, without those in capitals: headings, and the names of the speakers.
fn words_of(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty());
    words.filter(|word| word.len() == 1 || word.chars().any(|c| c.is_lowercase())).map(str::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_books_are_there() {
        let data = words();
        let of = |label| data.labels.iter().filter(|l| **l == label).count();
        println!("{} and {} passages, {} features", of(0), of(1), data.features);
        assert!(of(0) > 2000 && of(1) > 2000);
        let used: usize = data.pixels.iter().map(|count| usize::from(*count)).sum();
        let share = used as f64 / (data.labels.len() * PASSAGE) as f64;
        assert!((0.9..1.0).contains(&share), "{share} of the words are features");
    }

    #[test]
    fn capitals_are_no_words() {
        assert_eq!(words_of("ORLANDO\tMarry, I can't [Exit] -- CHAPTER II"), ["marry", "i", "can", "t", "exit"]);
    }
}
