//! Checks that all composed modules are valid, and that their layouts and constants agree with the host.

use naga::valid::{Capabilities, ValidationFlags, Validator};
use naga::{Module, TypeInner};

use super::*;
use crate::config::loss_scale::ScaleBytes;
use crate::config::precision::{Precision, StateDtype};
use crate::config::rows::{ActiveKind, RowKind};
use crate::config::rule::{Rescale, Rule};
use crate::gpu::gather::MoveUniform;
use crate::gpu::rows::{Listed, RowsUniform};
use crate::gpu::uniforms::RegionUniform;
use crate::num::quad::LINE;
use crate::plan::region::INSIGHT_QUADS;
use crate::plan::region::{Tile, UPDATE_QUADS, UPDATE_TILE};
use crate::plan::storage::RowState;
use crate::report::records::{BINS, Finding, Measured, Record, RecordRange, Squares};
use crate::tick::clock::{Clock, ClockHead};
use crate::tick::control::Control;
use crate::tick::curves::Curve;
use crate::tick::partial::{Partial, UnitNorm};
use crate::tick::powers::Powers;
use crate::tick::scalars::Scalars;
use crate::tick::settings::{Laws, Settings};

impl Shape {
    fn all() -> impl Iterator<Item = Self> {
        let bit = |bits: u32, i: u32| bits >> i & 1 == 1;
        let alone = (0..16).map(move |bits| Self {
            unaligned: bit(bits, 0),
            table: bit(bits, 1),
            edges: bit(bits, 2),
            shifted: bit(bits, 3),
            ..Self::PLAIN
        });
        let batched = |shape: Self| (shape.shifted && !shape.table).then_some(Self { regions: 3, ..shape });
        alone.clone().chain(alone.filter_map(batched))
    }
}

impl Kernel {
    /// All kernels that can be built, with one or three regions in a dispatch.
    fn all() -> impl Iterator<Item = Kernel> {
        let scales = [Scale::None, Scale::Own, Scale::Shared];
        // Each rule alone, and all of them.
        let laws = Rule::ALL.iter().map(|rule| Laws::of([*rule].into_iter()));
        let laws = laws.chain([Laws::of(Rule::ALL.iter().copied())]);
        let ticks = laws.flat_map(move |laws| {
            (0..8).flat_map(move |bits| {
                let [scheduled, units, norm] = [0, 1, 2].map(|i| bits >> i & 1 == 1);
                scales.map(|scale| Kernel::Tick { scheduled, scale, units, norm, laws })
            })
        });
        let grads = [Dtype::F32, Dtype::F16, Dtype::Bf16, Dtype::I32];
        let norms = Shape::all().flat_map(move |shape| grads.map(|grad| Kernel::Norm { shape, grad }));
        let norms = norms.chain(RowKind::all().flat_map(move |rows| {
            grads.into_iter().flat_map(move |grad| Shape::of_rows(rows).map(move |shape| Kernel::Norm { shape, grad }))
        }));
        ticks
            .chain([Kernel::UnitNorm, Kernel::InsightFinish, Kernel::MeasureList])
            .chain([false, true].map(|evaluates| Kernel::ChangeMode { evaluates }))
            .chain(Rescale::ALL.map(|rescale| Kernel::RescaleFinish { rescale }))
            .chain([false, true].into_iter().flat_map(|wide| [Kernel::GatherRows { wide }, Kernel::ZeroRows { wide }]))
            .chain(norms)
            .chain(Storage::all().flat_map(Self::of))
    }

