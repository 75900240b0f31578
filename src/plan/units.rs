//! Units: the tensors whose gradients are clipped by one norm, a group or a single tensor. Twin of `unit_norm.wgsl`.

use crate::config::group::Group;
use crate::config::options::{GroupClip, Options};
use crate::plan::clocks::ClockMap;
use crate::plan::region::{Region, Tile};
use crate::tick::settings::Settings;

/// The units of an optimizer. Unit 0 has all tensors that have no norm of their own.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Units {
    /// The unit of each clock.
    pub of_clock: Vec<u32>,
    /// The limit of each unit. Infinite for unit 0.
    pub max_norms: Vec<f32>,
    /// The numbers of the partials of each unit.
    pub partials: Vec<Vec<u32>>,
    /// Whether any group is clipped by a norm of its own. Otherwise, there is only the unit of all tensors.
    pub clips: bool,
    /// Whether the last unit has all tensors, and its sums are shared with other optimizers.
    pub shared: bool,
}

impl Units {
    /// `None` if no group is clipped by a norm of its own, and the norm is not shared. The regions are in the order of their
    /// partials.
    pub fn new<'a, T>(
        groups: &[Group<T>],
        clocks: &ClockMap,
        regions: impl Iterator<Item = &'a Region>,
        options: &Options,
    ) -> Option<Self> {
        let clips = groups.iter().any(|group| group.clip.is_some());
        let shared = options.share_norm && (clips || options.reads_norm());
        if !clips && !shared {
            return None;
        }
        let mut units = Self { of_clock: Vec::new(), max_norms: Vec::new(), partials: Vec::new(), clips, shared };
        let tiles: Vec<Tile> = regions.flat_map(Region::tiles_of_partials).collect();
        if clips {
            units.clip(groups, clocks, &tiles);
        }
        if shared {
            units.max_norms.push(f32::INFINITY);
            units.partials.push((0..tiles.len() as u32).collect());
        }
        Some(units)
    }

    /// Adds the units whose norms clip their gradients, and unit 0.
    fn clip<T>(&mut self, groups: &[Group<T>], clocks: &ClockMap, tiles: &[Tile]) {
        self.max_norms.push(f32::INFINITY);
        let mut of_group = vec![None; groups.len()];
        for &group in &clocks.groups {
            let mut next = |max_norm: f64| {
                self.max_norms.push(max_norm as f32);
                self.max_norms.len() as u32 - 1
            };
            self.of_clock.push(match groups[group].clip {
                None => 0,
                Some(GroupClip::Group(max_norm)) => *of_group[group].get_or_insert_with(|| next(max_norm)),
                Some(GroupClip::Tensor(max_norm)) => next(max_norm),
            });
        }
        self.partials = vec![Vec::new(); self.max_norms.len()];
        for (partial, tile) in (0..).zip(tiles) {
            self.partials[self.of_clock[tile.clock as usize] as usize].push(partial);
        }
    }

    /// Puts the units into the settings of the clocks.
    pub fn assign(&self, settings: &mut [Settings]) {
        settings.iter_mut().zip(&self.of_clock).for_each(|(settings, unit)| settings.unit = *unit);
    }

    /// The list that `unit_norm.wgsl` describes.
    pub fn table(&self) -> Vec<u32> {
        table(&self.partials)
    }
}

/// Lists as one list: where each of them begins in it, then all of them.
pub(crate) fn table(lists: &[Vec<u32>]) -> Vec<u32> {
    let mut begin = lists.len() as u32 + 1;
    let mut table = vec![begin];
    for list in lists {
        begin += list.len() as u32;
        table.push(begin);
    }
    table.extend(lists.iter().flatten());
    table
}
