//! How a tensor of rows lies in buffers, and the tiles of its kernels. Twin of `rows.wgsl`.

use crate::config::rows::{ActiveKind, RowKind};
use crate::num::block8::BLOCK;
use crate::num::quad::{LANES, WORKGROUP};
use crate::plan::window::Window;

/// Slots in a tile of the update kernel, which a workgroup shares. A slot is a quad of a row.
pub(crate) const UPDATE_SLOTS: u32 = 256;
/// The elements of a line of memory, in f32.
const LINE: u32 = 32;
/// The columns for which an update has rates: those of the widest row.
pub(crate) const COLUMNS: usize = 1024;
/// Slots in a tile of the norm kernel.
pub(crate) const NORM_SLOTS: u32 = WORKGROUP as u32 * 16;
/// Slots in a tile of the probe.
pub(crate) const INSIGHT_SLOTS: u32 = WORKGROUP as u32 * 8;
/// The most partials of a region. Each of these workgroups sums every n-th tile.
const MOST_PARTIALS: u64 = 256;

/// A view of the caller's that a tensor of rows needs beside its params and gradients.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beside {
    pub buffer: usize,
    /// In bytes.
    pub offset: u64,
    /// In elements of 4 bytes.
    pub len: u64,
}

/// The rows of a tensor as the planner sees them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowsPlan {
    pub kind: RowKind,
    pub width: u32,
    /// The elements of the gradients.
    pub grad_len: u64,
    pub row_lr: Option<Beside>,
    /// The mask, the bits or the list.
    pub active: Option<Beside>,
    /// The count of the list.
    pub count: Option<Beside>,
    pub inverse: Option<Beside>,
}

/// A view to bind: its window, and the place of its first element in it.
pub(crate) type Bound = (Window, u32);

/// The rows of a region.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RowsRegion {
    pub kind: RowKind,
    pub width: u32,
    /// The rows have nothing of their own, and the update joins them.
    pub joined: bool,
    /// The tensor's row that is the region's row 0.
    pub first: u32,
    pub count: u32,
    /// The elements from a row to the next in the state.
    pub state_stride: u32,
    /// The place of the gradients' row 0 in their window, in elements.
    pub grad: u32,
    /// The rows of the gradients, if they are compact.
    pub grad_rows: u32,
    pub row_lr: Option<Bound>,
    pub active: Option<Bound>,
    pub list_len: u32,
    pub list_count: Option<Bound>,
    pub inverse: Option<Bound>,
}

/// The quads of a row. The last one may be partial.
pub(crate) fn quads_of_row(width: u32) -> u32 {
    width.div_ceil(LANES as u32)
}

/// The elements of the fewest rows that have whole quads.
pub(crate) fn joined_width(width: u32) -> u32 {
    let power_of_two = width & width.wrapping_neg();
    width * (LANES as u32 / power_of_two.min(LANES as u32))
}

impl RowsRegion {
    pub fn quads(&self) -> u32 {
        quads_of_row(self.width)
    }

    /// The rows of a tile of the update kernel. The tiles of rows that follow each other begin at lines of memory, if a
    /// tile has so many rows: on a real GPU a misaligned tile takes 1.12 of the time.
    pub fn update_rows(&self) -> u32 {
        let rows = UPDATE_SLOTS / self.quads();
        let line = self.width & self.width.wrapping_neg();
        let aligned = rows - rows % (LINE / line.min(LINE));
        if aligned == 0 || self.kind.active == ActiveKind::List { rows } else { aligned }
    }

    /// The quads of a region whose rows are joined.
    pub fn joined_quads(&self) -> u32 {
        (u64::from(self.count) * u64::from(self.width) / LANES) as u32
    }

    /// The rows of a tile of the norm kernel.
    pub fn norm_rows(&self) -> u32 {
        NORM_SLOTS / self.quads()
    }

    /// The rows of a tile of the probe.
    pub fn insight_rows(&self) -> u32 {
        INSIGHT_SLOTS / self.quads()
    }

    /// The tiles of the probe: enough for all rows, and for a longer list.
    pub fn insight_tiles(&self) -> u32 {
        let list = if self.kind.active == ActiveKind::List { self.list_len } else { 0 };
        self.count.max(list).div_ceil(self.insight_rows())
    }

    /// Whether a row of the tensor is in the region.
    pub fn has(&self, row: usize) -> bool {
        (self.first as usize..(self.first + self.count) as usize).contains(&row)
    }

    /// The part of a tensor's candidates that a region looks at: the whole list, or its own rows.
    pub fn candidates<'a, T>(&self, all: &'a [T]) -> &'a [T] {
        if self.kind.active == ActiveKind::List {
            return all;
        }
        &all[self.first as usize..(self.first + self.count) as usize]
    }

    /// The 8-bit blocks of a row.
    pub fn blocks(&self) -> u32 {
        self.width.div_ceil(BLOCK as u32)
    }

    /// The workgroups that update all rows.
    pub fn update_workgroups(&self) -> u64 {
        if self.joined {
            return self.joined_quads().div_ceil(UPDATE_SLOTS).into();
        }
        self.count.div_ceil(self.update_rows()).into()
    }

    /// The partials of the norm, and its workgroups.
    pub fn partials(&self) -> u64 {
        u64::from(self.count.div_ceil(self.norm_rows())).min(MOST_PARTIALS)
    }
}

impl Beside {
    /// The window of the whole view. Its offset is a multiple of `align`.
    pub fn bound(&self, align: u64) -> Bound {
        let offset = self.offset / align * align;
        let window = Window { buffer: self.buffer, offset, bytes: self.offset - offset + 4 * self.len };
        (window, ((self.offset - offset) / 4) as u32)
    }
}
