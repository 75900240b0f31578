//! Composes the loads and stores of params, gradients and state from the templates in `shaders/access/`.

use std::fmt::Write;

use crate::config::dtype::Dtype;
use crate::config::precision::{Master, Rounding, StateDtype};
use crate::config::rule::StateKind;
use crate::gpu::binding::{Access, Binding};
use crate::gpu::kernel::Shape;
use crate::gpu::module::Module;
use crate::num::block8::SIGNED;
use crate::num::wgsl::shader;
use crate::plan::region::TILES_A_WORKGROUP;
use crate::plan::rows::UPDATE_SLOTS;
use crate::plan::storage::Storage;

/// A caller's view: the params or the gradients.
pub(crate) struct View {
    pub name: &'static str,
    pub binding: fn(u32) -> Binding,
    pub dtype: Dtype,
    pub access: Access,
}

/// Adds the loads and stores of a view, for each region of the dispatch.
pub(crate) fn views(module: &mut Module, shape: Shape, view: &View) {
    let name = view.name;
    if shape.regions == 1 {
        return one_view(module, shape, view, name, 0);
    }
    for region in 0..shape.regions {
        one_view(module, shape, view, &format!("{name}{region}"), region);
    }
    // These functions choose the region of the workgroup.
    let mut choose = |function: &str, parameters: &str, arguments: &str, result: &str| {
        let (arrow, keyword) = if result.is_empty() { ("", "") } else { (" -> ", "return ") };
        let _ = writeln!(module.files, "\nfn {function}_{name}({parameters}){arrow}{result} {{\n    switch which {{");
        for region in 1..shape.regions {
            let _ = writeln!(
                module.files,
                "        case {region}u: {{ {keyword}{function}_{name}{region}({arguments}); }}"
            );
        }
        let _ = writeln!(module.files, "        default: {{ {keyword}{function}_{name}0({arguments}); }}\n    }}\n}}");
    };
    choose("load", "quad: u32", "quad", "Quad");
    if view.dtype.is_half() {
        choose("bits", "quad: u32", "quad", "Bits");
    }
    if view.access == Access::Write {
        let x = if view.dtype.is_half() { "Bits" } else { "Quad" };
        choose("store", &format!("quad: u32, x: {x}, mask: Mask"), "quad, x, mask", "");
    }
}

fn one_view(module: &mut Module, shape: Shape, view: &View, name: &str, region: u32) {
    module.bind(name, (view.binding)(region));
    let template = match (view.dtype, shape.unaligned) {
        (Dtype::F16 | Dtype::Bf16, true) if shape.rows.is_some() && view.access == Access::Write => {
            shader!("access/elements_half")
        }
        (Dtype::F16 | Dtype::Bf16, false) => shader!("access/aligned_half"),
        (Dtype::F16 | Dtype::Bf16, true) => shader!("access/unaligned_half"),
        (Dtype::I32, false) => shader!("access/aligned_i32"),
        (Dtype::I32, true) => shader!("access/unaligned_i32"),
        (_, false) => shader!("access/aligned_f32"),
        (_, true) => shader!("access/unaligned_f32"),
    };
    let index = match (view.name, shape.unaligned) {
        // The places of rows are in the units of their access.
        _ if shape.rows.is_some() => "quad",
        ("grad", false) if shape.shifted => "quad + region.grad_shift",
        ("grad", true) => "4u * quad + region.grad_shift",
        (_, false) => "quad",
        (_, true) => "4u * quad",
    };
    let placeholders =
        [("NAME", name), ("INDEX", index), ("ACCESS", view.access.mode()), ("DTYPE", half_name(view.dtype))];
    module.template(template, view.access == Access::Write, &placeholders);
}

fn half_name(dtype: Dtype) -> &'static str {
    if dtype == Dtype::F16 { "f16" } else { "bf16" }
}

