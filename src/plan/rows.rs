//! How a tensor of rows lies in buffers, and the tiles of its kernels. Twin of `rows.wgsl`.

use crate::config::rows::RowKind;
use crate::num::block8::BLOCK;
use crate::num::quad::{LANES, WORKGROUP};
use crate::plan::window::Window;

/// Slots in a tile of the update kernel, which a workgroup shares. A slot is a quad of a row.
pub(crate) const UPDATE_SLOTS: u32 = 256;
/// Slots in a tile of the norm kernel.
pub(crate) const NORM_SLOTS: u32 = WORKGROUP as u32 * 16;
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

impl RowsRegion {
    pub fn quads(&self) -> u32 {
        quads_of_row(self.width)
    }

    /// The rows of a tile of the update kernel.
    pub fn update_rows(&self) -> u32 {
        UPDATE_SLOTS / self.quads()
    }

    /// The rows of a tile of the norm kernel.
    pub fn norm_rows(&self) -> u32 {
        NORM_SLOTS / self.quads()
    }

    /// The 8-bit blocks of a row.
    pub fn blocks(&self) -> u32 {
        self.width.div_ceil(BLOCK as u32)
    }

    /// The workgroups that update all rows.
    pub fn update_workgroups(&self) -> u64 {
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
