//! Composes the WGSL of a kernel: a head of constants and flags, followed by the files of `shaders/` that the kernel
//! needs.
//!
//! Some files are templates for one buffer. Their placeholders are `NAME`, the buffer's name; `ACCESS`, its access
//! mode; `UNIT`, the type of its elements; `INDEX`, the place of a quad in it; `DTYPE`, a 16-bit float type; and for state tensors `ORDINAL`, `STREAM`
//! and `CODE`. The part after the line `// --- stores ---` is omitted if the kernel does not write the buffer. The
//! composed modules in `shaders/composed/` show the result.

use std::fmt::Write;

use crate::config::dtype::Dtype;
use crate::config::precision::{Master, Rounding, StateDtype};
use crate::config::rows::{ActiveKind, RowKind};
use crate::config::rule::StateKind;
use crate::gpu::binding::{Access, Binding};
use crate::gpu::kernel::{Grad, Kernel, Scale, Shape};
use crate::num::block8::SIGNED;
use crate::num::quad::LANES;
use crate::plan::region::{BLOCK_QUADS, NORM_QUADS, TILES_A_WORKGROUP};
use crate::plan::rows::UPDATE_SLOTS;
use crate::plan::storage::Storage;
use crate::tick::scalars::{SCALAR_PADDING, Scalars};
use crate::tick::settings::Laws;

/// The text without comments, except for those that begin with `// ---`, and its length: a page downloads the sources.
#[cfg(target_arch = "wasm32")]
const fn without_comments<const LEN: usize>(source: &str) -> ([u8; LEN], usize) {
    let source = source.as_bytes();
    let mut kept = [b' '; LEN];
    let (mut at, mut len) = (0, 0);
    while at < source.len() {
        let comment = source[at] == b'/' && at + 3 < source.len() && source[at + 1] == b'/' && source[at + 3] != b'-';
        if comment {
            while at < source.len() && source[at] != b'\n' {
                at += 1;
            }
        } else {
            if len < LEN {
                kept[len] = source[at];
            }
            at += 1;
            len += 1;
        }
    }
    (kept, len)
}

macro_rules! shader {
    ($path:literal) => {{
        const SOURCE: &str =
            concat!("// --- ", $path, ".wgsl ---\n\n", include_str!(concat!("../../shaders/", $path, ".wgsl")));
        #[cfg(target_arch = "wasm32")]
        const SOURCE_IN_USE: &str = {
            const LEN: usize = without_comments::<0>(SOURCE).1;
            const KEPT: [u8; LEN] = without_comments(SOURCE).0;
            match std::str::from_utf8(&KEPT) {
                Ok(text) => text,
                Err(_) => panic!("a comment is cut within a character"),
            }
        };
        #[cfg(not(target_arch = "wasm32"))]
        const SOURCE_IN_USE: &str = SOURCE;
        SOURCE_IN_USE
    }};
}

const STORES: &str = "// --- stores ---\n\n";

/// A module under construction.
#[derive(Default)]
struct Module {
    head: String,
    files: String,
}

impl Module {
    fn constant(&mut self, name: &str, value: u64) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.head, "const {name}: u32 = {value}u;");
    }

    fn flag(&mut self, name: &str, value: bool) {
        let _ = writeln!(self.head, "const {name}: bool = {value};");
    }

    fn bind(&mut self, name: &str, binding: Binding) {
        self.constant(&format!("{name}_binding"), binding.number().into());
    }

    fn file(&mut self, wgsl: &str) {
        self.files += "\n";
        self.files += wgsl;
    }

    /// Adds a template, with its stores or without them.
    fn template(&mut self, wgsl: &str, stores: bool, placeholders: &[(&str, &str)]) {
        let (loads, rest) = wgsl.split_once(STORES).unwrap_or((wgsl, ""));
        let mut wgsl = if stores { format!("{loads}{rest}") } else { loads.trim_end().to_owned() + "\n" };
        for (placeholder, value) in placeholders {
            wgsl = wgsl.replace(placeholder, value);
        }
        self.file(&wgsl);
    }
}

