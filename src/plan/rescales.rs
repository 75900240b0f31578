//! The tiles that are summed for the factors of steps: see [`Rescale`].

use std::ops::Range;

use crate::config::rule::Rescale;
use crate::plan::region::{Region, Tile, order_of_partials};

/// The tiles of all regions whose rule has a factor.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rescales {
    /// These regions, each with the numbers of its tiles.
    pub regions: Vec<(usize, Range<usize>)>,
    /// The tiles, in the order of the partials of their regions.
    pub tiles: Vec<Tile>,
    /// The rules in use, and for each of them the numbers of the tiles of each clock.
    pub lists: Vec<(Rescale, Vec<Vec<u32>>)>,
}

impl Rescales {
    pub fn new(regions: &[Region], clocks: usize) -> Self {
        let mut all = Self::default();
        for i in order_of_partials(regions) {
            let region = &regions[i];
            let Some(rescale) = region.storage.rule.rescale() else { continue };
            let first = all.tiles.len();
            let known = all.lists.iter().position(|(known, _)| *known == rescale);
            let at = known.unwrap_or(all.lists.len());
            if known.is_none() {
                all.lists.push((rescale, vec![Vec::new(); clocks]));
            }
            for (segment, span) in region.spans_of_segments() {
                for tile in region.insight_tiles(segment, span) {
                    all.lists[at].1[tile.clock as usize].push(all.tiles.len() as u32);
                    all.tiles.push(tile);
                }
            }
            all.regions.push((i, first..all.tiles.len()));
        }
        all
    }

    /// The workgroups of its largest dispatch.
    pub fn workgroups(&self) -> usize {
        let tiles = self.regions.iter().map(|(_, tiles)| tiles.len());
        tiles.chain(self.lists.iter().map(|(_, lists)| lists.len())).max().unwrap_or(0)
    }

    /// The number of its dispatches: one for each region, and one for each rule.
    pub fn dispatches(&self) -> usize {
        self.regions.len() + self.lists.len()
    }
}
