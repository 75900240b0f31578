//! Composes the WGSL of a kernel from the files of `shaders/`. The composed modules in `shaders/composed/` show the result.

use std::fmt::Write;

use crate::config::dtype::Dtype;
use crate::config::rows::RowKind;
use crate::config::rule::{Rescale, Rule};
use crate::gpu::binding::{Access, Binding};
use crate::gpu::compose_access::{View, state, views};
use crate::gpu::compose_rows::{joined_rows, measure_list, move_rows, places_of_rows, rows, rows_of_update};
use crate::gpu::kernel::{Grad, Kernel, Scale, Shape};
use crate::gpu::module::Module;
use crate::num::wgsl::shader;
use crate::plan::region::NORM_QUADS;
use crate::plan::storage::Storage;
use crate::tick::scalars::{SCALAR_PADDING, Scalars};
use crate::tick::settings::Laws;

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
            Kernel::Rescale { storage, unaligned, limits } => {
                module.flag("LIMITS", limits);
                rescale(&mut module, &storage, unaligned);
            }
            Kernel::RescaleFinish { rescale } => rescale_finish(&mut module, rescale),
            Kernel::ChangeMode { evaluates } => {
                module.flag("HAS_NORM", false);
                module.flag("TO_EVAL", evaluates);
                module.file(shader!("tick/change_mode"));
                tick(&mut module, false, Scale::None, false, Laws::of([Rule::ScheduleFree].into_iter()));
            }
            Kernel::ChangeParam { storage, shape } => {
                module.flag("LIMITS", false);
                update(&mut module, &storage, shape, Grad::Read, shader!("update/change_param"));
                begin(&mut module, &storage);
            }
            Kernel::Update { storage, shape, grad, limits } => {
                module.flag("LIMITS", limits);
                let template = match (shape.rows, storage.in_blocks()) {
                    (Some(_), _) if shape.joined => shader!("update/update_joined"),
                    (Some(_), _) if storage.shares_in_rows() => shader!("update/update_rows_shared"),
                    (Some(_), _) => shader!("update/update_rows"),
                    (None, true) => shader!("update/update_blocks"),
                    (None, false) => shader!("update/update"),
                };
                update(&mut module, &storage, shape, grad, template);
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
/// and ends with a brace that is indented as much.
fn with_cases(wgsl: &str, laws: Laws) -> String {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut used = true;
    let mut of_case = 0;
    let mut kept = String::new();
    for line in wgsl.split_inclusive('\n') {
        if let Some(names) = line.trim_start().strip_prefix("case ") {
            used = names.split([',', ':']).any(|name| laws.has(name.trim()));
            of_case = indent(line);
        }
        if used {
            kept += line;
        }
        used |= line.trim() == "}" && indent(line) == of_case;
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
    if laws.has("SCHEDULE_FREE") {
        module.file(shader!("tick/schedule_free"));
    } else {
        module.file("fn weighed(s: Settings, now: Powers, lr: f32) -> Powers { return now; }\n\nfn skip_evaluation() -> bool { return false; }\n");
    }
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

fn update(module: &mut Module, storage: &Storage, shape: Shape, grad: Grad, template: &str) {
    module.flag("EDGES", shape.edges);
    module.file(storage.rule.wgsl());
    module.file(template);
    module.file(shader!("update/gradient"));
    let access = if grad == Grad::Read { Access::Read } else { Access::Write };
    views(module, shape, &View { name: "grad", binding: Binding::Grad, dtype: storage.grad, access });
    let zero = if storage.grad.is_half() { "Bits(0u)" } else { "Quad(0.0)" };
    let body =
        if grad == Grad::Zero { format!(" store_grad(place.quad, {zero}, place.mask); ") } else { String::new() };
    module.file(&format!("fn zero_grad(place: Place) {{{body}}}\n"));
    views(module, shape, &View { name: "param", binding: Binding::Param, dtype: storage.param, access: Access::Write });
    state(module, storage, Access::Write, shape);
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

/// The shape of a kernel that looks at a region between `tick` and `update`.
fn looking(unaligned: bool, rows: Option<RowKind>) -> Shape {
    Shape { unaligned, table: true, shifted: true, rows, ..Shape::PLAIN }
}

/// Adds the rule, and the loads of what it reads. It keeps the state that it computes.
fn rule(module: &mut Module, storage: &Storage, shape: Shape) {
    module.file(storage.rule.wgsl());
    module.file(shader!("update/gradient"));
    views(module, shape, &View { name: "grad", binding: Binding::Grad, dtype: storage.grad, access: Access::Read });
    views(module, shape, &View { name: "param", binding: Binding::Param, dtype: storage.param, access: Access::Read });
    state(module, storage, Access::Read, shape);
    begin(module, storage);
    clocks(module, shape.rows.is_none());
}

/// Without 8-bit blocks, there is no scale to load before the state.
fn begin(module: &mut Module, storage: &Storage) {
    if !storage.in_blocks() {
        module.file("fn begin_state(place: Place) {}\n");
    }
}

fn rescale(module: &mut Module, storage: &Storage, unaligned: bool) {
    module.bind("sums", Binding::Sums);
    module.bind("tiles", Binding::Tiles);
    module.file("@group(0) @binding(sums_binding) var<storage, read_write> sums: array<Measured>;\n");
    module.file(shader!("rescale/rescale"));
    module.file(match storage.rule.rescale() {
        Some(Rescale::Lamb) => shader!("rescale/lamb"),
        Some(Rescale::Cautious) => shader!("rescale/cautious"),
        _ => shader!("rescale/stable"),
    });
    sums(module);
    rule(module, storage, looking(unaligned, None));
    regions(module, 1);
}

fn rescale_finish(module: &mut Module, rescale: Rescale) {
    module.bind("sums", Binding::Sums);
    module.bind("units", Binding::Units);
    module.constant("RESCALE", rescale as u64);
    module.file(shader!("rescale/rescale_finish"));
    sums(module);
    scalars(module);
    module.file(shader!("num/quad"));
}

fn sums(module: &mut Module) {
    module.file(shader!("rescale/sums"));
    module.file(shader!("insight/squares"));
    module.file(shader!("insight/tree"));
}

fn insight(module: &mut Module, storage: &Storage, unaligned: bool, kind: Option<RowKind>) {
    module.bind("records", Binding::Records);
    module.file(shader!("insight/insight"));
    module.file(if kind.is_some() { shader!("insight/of_rows") } else { shader!("insight/of_tiles") });
    module.file(shader!("insight/measure"));
    records(module);
    if storage.rule.has_snr() {
        module.file(shader!("insight/snr"));
    } else {
        module.file("fn measure_snr(s: Scalars, state: Kept, mask: Mask) -> f32 { return 0.0; }\n");
    }
    rule(module, storage, looking(unaligned, kind));
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
    records(module);
    clocks(module, true);
    regions(module, 1);
}

fn records(module: &mut Module) {
    module.file(shader!("insight/records"));
    module.file(shader!("insight/squares"));
    module.file(shader!("insight/tree"));
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