impl Kernel {
    /// Returns the source of the module.
    pub fn wgsl(self) -> String {
        let mut module = Module::default();
        module.constant("WORKGROUP", self.workgroup());
        match self {
            Kernel::Norm { shape, grad } => norm(&mut module, shape, grad),
            Kernel::UnitNorm => unit_norm(&mut module),
            Kernel::MeasureList => measure_list(&mut module),
            Kernel::GatherRows { wide } => move_rows(&mut module, shader!("rows/gather_rows"), wide),
            Kernel::ZeroRows { wide } => {
                module.bind("list_count", Binding::ListCount);
                move_rows(&mut module, shader!("rows/zero_rows"), wide);
            }
            Kernel::Tick { scheduled, scale, units, norm, laws } => {
                module.flag("HAS_NORM", norm);
                tick(&mut module, scheduled, scale, units, laws);
            }
            Kernel::Update { storage, shape, grad, limits } => {
                module.flag("LIMITS", limits);
                update(&mut module, &storage, shape, grad);
            }
            Kernel::Insight { storage, unaligned, limits, rows } => {
                module.flag("LIMITS", limits);
                insight(&mut module, &storage, unaligned, rows);
            }
            Kernel::InsightFinish => insight_finish(&mut module),
        }
        module.head + &module.files
    }
}

fn norm(module: &mut Module, shape: Shape, grad: Dtype) {
    module.constant("QUADS", NORM_QUADS);
    module.flag("EDGES", shape.edges);
    module.bind("partials", Binding::Partials);
    module.file(if shape.rows.is_some() { shader!("norm/norm_rows") } else { shader!("norm/norm") });
    module.file(shader!("norm/squares"));
    module.file(shader!("norm/partial"));
    views(module, shape, &View { name: "grad", binding: Binding::Grad, dtype: grad, access: Access::Read });
    if grad != Dtype::F32 {
        module.file(shader!("num/half"));
    }
    match shape.rows {
        Some(kind) => rows(module, kind, shape.unaligned),
        None => tiles(module, shape.table),
    }
    regions(module, shape.regions);
}

fn move_rows(module: &mut Module, wgsl: &str, wide: bool) {
    let bindings = [("move", Binding::Move), ("source", Binding::Source), ("from", Binding::From), ("to", Binding::To)];
    bindings.into_iter().for_each(|(name, binding)| module.bind(name, binding));
    module.template(wgsl, true, &[("UNIT", if wide { "vec4<u32>" } else { "u32" })]);
    module.file(shader!("rows/move"));
}

fn measure_list(module: &mut Module) {
    module.bind("list_count", Binding::ListCount);
    module.bind("listed", Binding::Listed);
    module.bind("rows", Binding::Rows);
    module.file(shader!("rows/measure_list"));
    module.file(shader!("rows/listed"));
    module.file(shader!("rows/rows_uniform"));
}

fn unit_norm(module: &mut Module) {
    for (name, binding) in
        [("partials", Binding::Partials), ("units", Binding::Units), ("unit_norms", Binding::UnitNorms)]
    {
        module.bind(name, binding);
    }
    module.file(shader!("norm/unit_norm"));
    module.file(shader!("norm/unit_norms"));
    module.file(shader!("norm/partial"));
}

/// Leaves out the cases of the switch in `tick` that are not in use. A case begins with a line of the names of its laws,
/// and ends with a brace at the same depth.
fn with_cases(wgsl: &str, laws: Laws) -> String {
    let mut used = true;
    let mut kept = String::new();
    for line in wgsl.split_inclusive('\n') {
        if let Some(names) = line.strip_prefix("        case ") {
            used = names.split([',', ':']).any(|name| laws.has(name.trim()));
        }
        if used {
            kept += line;
        }
        used |= line == "        }\n";
    }
    kept
}

fn tick(module: &mut Module, scheduled: bool, scale: Scale, units: bool, laws: Laws) {
    for (name, binding) in [
        ("control", Binding::Control),
        ("settings", Binding::Settings),
        ("partials", Binding::Partials),
        ("clock", Binding::Clock),
    ] {
        module.bind(name, binding);
    }
    scalars(module);
    module.flag("HAS_NADAM", laws.has("NADAM"));
    module.file(&with_cases(shader!("tick/tick"), laws));
    module.file(shader!("norm/global_norm"));
    module.file(shader!("norm/partial"));
    module.file(shader!("num/fixed"));
    if scheduled {
        module.bind("curves", Binding::Curves);
        module.file(shader!("tick/schedule"));
    } else {
        module.file("fn factor(s: Settings, t: u32) -> f32 { return 1.0; }\n");
    }
    if units {
        module.bind("unit_norms", Binding::UnitNorms);
        module.file(shader!("tick/unit_clip"));
        module.file(shader!("norm/unit_norms"));
    } else {
        module.file(
            "fn unit_coef(s: Settings) -> f32 { return 1.0; }\n\nfn clipped_norm(norm: f32) -> f32 { return norm; }\n",
        );
    }
    if scale != Scale::None {
        module.bind("loss_scale", Binding::LossScale);
        module.flag("SHARED", scale == Scale::Shared);
        module.file(shader!("tick/loss_scale"));
    } else {
        module.file("fn inverse_scale() -> f32 { return 1.0; }\n\nfn adapt_scale(skipped: bool) {}\n");
    }
}