    /// The kernels that update or measure tensors of a storage.
    fn of(storage: Storage) -> impl Iterator<Item = Kernel> {
        let updates = Shape::all().flat_map(move |shape| {
            [Grad::Read, Grad::Shared, Grad::Zero]
                .into_iter()
                .flat_map(move |grad| [false, true].map(|limits| Kernel::Update { storage, shape, grad, limits }))
        });
        let rounded = storage != storage.to_nearest();
        let insights = [(false, false), (false, true), (true, false), (true, true)]
            .map(|(unaligned, limits)| Kernel::Insight { storage, unaligned, limits, rows: None });
        let rescales = [(false, false), (false, true), (true, false), (true, true)]
            .map(|(unaligned, limits)| Kernel::Rescale { storage, unaligned, limits });
        let rescales = rescales.into_iter().filter(move |_| storage.rule.rescale().is_some() && !rounded);
        let rows = Self::of_rows(storage);
        let changes = Shape::all().map(move |shape| Kernel::ChangeParam { storage, shape });
        let changes = changes.filter(move |_| storage.rule == Rule::ScheduleFree && !rounded);
        updates.chain(changes).chain(rescales).chain(insights.into_iter().filter(move |_| !rounded)).chain(rows)
    }
}

impl RowKind {
    fn all() -> impl Iterator<Item = Self> {
        let active = [ActiveKind::All, ActiveKind::Mask, ActiveKind::Bits, ActiveKind::First, ActiveKind::List];
        active.into_iter().flat_map(|active| {
            (0..8).map(move |bits: u32| Self {
                row_lr: bits & 1 == 1,
                active,
                compact: bits & 2 == 2,
                partial: bits & 4 == 4,
            })
        })
    }
}

impl Shape {
    fn of_rows(rows: RowKind) -> impl Iterator<Item = Self> {
        let RowKind { row_lr, active, compact, partial } = rows;
        let nothing_of_their_own = active == ActiveKind::All && !row_lr && !compact && !partial;
        // Partial quads are loaded element by element.
        let unaligned = [false, true].into_iter().filter(move |unaligned| *unaligned || !rows.partial);
        let apart = unaligned.map(move |unaligned| Self { unaligned, rows: Some(rows), ..Self::PLAIN });
        let joins =
            move |shape: Self| (nothing_of_their_own && !shape.unaligned).then_some(Self { joined: true, ..shape });
        apart.clone().chain(apart.filter_map(joins))
    }
}

impl Kernel {
    /// The kernels that update rows of a storage.
    fn of_rows(storage: Storage) -> impl Iterator<Item = Kernel> {
        let states = [(false, false), (true, false), (false, true), (true, true)];
        let states = states.into_iter().filter(move |(v, _)| !v || storage.rule.averages_squares());
        states.flat_map(move |(v, steps)| {
            let mut storage = Storage { rows: RowState { v, steps }, ..storage };
            if storage.rule.state_kinds().all(|kind| storage.is_per_row(kind)) {
                storage.state = StateDtype::F32;
            }
            // The parts of a row's kernel do not depend on each other: a third of the combinations has them all.
            let shapes = RowKind::all().flat_map(Shape::of_rows).enumerate().skip(storage.rule as usize % 3).step_by(3);
            shapes.map(move |(i, shape)| {
                let grad = [Grad::Read, Grad::Shared, Grad::Zero][i / 3 % 3];
                let limits = i % 2 == 1;
                let shape = Shape { joined: shape.joined && !storage.shares_in_rows(), ..shape };
                if i % 6 == 5 {
                    let storage = storage.to_nearest();
                    return Kernel::Insight { storage, unaligned: shape.unaligned, limits, rows: shape.rows };
                }
                Kernel::Update { storage, shape, grad, limits }
            })
        })
    }
}

fn parsed(kernel: Kernel) -> Module {
    naga::front::wgsl::parse_str(&kernel.wgsl()).unwrap_or_else(|e| panic!("{kernel:?}: {e}"))
}

/// Validates a kernel without any capability, as on the least capable WebGPU device.
fn validate(kernel: Kernel) {
    let module = parsed(kernel);
    let mut validator = Validator::new(ValidationFlags::all(), Capabilities::empty());
    validator.validate(&module).unwrap_or_else(|e| panic!("{kernel:?}: {e:?}"));
    let entry = module.entry_points.iter().find(|e| e.name == kernel.entry_point());
    assert_eq!(entry.map(|e| e.workgroup_size[0]), Some(kernel.workgroup() as u32), "{kernel:?}");
}

