//! A batch: pairs of words, and for each table the rows that they touch.

use crate::{random::Random, text::Text};

/// The largest distance of two words that count as neighbours.
const WINDOW: usize = 5;
/// The number of random words for each pair of neighbours.
pub const NEGATIVES: usize = 5;
/// The pairs of a group: the neighbours, and then the first of them with each random word.
pub const GROUP: usize = 1 + NEGATIVES;

pub struct Batch {
    /// Rows of the two tables: a word, and a context.
    pub pairs: Vec<[u32; 2]>,
    /// What the pairs touch in the table of words and in that of contexts.
    pub touched: [Touched; 2],
}

/// The rows of a table that a batch touches.
pub struct Touched {
    /// The rows, each once.
    pub rows: Vec<u32>,
    /// Where the terms of each row begin, and the end of the last.
    pub starts: Vec<u32>,
    /// A pair, and its row in the other table: the terms of the first row's gradient, then those of the second, and so on.
    pub terms: Vec<[u32; 2]>,
}

impl Touched {
    fn new(pairs: &[[u32; 2]], table: usize) -> Self {
        let mut order: Vec<usize> = (0..pairs.len()).collect();
        order.sort_by_key(|&pair| pairs[pair][table]);
        let terms = order.iter().map(|&pair| [pair as u32, pairs[pair][1 - table]]).collect();
        let (mut rows, mut starts) = (Vec::new(), Vec::new());
        for (at, pair) in (0..).zip(order) {
            let row = pairs[pair][table];
            if rows.last() != Some(&row) {
                rows.push(row);
                starts.push(at);
            }
        }
        starts.push(pairs.len() as u32);
        Self { rows, starts, terms }
    }
}

/// Draws batches from a text, as Mikolov et al. 2013 do.
pub struct Sampler<'a> {
    text: &'a Text,
    random: Random,
    /// The sums of count^(3/4) over the words up to each one.
    sums: Vec<f32>,
}

impl<'a> Sampler<'a> {
    pub fn new(text: &'a Text, seed: u64) -> Self {
        let mut sum = 0.0;
        let sums = text.counts.iter().map(|count| {
            sum += (*count as f32).powf(0.75);
            sum
        });
        Self { text, random: Random::new(seed), sums: sums.collect() }
    }

    pub fn batch(&mut self, size: usize) -> Batch {
        let mut pairs = Vec::with_capacity(size * GROUP);
        while pairs.len() < size * GROUP {
            let Some([word, context]) = self.neighbours() else { continue };
            pairs.push([word, context]);
            for _ in 0..NEGATIVES {
                pairs.push([word, self.negative(context)]);
            }
        }
        let touched = [0, 1].map(|table| Touched::new(&pairs, table));
        Batch { pairs, touched }
    }

    /// Draws a word of the text and a neighbour.
    fn neighbours(&mut self) -> Option<[u32; 2]> {
        let tokens = &self.text.tokens;
        let first = self.random.below(tokens.len() as u64) as usize;
        let second = first + 1 + self.random.below(WINDOW as u64) as usize;
        let pair = [*tokens.get(first)?, *tokens.get(second)?];
        if !pair.iter().all(|word| self.keeps(*word)) {
            return None;
        }
        let [a, b] = pair;
        Some(if self.random.below(2) == 0 { [a, b] } else { [b, a] })
    }

    /// Whether an occurrence of this word counts. The more frequent the word, the fewer do.
    fn keeps(&mut self, word: u32) -> bool {
        let share = self.text.counts[word as usize] as f32 / self.text.tokens.len() as f32;
        self.random.uniform(1.0).abs() < (1e-3 / share).sqrt()
    }

    /// Draws a word that is not the context.
    fn negative(&mut self, context: u32) -> u32 {
        let half = self.sums[self.sums.len() - 1] / 2.0;
        loop {
            let point = half + self.random.uniform(half);
            let word = self.sums.partition_point(|sum| *sum <= point).min(self.sums.len() - 1) as u32;
            if word != context {
                return word;
            }
        }
    }
}
