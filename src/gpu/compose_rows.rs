//! Composes what the kernels for tensors of rows have beside others.

use crate::config::rows::{ActiveKind, RowKind};
use crate::gpu::binding::Binding;
use crate::gpu::module::Module;
use crate::num::quad::LANES;
use crate::num::wgsl::shader;
use crate::plan::region::BLOCK_QUADS;
use crate::plan::rows::UPDATE_SLOTS;
use crate::plan::storage::Storage;

pub(crate) fn move_rows(module: &mut Module, wgsl: &str, wide: bool) {
    let bindings = [("move", Binding::Move), ("source", Binding::Source), ("from", Binding::From), ("to", Binding::To)];
    bindings.into_iter().for_each(|(name, binding)| module.bind(name, binding));
    module.template(wgsl, true, &[("UNIT", if wide { "vec4<u32>" } else { "u32" })]);
    module.file(shader!("rows/move"));
}

pub(crate) fn measure_list(module: &mut Module) {
    module.bind("list_count", Binding::ListCount);
    module.bind("listed", Binding::Listed);
    module.bind("rows", Binding::Rows);
    module.file(shader!("rows/measure_list"));
    module.file(shader!("rows/listed"));
    module.file(shader!("rows/rows_uniform"));
}

/// Adds what the update of joined rows needs to know.
pub(crate) fn joined_rows(module: &mut Module) {
    module.bind("rows", Binding::Rows);
    module.bind("tables", Binding::RowTables);
    module.constant("SLOTS", UPDATE_SLOTS.into());
    module.file(shader!("rows/rows_uniform"));
}

/// Adds what finds the active rows and their gradients.
pub(crate) fn rows(module: &mut Module, kind: RowKind, unaligned: bool) {
    module.bind("rows", Binding::Rows);
    module.file(shader!("rows/rows_uniform"));
    module.constant("PARAM_STEP", if unaligned { LANES } else { 1 });
    module.flag("PARTIAL", kind.partial);
    module.file(shader!("rows/rows"));
    if kind.active.is_listed() {
        module.bind("active", Binding::ActiveRows);
    }
    if kind.active.is_counted() {
        module.bind("listed", Binding::Listed);
        module.file(shader!("rows/listed"));
    }
    match kind.active {
        ActiveKind::All => module.file(shader!("rows/all")),
        ActiveKind::Mask => module.file(shader!("rows/mask")),
        ActiveKind::Bits => module.file(shader!("rows/bits")),
        ActiveKind::First => module.file(shader!("rows/first")),
        ActiveKind::List => module.file(shader!("rows/list")),
    }
    if kind.compact {
        module.bind("inverse", Binding::Inverse);
        module.file(shader!("rows/compact"));
    } else {
        module.file("fn grad_row(row: u32) -> u32 { return row; }\n");
    }
}

/// Adds where slots are in params and state, and their rates.
pub(crate) fn places_of_rows(module: &mut Module, storage: &Storage, kind: RowKind) {
    module.bind("tables", Binding::RowTables);
    module.constant("STATE_STEP", if kind.partial && storage.by_elements() { LANES } else { 1 });
    module.file(shader!("rows/place"));
    if kind.row_lr {
        module.bind("row_lr", Binding::RowLr);
        module.file(shader!("rows/row_lr"));
    } else {
        module.file("fn rate_of(row: u32) -> f32 { return 1.0; }\n");
    }
}

/// Adds what only the update of rows needs. Parts that are not in use become functions that do nothing.
pub(crate) fn rows_of_update(module: &mut Module, storage: &Storage, kind: RowKind) {
    module.constant("SLOTS", UPDATE_SLOTS.into());
    places_of_rows(module, storage, kind);
    if !storage.shares_in_rows() {
        return;
    }
    module.flag("ROWS_SETTLE", storage.rows.v || storage.rows.steps);
    module.flag("IN_BLOCKS", storage.in_blocks());
    if !storage.rows.v {
        module.file("fn note_squares(number: u32, g: Quad) {}\n\nfn settle_moments(local: u32, row: u32) {}\n");
    }
    if storage.rows.steps {
        module.file(shader!("rows/row_steps"));
        module.file(shader!("rows/corrections"));
        module.file(shader!("num/fixed"));
    } else {
        module.file(
            "fn settle_steps(s: Scalars, local: u32, row: u32) {}\n\nfn scalars_of_row(s: Scalars) -> Scalars { return s; }\n",
        );
    }
    if !storage.in_blocks() {
        module.constant("BLOCK_QUADS", u64::from(BLOCK_QUADS));
        module.file(
            "struct Kept { none: u32 }\n\nvar<private> kept: Kept;\n\nfn clear_sizes(index: u32) {}\n\n\
            fn begin_state(place: Place) {}\n\nfn size_state(state: Kept, mask: Mask) {}\n\n\
            fn note_sizes(block: u32) {}\n\nfn settle_state(block: u32) {}\n\n\
            fn end_state(place: Place) {}\n\nfn encode_state(place: Place, state: Kept) {}\n",
        );
    }
}