/// Validates a sample: each storage that is not all f32 gets only every 29th of its kernels.
#[test]
fn kernels_are_valid_without_any_feature() {
    let plain = |kernel: &Kernel| match kernel {
        Kernel::Update { storage, .. }
        | Kernel::ChangeParam { storage, .. }
        | Kernel::Rescale { storage, .. }
        | Kernel::Insight { storage, .. } => !storage.is_narrow(),
        _ => true,
    };
    Kernel::all().filter(plain).for_each(validate);
    for (i, storage) in Storage::all().enumerate() {
        Kernel::of(storage).skip(i % 29).step_by(29).for_each(validate);
    }
}

#[test]
#[ignore = "ten minutes; run with `cargo test --release --lib every_kernel -- --ignored`"]
fn every_kernel_is_valid_without_any_feature() {
    use rayon::prelude::*;
    let all: Vec<Kernel> = Kernel::all().collect();
    println!("{} kernels", all.len());
    all.into_par_iter().for_each(validate);
}

#[test]
fn eight_storage_buffers_are_enough() {
    let plain = |kernel: &Kernel| !matches!(kernel, Kernel::Update { storage, .. } | Kernel::ChangeParam { storage, .. } if storage.master != crate::precision::Master::None);
    let measures = |kernel: &Kernel| matches!(kernel, Kernel::Insight { .. } | Kernel::Rescale { .. });
    // A batch has as many regions as the limit allows.
    let alone = |kernel: &Kernel| match kernel {
        Kernel::Norm { shape, .. } | Kernel::Update { shape, .. } | Kernel::ChangeParam { shape, .. } => {
            shape.regions == 1 && shape.rows.is_none()
        }
        Kernel::Insight { rows, .. } => rows.is_none(),
        _ => true,
    };
    assert_eq!(Kernel::all().filter(alone).map(Kernel::storage_buffers).max(), Some(8));
    let most =
        Kernel::all().filter(alone).filter(plain).filter(|kernel| !measures(kernel)).map(Kernel::storage_buffers).max();
    assert_eq!(most, Some(7), "one is left for Metal, but with masters and probes");
    let simple = |kernel: &Kernel| {
        matches!(kernel, Kernel::Update { storage, shape, .. }
        if storage.rule == Rule::Adam && storage.master == crate::precision::Master::None && shape.rows.is_some())
    };
    assert_eq!(
        Kernel::all().filter(simple).map(Kernel::storage_buffers).max(),
        Some(8),
        "Adam with all that rows can have"
    );
}

#[test]
fn the_workgroup_storage_is_that_of_the_module() {
    for kernel in Kernel::all().step_by(997).chain(Kernel::all().take(5)) {
        let module = parsed(kernel);
        let shared = module.global_variables.iter().filter(|(_, v)| v.space == naga::AddressSpace::WorkGroup);
        let bytes = shared.map(|(_, v)| u64::from(module.types[v.ty].inner.size(module.to_ctx()))).sum::<u64>();
        assert_eq!(kernel.workgroup_storage(), bytes, "{kernel:?}");
    }
}

/// The name and offset of each member of a WGSL struct, and the size that the Rust struct must have.
fn layout(module: &Module, name: &str) -> (Vec<(String, usize)>, usize) {
    let mut types = module.types.iter().filter(|(_, t)| t.name.as_deref() == Some(name));
    let Some((_, ty)) = types.next() else { panic!("no struct {name}") };
    let TypeInner::Struct { members, span } = &ty.inner else { panic!("{name} is no struct") };
    let members = members.iter().map(|m| (m.name.clone().unwrap_or_default(), m.offset as usize));
    (members.collect(), *span as usize)
}

