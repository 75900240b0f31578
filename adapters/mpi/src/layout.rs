//! Where the bytes of each rank's part lie in the tensors, and how a part is moved in pieces.

use std::ops::Range;

use crate::parts::Part;

/// Neighbouring bytes: where they begin in a tensor, and where in a part or in a piece of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub tensor: usize,
    pub from: u64,
    pub at: u64,
    pub bytes: u64,
}

/// The parts of all ranks in bytes.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// Of each rank.
    spans: Vec<Vec<Span>>,
    /// The bytes of the largest part. Pieces of smaller parts are padded to those of this one.
    largest: u64,
}

impl Layout {
    /// `size` gives the bytes of an element of a tensor.
    pub fn new(parts: &[Vec<Part>], size: impl Fn(usize) -> u64) -> Self {
        let of_rank = |parts: &Vec<Part>| {
            let mut at = 0;
            let mut spans = Vec::new();
            for &Part { tensor, begin, end } in parts {
                let bytes = (end - begin) * size(tensor);
                spans.push(Span { tensor, from: begin * size(tensor), at, bytes });
                at += bytes;
            }
            spans
        };
        let spans: Vec<Vec<Span>> = parts.iter().map(of_rank).collect();
        let bytes = |spans: &Vec<Span>| spans.iter().map(|span| span.bytes).sum();
        let largest = spans.iter().map(bytes).max().unwrap_or(0);
        Self { spans, largest }
    }

    /// The ranges of the parts that are moved one after another, each of at most `piece` bytes.
    pub fn pieces(&self, piece: u64) -> Vec<Range<u64>> {
        (0..self.largest).step_by(piece as usize).map(|at| at..(at + piece).min(self.largest)).collect()
    }

    /// The spans of a range of a rank's part. They are counted from the beginning of the range.
    pub fn spans(&self, rank: usize, range: &Range<u64>) -> Vec<Span> {
        let inside = |span: &Span| {
            let begin = span.at.max(range.start);
            let end = (span.at + span.bytes).min(range.end);
            (begin < end).then(|| Span {
                from: span.from + begin - span.at,
                at: begin - range.start,
                bytes: end - begin,
                ..*span
            })
        };
        self.spans[rank].iter().filter_map(inside).collect()
    }

    /// The spans of that range of all ranks, one rank behind the other.
    pub fn spans_of_all(&self, range: &Range<u64>) -> Vec<Span> {
        let behind = |rank: usize| {
            let first = rank as u64 * (range.end - range.start);
            self.spans(rank, range).into_iter().map(move |span| Span { at: first + span.at, ..span })
        };
        (0..self.spans.len()).flat_map(behind).collect()
    }

    /// All spans of a rank.
    pub fn all(&self, rank: usize) -> &[Span] {
        &self.spans[rank]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts::cut;

    #[test]
    fn pieces_cover_each_part_once() {
        let lens = [1000, 3, 700];
        let layout = Layout::new(&cut(&lens, 3).unwrap(), |tensor| if tensor == 0 { 4 } else { 2 });
        let pieces = layout.pieces(1024);
        let mut bytes = [0; 3];
        for range in &pieces {
            let all = layout.spans_of_all(range);
            assert!(all.windows(2).all(|two| two[0].at + two[0].bytes <= two[1].at));
            for span in all {
                assert!(span.at % 2 == 0 && span.bytes <= range.end - range.start);
                bytes[span.tensor] += span.bytes;
            }
        }
        assert_eq!(bytes, [4000, 6, 1400]);
    }
}
