//! Which elements belong to which rank: the blocks of all tensors, in order, in equal shares.

/// The elements that no cut divides: a block of 8-bit moments.
pub(crate) const BLOCK: u64 = wgpu_adam::precision::BLOCK;

/// Elements `begin..end` of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub tensor: usize,
    pub begin: u64,
    pub end: u64,
}

/// The parts of each rank, given the lengths of the tensors. `Err` has the number of blocks if they are fewer than ranks.
///
/// Blocks are counted from the beginning of each tensor, so that an 8-bit state has the same blocks on any number of ranks.
pub(crate) fn cut(lens: &[u64], ranks: usize) -> Result<Vec<Vec<Part>>, u64> {
    let blocks: u64 = lens.iter().map(|len| len.div_ceil(BLOCK)).sum();
    if blocks < ranks as u64 {
        return Err(blocks);
    }
    let bound = |rank: usize| (u128::from(blocks) * rank as u128 / ranks as u128) as u64;
    let of_rank = |rank: usize| {
        let (from, to) = (bound(rank), bound(rank + 1));
        let mut first = 0;
        let mut parts = Vec::new();
        for (tensor, &len) in lens.iter().enumerate() {
            let count = len.div_ceil(BLOCK);
            let element = |block: u64| (block.clamp(first, first + count) - first) * BLOCK;
            let (begin, end) = (element(from), element(to).min(len));
            if begin < end {
                parts.push(Part { tensor, begin, end });
            }
            first += count;
        }
        parts
    };
    Ok((0..ranks).map(of_rank).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_has_one_rank() {
        for lens in [&[1000, 1, 256, 5000][..], &[257], &[1 << 40, 7]] {
            for ranks in 1..=5 {
                let Ok(all) = cut(lens, ranks) else {
                    assert_eq!((lens, ranks > 2), (&[257][..], true));
                    continue;
                };
                for (tensor, &len) in lens.iter().enumerate() {
                    let mut next = 0;
                    for part in all.iter().flatten().filter(|part| part.tensor == tensor) {
                        assert_eq!((part.begin, part.begin % BLOCK), (next, 0));
                        next = part.end;
                    }
                    assert_eq!(next, len);
                }
                let blocks =
                    |parts: &Vec<Part>| -> u64 { parts.iter().map(|p| (p.end - p.begin).div_ceil(BLOCK)).sum() };
                let counts: Vec<u64> = all.iter().map(blocks).collect();
                assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
            }
        }
    }
}