/// Compares a mirrored struct with the shader's, field by field, but for padding.
fn same_layout(kernel: Kernel, name: &str, fields: &[(&str, &str, usize)], size: usize) {
    let fields: Vec<(&str, usize)> = fields.iter().map(|(name, _, offset)| (*name, *offset)).collect();
    let fields = &fields[..];
    let (members, span) = layout(&parsed(kernel), name);
    let members: Vec<(&str, usize)> = members.iter().map(|(name, offset)| (name.as_str(), *offset)).collect();
    let named = |fields: &[(&str, usize)]| -> Vec<(String, usize)> {
        let fields = fields.iter().filter(|(name, _)| !name.starts_with("pad"));
        fields.map(|(name, offset)| ((*name).to_owned(), *offset)).collect()
    };
    if name == "Clocks" {
        // The array of clocks follows the head.
        let (last, head) = members.split_last().unwrap();
        assert_eq!((named(head), *last), (named(fields), ("clocks", size)));
        return;
    }
    assert_eq!((named(&members), span), (named(fields), size), "{name}");
}

macro_rules! same_layout {
    ($kernel:expr, $rust:ty) => {
        same_layout!($kernel, $rust, stringify!($rust))
    };
    ($kernel:expr, $rust:ty, $wgsl:expr) => {
        same_layout($kernel, $wgsl, <$rust>::FIELDS, size_of::<$rust>())
    };
}

#[test]
fn structs_are_laid_out_as_in_wgsl() {
    let update = Kernel::all().find(|k| matches!(k, Kernel::Update { .. })).unwrap();
    same_layout!(update, RegionUniform, "Region");
    same_layout!(update, Tile);
    same_layout!(update, Scalars);
    let laws = Laws::of(Rule::ALL.iter().copied());
    let tick = Kernel::Tick { scheduled: true, scale: Scale::Own, units: true, norm: true, laws };
    same_layout!(tick, Control);
    same_layout!(tick, ScaleBytes, "LossScale");
    same_layout!(tick, UnitNorm);
    same_layout!(tick, Settings);
    same_layout!(tick, Curve);
    same_layout!(tick, Partial);
    same_layout!(tick, Powers);
    same_layout!(tick, Clock);
    same_layout!(tick, ClockHead, "Clocks");
    assert_eq!(layout(&parsed(tick), "ScalarSlot").1 as u64, UNIFORM_STRIDE);
    let insight = Kernel::all().find(|k| matches!(k, Kernel::Insight { .. })).unwrap();
    same_layout!(insight, Squares);
    same_layout!(insight, Measured);
    same_layout!(insight, Record);
    let rescale = Kernel::all().find(|k| matches!(k, Kernel::Rescale { .. })).unwrap();
    same_layout!(rescale, Sums, "Measured");
    same_layout!(Kernel::InsightFinish, RecordRange);
    same_layout!(Kernel::InsightFinish, Finding);
    same_layout!(Kernel::MeasureList, RowsUniform, "Rows");
    same_layout!(Kernel::MeasureList, Listed);
    same_layout!(Kernel::GatherRows { wide: true }, MoveUniform, "Move");
    for (kernel, constant) in [
        (update, format!("const LINE: u32 = {LINE}u;")),
        (update, format!("const OWN_QUADS: u32 = {UPDATE_QUADS}u;")),
        (update, format!("const TILE_QUADS: u32 = {UPDATE_TILE}u;")),
        (insight, format!("const BINS: u32 = {BINS}u;")),
        (rescale, format!("const QUADS: u32 = {INSIGHT_QUADS}u;")),
        (insight, format!("const QUADS: u32 = {INSIGHT_QUADS}u;")),
    ] {
        assert!(kernel.wgsl().contains(&constant), "{constant}");
    }
}