fn update(module: &mut Module, storage: &Storage, shape: Shape, grad: Grad) {
    module.flag("EDGES", shape.edges);
    module.file(storage.rule.wgsl());
    module.file(match (shape.rows, storage.in_blocks()) {
        (Some(_), _) if shape.joined => shader!("update/update_joined"),
        (Some(_), _) if storage.has_rows() => shader!("update/update_rows_shared"),
        (Some(_), _) => shader!("update/update_rows"),
        (None, true) => shader!("update/update_blocks"),
        (None, false) => shader!("update/update"),
    });
    module.file(shader!("update/gradient"));
    let access = if grad == Grad::Read { Access::Read } else { Access::Write };
    views(module, shape, &View { name: "grad", binding: Binding::Grad, dtype: storage.grad, access });
    let zero = if storage.grad.is_half() { "Bits(0u)" } else { "Quad(0.0)" };
    let body =
        if grad == Grad::Zero { format!(" store_grad(place.quad, {zero}, place.mask); ") } else { String::new() };
    module.file(&format!("fn zero_grad(place: Place) {{{body}}}\n"));
    views(module, shape, &View { name: "param", binding: Binding::Param, dtype: storage.param, access: Access::Write });
    state(module, storage, Access::Write, shape.rows);
    clocks(module, shape.table);
    match shape.rows {
        Some(_) if shape.joined => joined_rows(module),
        Some(kind) => {
            rows(module, kind, shape.unaligned);
            rows_of_update(module, storage, kind);
        }
        None => {
            module.file(shader!("region/tiles"));
            tiles(module, shape.table);
        }
    }
    regions(module, shape.regions);
}

/// Adds what the update of joined rows needs to know.
fn joined_rows(module: &mut Module) {
    module.bind("rows", Binding::Rows);
    module.bind("tables", Binding::RowTables);
    module.constant("SLOTS", UPDATE_SLOTS.into());
    module.file(shader!("rows/rows_uniform"));
}

