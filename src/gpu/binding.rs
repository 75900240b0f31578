//! The resources that kernels bind, and their binding numbers. The numbers are defined only here: a composed module
//! gets them as constants.

use crate::config::rule::StateKind;

/// A resource that a kernel binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binding {
    Region,
    /// The params of a region. Regions are numbered within a dispatch.
    Param(u32),
    /// The gradients of a region.
    Grad(u32),
    State(StateKind),
    Scalars,
    Tiles,
    Partials,
    Control,
    Settings,
    Clock,
    Curves,
    LossScale,
    Records,
    Ranges,
    Findings,
    /// The partials of each unit.
    Units,
    UnitNorms,
    /// What factors of steps are made of.
    Sums,
    Rows,
    RowTables,
    RowLr,
    /// The mask, the bits or the list.
    ActiveRows,
    ListCount,
    Listed,
    Inverse,
    /// What a move of rows is told, the rows' sources, and the buffers between which they move.
    Move,
    Source,
    From,
    To,
}

/// How a kernel uses a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Uniform,
    Read,
    Write,
}

impl Binding {
    /// The number in `@binding`.
    pub fn number(self) -> u32 {
        match self {
            Self::Region => 0,
            Self::Param(region) => 20 + 2 * region,
            Self::Grad(region) => 21 + 2 * region,
            // The scales of an 8-bit state tensor follow its codes in the same buffer.
            Self::State(StateKind::M | StateKind::MScale) => 1,
            Self::State(StateKind::V | StateKind::VScale) => 2,
            // No rule has both `v_max` and `grad_avg`.
            Self::State(StateKind::VMax | StateKind::VMaxScale | StateKind::GradAvg | StateKind::GradAvgScale) => 3,
            Self::State(StateKind::Master | StateKind::Remainder) => 4,
            Self::Scalars => 5,
            Self::Tiles => 6,
            Self::Partials => 7,
            Self::Control => 8,
            Self::Settings => 9,
            Self::Clock => 10,
            Self::Curves => 11,
            Self::LossScale => 12,
            Self::Records => 13,
            Self::Ranges => 14,
            Self::Findings => 15,
            Self::Units => 16,
            Self::UnitNorms => 17,
            // Only a probe has records.
            Self::Sums => 13,
            // No kernel of rows has tiles, schedules, units or several regions.
            Self::Rows => 11,
            Self::RowTables => 12,
            Self::RowLr => 6,
            Self::ActiveRows => 14,
            Self::ListCount => 15,
            Self::Listed => 16,
            Self::Inverse => 17,
            // Moves of rows bind nothing else but a list's count.
            Self::Move => 0,
            Self::Source => 1,
            Self::From => 2,
            Self::To => 3,
            Self::State(StateKind::RowSteps) => 18,
        }
    }
}

impl Access {
    /// The access mode of a storage buffer in WGSL.
    pub fn mode(self) -> &'static str {
        if self == Self::Write { "read_write" } else { "read" }
    }
}