/// Adds the loads and stores of the parameter and of the state tensors.
pub(crate) fn state(module: &mut Module, storage: &Storage, access: Access, shape: Shape) {
    let rows = shape.rows;
    let writes = access == Access::Write;
    let param = match (storage.param.is_half(), storage.master) {
        (false, _) => shader!("access/param_f32"),
        (true, Master::None) => shader!("access/param_half"),
        (true, Master::F32) => shader!("access/param_master"),
        (true, Master::Remainder) => shader!("access/param_remainder"),
    };
    module.template(param, writes, &[("ACCESS", access.mode()), ("DTYPE", half_name(storage.param))]);
    let (per_row, kinds): (Vec<StateKind>, Vec<StateKind>) =
        storage.rule.state_kinds().partition(|kind| storage.is_per_row(*kind));
    if per_row.is_empty() {
        module.file("fn squared(g: Quad) -> Quad { return g * g; }\n");
    } else {
        let wgsl = if writes { shader!("rows/row_v") } else { shader!("rows/row_v_alone") };
        module.template(wgsl, writes, &[("ACCESS", access.mode())]);
    }
    let by_elements = rows.is_some_and(|rows| rows.partial) && storage.by_elements();
    let keeps = storage.in_blocks() || !writes;
    for (i, kind) in kinds.iter().enumerate() {
        let template = match storage.state {
            StateDtype::F32 if by_elements => shader!("access/elements_f32"),
            StateDtype::F32 => shader!("access/state_f32"),
            StateDtype::Bf16 => shader!("access/state_bf16"),
            StateDtype::Block8 => shader!("access/state_block8"),
        };
        let code = if kind.code() == SIGNED { "SIGNED" } else { "UNSIGNED" };
        let ordinal = format!("{i}u");
        let stream = format!("{}u", i + 1);
        let placeholders = [
            ("NAME", kind.name()),
            ("ACCESS", access.mode()),
            ("STREAM", &stream),
            ("ORDINAL", &ordinal),
            ("CODE", code),
        ];
        module.template(template, writes, &placeholders);
        if keeps {
            module.template(shader!("access/keep"), true, &placeholders);
        }
    }
    for kind in storage.state_kinds() {
        module.bind(kind.name(), Binding::State(kind));
    }
    if keeps {
        module.file(shader!("access/kept"));
    }
    if storage.is_narrow() {
        module.file(shader!("num/half"));
    }
    if storage.in_blocks() {
        blocks(module, &kinds, writes, rows.is_some());
    }
    if writes && storage.is_narrow() {
        module.flag("PARAM_STOCHASTIC", storage.rounding == Rounding::Stochastic);
        module.flag("STATE_STOCHASTIC", storage.state_rounding == Rounding::Stochastic);
        module.flag("STRADDLES", shape.edges || rows.is_some_and(|rows| rows.partial));
        module.file(shader!("num/noise"));
    }
}

/// Adds the 8-bit codes, and functions that call the corresponding functions of each state tensor.
pub(crate) fn blocks(module: &mut Module, kinds: &[StateKind], writes: bool, rows: bool) {
    module.constant("STATE_TENSORS", kinds.len() as u64);
    module.file(shader!("num/block8"));
    module.file(if rows { shader!("rows/row_blocks") } else { shader!("update/blocks") });
    // These functions call those of each state tensor.
    let mut each = |function: &str, parameters: &str, arguments: &str| {
        let call = |kind: &StateKind| format!("    {function}_NAME({arguments});\n").replace("NAME", kind.name());
        let calls: String = kinds.iter().map(call).collect();
        let _ = writeln!(module.files, "\nfn {function}_state({parameters}) {{\n{calls}}}");
    };
    each("begin", "place: Place", "place");
    if writes {
        each("size", "state: Kept, mask: Mask", "state.NAME, mask");
        each("settle", "block: u32", "block");
        each("end", "place: Place", "place");
        each("encode", "place: Place, state: Kept", "place, state.NAME");
        module.constant("BLOCKS", if rows { UPDATE_SLOTS.into() } else { TILES_A_WORKGROUP });
        module.file(shader!("update/block_scales"));
    }
}
