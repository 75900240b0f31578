//! A text as numbers of words.

use std::collections::HashMap;

pub struct Text {
    /// The different words, the most frequent first.
    pub words: Vec<String>,
    /// How often each of them occurs.
    pub counts: Vec<u32>,
    /// The text: for each word its place in `words`.
    pub tokens: Vec<u32>,
}

impl Text {
    /// Reads words: runs of letters, in lower case.
    pub fn new(text: &str) -> Self {
        let text = text.to_lowercase();
        let all: Vec<&str> = text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()).collect();
        let mut counts = HashMap::<&str, u32>::new();
        all.iter().for_each(|word| *counts.entry(word).or_default() += 1);
        let mut words: Vec<(&str, u32)> = counts.into_iter().collect();
        words.sort_by_key(|&(word, count)| (std::cmp::Reverse(count), word));
        let places: HashMap<&str, u32> = words.iter().zip(0..).map(|((word, _), place)| (*word, place)).collect();
        Self {
            tokens: all.iter().map(|word| places[word]).collect(),
            counts: words.iter().map(|(_, count)| *count).collect(),
            words: words.iter().map(|(word, _)| word.to_string()).collect(),
        }
    }
}