/// The kernels in `shaders/composed/`: AdamW with one tensor and one group, and every option at its default unless the
/// name says otherwise.
fn snapshots() -> Vec<(&'static str, Kernel)> {
    let plain = Shape::PLAIN;
    let update = |dtype, state, shape| {
        let precision = Precision { state, ..Precision::default() };
        let storage = Storage::new("w", Rule::Adam, (dtype, dtype), 1.0, 1 << 20, &precision, None).unwrap();
        Kernel::Update { storage, shape, grad: Grad::Read, limits: false }
    };
    let rows = |kind: RowKind, state: RowState| {
        let storage =
            Storage::new("w", Rule::Adam, (Dtype::F32, Dtype::F32), 1.0, 1 << 20, &Precision::default(), None).unwrap();
        let joined = kind.active == ActiveKind::All;
        let (storage, shape) = (Storage { rows: state, ..storage }, Shape { rows: Some(kind), joined, ..plain });
        Kernel::Update { storage, shape, grad: Grad::Read, limits: false }
    };
    let all = RowKind { row_lr: false, active: ActiveKind::All, compact: false, partial: false };
    let list = RowKind { active: ActiveKind::List, ..all };
    vec![
        ("adamw_rows", rows(all, RowState::default())),
        ("adamw_rows_mask", rows(RowKind { active: ActiveKind::Mask, ..all }, RowState::default())),
        ("adamw_rows_list", rows(list, RowState { v: true, steps: true })),
        ("norm_rows", Kernel::Norm { shape: Shape { rows: Some(list), ..plain }, grad: Dtype::F32 }),
        ("adamw_f32", update(Dtype::F32, StateDtype::F32, plain)),
        ("adamw_f32_table", update(Dtype::F32, StateDtype::F32, Shape { table: true, ..plain })),
        ("adamw_bf16_state", update(Dtype::F32, StateDtype::Bf16, plain)),
        ("adamw_block8", update(Dtype::F32, StateDtype::Block8, plain)),
        ("adamw_bf16_all", update(Dtype::Bf16, StateDtype::Bf16, plain)),
        ("adamw_bf16_block8", update(Dtype::Bf16, StateDtype::Block8, plain)),
        ("norm_f32", Kernel::Norm { shape: plain, grad: Dtype::F32 }),
        (
            "tick",
            Kernel::Tick {
                scheduled: false,
                scale: Scale::None,
                units: false,
                norm: true,
                laws: Laws::of([Rule::Adam].into_iter()),
            },
        ),
    ]
}

#[test]
fn the_composed_modules_are_checked_in() {
    let rewrite = std::env::var_os("REWRITE_COMPOSED").is_some();
    for (name, kernel) in snapshots() {
        let path = format!("{}/shaders/composed/{name}.wgsl", env!("CARGO_MANIFEST_DIR"));
        let wgsl = format!(
            "// A module as the host composes it from the files of shaders/, for reading. Rewritten by\n\
             // `REWRITE_COMPOSED=1 cargo test --lib composed`.\n\n{}",
            kernel.wgsl()
        );
        if rewrite {
            std::fs::write(&path, &wgsl).unwrap();
        }
        let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            checked_in == wgsl,
            "{path} is out of date: rewrite it with REWRITE_COMPOSED=1 cargo test --lib composed"
        );
        naga::front::wgsl::parse_str(&checked_in).unwrap();
    }
}

/// A case that no rule names would be left out of every module.
#[test]
fn every_case_of_tick_belongs_to_a_rule() {
    let all = Laws::of(Rule::ALL.iter().copied());
    let cases =
        include_str!("../../../shaders/tick/tick.wgsl").lines().filter_map(|line| line.strip_prefix("        case "));
    let names: Vec<&str> = cases.flat_map(|names| names.trim_end_matches(": {").split(", ")).collect();
    assert_eq!(names.len(), 12);
    assert!(names.iter().all(|name| all.has(name)), "{names:?}");
    let plain = Kernel::Tick {
        scheduled: false,
        scale: Scale::None,
        units: false,
        norm: false,
        laws: Laws::of([Rule::AdaMax].into_iter()),
    };
    assert!(!plain.wgsl().contains("        case "));
}