/// Adds what finds the active rows and their gradients.
fn rows(module: &mut Module, kind: RowKind, unaligned: bool) {
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
fn places_of_rows(module: &mut Module, storage: &Storage, kind: RowKind) {
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
fn rows_of_update(module: &mut Module, storage: &Storage, kind: RowKind) {
    module.constant("SLOTS", UPDATE_SLOTS.into());
    places_of_rows(module, storage, kind);
    if !storage.has_rows() {
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
            "struct Kept { none: u32 }\n\nvar<private> kept: Kept;\n\nfn clear_scales(index: u32) {}\n\n\
            fn note_state(place: Place, block: u32, state: Kept) {}\n\n\
            fn encode_state(place: Place, block: u32, state: Kept) {}\n",
        );
    }
}

fn insight(module: &mut Module, storage: &Storage, unaligned: bool, kind: Option<RowKind>) {
    let shape = Shape { unaligned, table: true, edges: false, shifted: true, regions: 1, rows: kind, joined: false };
    module.bind("records", Binding::Records);
    module.file(shader!("insight/insight"));
    module.file(if kind.is_some() { shader!("insight/of_rows") } else { shader!("insight/of_tiles") });
    module.file(shader!("insight/measure"));
    module.file(shader!("insight/records"));
    if storage.rule.has_snr() {
        module.file(shader!("insight/snr"));
    } else {
        module.file("fn measure_snr(s: Scalars, state: Kept, mask: Mask) -> f32 { return 0.0; }\n");
    }
    module.file(storage.rule.wgsl());
    module.file(shader!("update/gradient"));
    views(module, shape, &View { name: "grad", binding: Binding::Grad, dtype: storage.grad, access: Access::Read });
    views(module, shape, &View { name: "param", binding: Binding::Param, dtype: storage.param, access: Access::Read });
    state(module, storage, Access::Read, kind);
    clocks(module, kind.is_none());
    if let Some(kind) = kind {
        rows(module, kind, unaligned);
        places_of_rows(module, storage, kind);
        if !storage.rows.v {
            module.file("fn settle_moments_alone(s: Scalars) {}\n");
        }
        if storage.rows.steps {
            module.file(shader!("rows/row_steps_alone"));
            module.file(shader!("rows/corrections"));
            module.file(shader!("num/fixed"));
        } else {
            module.file("fn scalars_of_row(s: Scalars) -> Scalars { return s; }\n");
        }
    }
    regions(module, 1);
}

fn insight_finish(module: &mut Module) {
    for (name, binding) in [("ranges", Binding::Ranges), ("records", Binding::Records), ("findings", Binding::Findings)]
    {
        module.bind(name, binding);
    }
    module.file(shader!("insight/insight_finish"));
    module.file(shader!("insight/records"));
    clocks(module, true);
    regions(module, 1);
}

fn scalars(module: &mut Module) {
    module.bind("scalars", Binding::Scalars);
    module.constant("SCALAR_PADDING", SCALAR_PADDING as u64);
    module.file(shader!("tick/scalars"));
}

fn clocks(module: &mut Module, several: bool) {
    scalars(module);
    if !several {
        return module.file(shader!("region/one_clock"));
    }
    module.file(shader!("region/many_clocks"));
    let mut fields = String::new();
    for (i, (name, dtype)) in Scalars::FIELDS.iter().map(|(name, dtype, _)| (name, dtype)).enumerate() {
        let (vector, lane) = (i / 4, ["x", "y", "z", "w"][i % 4]);
        if i % 4 == 0 {
            let _ = writeln!(fields, "    let q{vector} = scalar_slots[first + {vector}u];");
        }
        let _ = writeln!(fields, "    s.{name} = bitcast<{dtype}>(q{vector}.{lane});");
    }
    module.file(&format!(
        "fn scalars(clock: u32) -> Scalars {{\n    let first = clock * SLOT_QUADS;\n    var s: Scalars;\n{fields}    return s;\n}}\n"
    ));
}

/// Adds the regions of a dispatch.
fn regions(module: &mut Module, count: u32) {
    module.bind("region", Binding::Region);
    if count == 1 {
        module.file(shader!("region/one_region"));
    } else {
        module.constant("REGIONS", count.into());
        module.file(shader!("region/many_regions"));
    }
    module.file(shader!("region/region"));
    module.file(shader!("num/quad"));
}

/// Adds the tiles of the workgroups.
fn tiles(module: &mut Module, table: bool) {
    if table {
        module.bind("tiles", Binding::Tiles);
        module.file(shader!("region/many_spans"));
    } else {
        module.file(shader!("region/one_span"));
    }
}

/// A caller's view: the params or the gradients.
struct View {
    name: &'static str,
    binding: fn(u32) -> Binding,
    dtype: Dtype,
    access: Access,
}

/// Adds the loads and stores of a view, for each region of the dispatch.
fn views(module: &mut Module, shape: Shape, view: &View) {
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
fn state(module: &mut Module, storage: &Storage, access: Access, rows: Option<RowKind>) {
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
        module.file(shader!("num/noise"));
    }
}

/// Adds the 8-bit codes, and functions that call the corresponding functions of each state tensor.
fn blocks(module: &mut Module, kinds: &[StateKind], writes: bool, rows: bool) {
    module.constant("STATE_TENSORS", kinds.len() as u64);
    module.file(shader!("num/block8"));
    module.file(if rows { shader!("rows/row_blocks") } else { shader!("update/blocks") });
    if !writes {
        return;
    }
    module.constant("BLOCKS", if rows { UPDATE_SLOTS.into() } else { TILES_A_WORKGROUP });
    module.file(shader!("update/block_scales"));
    for function in ["note", "encode"] {
        let calls: String = kinds.iter().map(|kind| kind.name()).fold(String::new(), |calls, name| {
            calls + &format!("    {function}_{name}(place, block, state.{name});\n")
        });
        module.file(&format!("fn {function}_state(place: Place, block: u32, state: Kept) {{\n{calls}}}\n"));
    }
}
