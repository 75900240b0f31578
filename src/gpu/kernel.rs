//! Pipelines: WGSL from the files in `shaders/` under a short generated head, a pipeline for each combination in use.

use wgpu::{
    BindGroupLayout, BindGroupLayoutDescriptor, BindGroupLayoutEntry, BindingType, BufferBindingType, ComputePipeline,
    ComputePipelineDescriptor, Device, PipelineCompilationOptions, PipelineLayoutDescriptor, ShaderModuleDescriptor,
    ShaderSource, ShaderStages,
};

use crate::config::dtype::Dtype;
use crate::gpu::codegen::{Access, At, Bound, binding_of, state};
use crate::num::quad::WORKGROUP;
use crate::plan::region::{NORM_QUADS, UPDATE_WORKGROUP};
use crate::plan::storage::Storage;

/// Bytes from one uniform to the next: what every WebGPU device allows as an offset.
pub(crate) const UNIFORM_STRIDE: u64 = 256;

/// What becomes of the gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Grad {
    /// They are read.
    Read,
    /// They are read, and lie in the buffer of the params, so that both are bound read-write.
    Shared,
    /// They are read and zeroed.
    Zero,
}

/// Which kernel, and what is compiled into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kernel {
    Norm(Shape, Dtype),
    Tick {
        /// Whether any group has a schedule.
        scheduled: bool,
        /// Whether there is a loss scale.
        scaled: bool,
    },
    Update {
        storage: Storage,
        shape: Shape,
        grad: Grad,
        clip_value: bool,
        /// A gradient whose square overflows may come.
        squarable: bool,
    },
    /// The measuring of an update of the same fields.
    Insight {
        storage: Storage,
        shape: Shape,
        grad: Grad,
        clip_value: bool,
        squarable: bool,
    },
    InsightFinish,
}

/// How the elements of a region lie, and how many regions a dispatch has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Shape {
    /// Words are loaded and stored element by element.
    pub unaligned: bool,
    /// There are several spans, and a table says what each workgroup owns.
    pub table: bool,
    /// Some span begins or ends within a quad.
    pub edges: bool,
    /// The grad window's quads (elements, where unaligned) are not the param window's.
    pub shifted: bool,
    /// Of several none has a table.
    pub regions: u32,
}

#[cfg(test)]
impl Shape {
    fn all() -> impl Iterator<Item = Self> {
        let bit = |bits: u32, i: u32| bits >> i & 1 == 1;
        let alone = (0..16).map(move |bits| Self {
            unaligned: bit(bits, 0),
            table: bit(bits, 1),
            edges: bit(bits, 2),
            shifted: bit(bits, 3),
            regions: 1,
        });
        let batched = move |shape: Self| (shape.shifted && !shape.table).then_some(Self { regions: 3, ..shape });
        alone.clone().chain(alone.filter_map(batched))
    }
}

impl Kernel {
    /// Every combination that can be built.
    #[cfg(test)]
    pub fn all() -> impl Iterator<Item = Kernel> {
        let ticks = [(false, false), (false, true), (true, false), (true, true)];
        let ticks = ticks.map(|(scheduled, scaled)| Kernel::Tick { scheduled, scaled });
        let norms = Shape::all().flat_map(|shape| {
            [Dtype::F32, Dtype::F16, Dtype::Bf16, Dtype::I32].map(|stored| Kernel::Norm(shape, stored))
        });
        ticks.into_iter().chain([Kernel::InsightFinish]).chain(norms).chain(Storage::all().flat_map(Self::of))
    }

    /// Those that update or measure tensors of a storage.
    #[cfg(test)]
    pub fn of(storage: Storage) -> impl Iterator<Item = Kernel> {
        let grads = Shape::all().flat_map(|shape| [Grad::Read, Grad::Shared, Grad::Zero].map(|grad| (shape, grad)));
        let all = grads.flat_map(|(shape, grad)| (0..4).map(move |bits| (shape, grad, bits & 1 == 1, bits & 2 == 2)));
        all.flat_map(move |(shape, grad, clip_value, squarable)| {
            let update = Kernel::Update { storage, shape, grad, clip_value, squarable };
            let insight = Kernel::Insight { storage, shape, grad, clip_value, squarable };
            std::iter::once(update).chain((shape.table && !shape.edges).then_some(insight))
        })
    }

    pub fn entry_point(self) -> &'static str {
        match self {
            Kernel::Norm(..) => "norm",
            Kernel::Tick { .. } => "tick",
            Kernel::Update { .. } => "update",
            Kernel::Insight { .. } => "insight",
            Kernel::InsightFinish => "insight_finish",
        }
    }

    /// Invocations in a workgroup.
    fn workgroup(self) -> u64 {
        if let Kernel::Update { .. } = self { UPDATE_WORKGROUP } else { WORKGROUP }
    }

    /// The whole module.
    pub fn wgsl(self) -> String {
        let mut head = format!("const WORKGROUP: u32 = {}u;\n", self.workgroup());
        let mut parts = Vec::new();
        if let Kernel::Norm(shape, _) | Kernel::Update { shape, .. } | Kernel::Insight { shape, .. } = self {
            parts.push(include_str!("../../shaders/num/quad.wgsl"));
            parts.push(include_str!("../../shaders/region/region.wgsl"));
            let (one, many) = (
                include_str!("../../shaders/region/one_region.wgsl"),
                include_str!("../../shaders/region/many_regions.wgsl"),
            );
            parts.push(if shape.regions > 1 { many } else { one });
            if shape.regions > 1 {
                head += &format!("const REGIONS: u32 = {}u;\n", shape.regions);
            }
            let (one, many) = (
                include_str!("../../shaders/region/one_span.wgsl"),
                include_str!("../../shaders/region/many_spans.wgsl"),
            );
            parts.push(if shape.table { many } else { one });
        }
        match self {
            Kernel::Norm(shape, stored) => {
                head += &format!("const QUADS: u32 = {NORM_QUADS}u;\nconst EDGES: bool = {};\n", shape.edges);
                let (bound, at) = (Bound::Read, grad_at(shape));
                let grad = Access { name: "grad", binding: 2, bound, stored, at, edges: false };
                head += &grad.of_regions(shape.regions);
                if stored != Dtype::F32 {
                    parts.push(include_str!("../../shaders/num/half.wgsl"));
                }
                parts.extend([
                    include_str!("../../shaders/norm/partial.wgsl"),
                    include_str!("../../shaders/norm/norm.wgsl"),
                ]);
            }
            Kernel::Tick { scheduled, scaled } => {
                parts.extend([
                    include_str!("../../shaders/norm/partial.wgsl"),
                    include_str!("../../shaders/tick/scalars.wgsl"),
                    include_str!("../../shaders/num/fixed.wgsl"),
                    include_str!("../../shaders/tick/tick.wgsl"),
                ]);
                let (some, none) = (
                    include_str!("../../shaders/tick/schedule.wgsl"),
                    include_str!("../../shaders/tick/constant.wgsl"),
                );
                parts.push(if scheduled { some } else { none });
                let (some, none) = (
                    include_str!("../../shaders/tick/loss_scale.wgsl"),
                    include_str!("../../shaders/tick/no_loss_scale.wgsl"),
                );
                parts.push(if scaled { some } else { none });
            }
            Kernel::Update { storage, shape, grad, clip_value, squarable }
            | Kernel::Insight { storage, shape, grad, clip_value, squarable } => {
                for (name, value) in [("CLIP_VALUE", clip_value), ("SQUARABLE", squarable)] {
                    head += &format!("const {name}: bool = {value};\n");
                }
                let bound = if grad == Grad::Read { Bound::Read } else { Bound::Write };
                let Shape { edges, unaligned, regions, .. } = shape;
                let (stored, at) = (storage.grad, grad_at(shape));
                head += &Access { name: "grad", binding: 2, bound, stored, at, edges }.of_regions(regions);
                let zero = if stored.is_half() { "Bits(0u)" } else { "Quad(0.0)" };
                let leave = if grad == Grad::Zero { format!("store_grad(quad, {zero}, mask);") } else { String::new() };
                head += &format!("fn leave_grad(quad: u32, mask: Mask) {{ {leave} }}\n");
                let at = if unaligned { At::Element("4u*quad") } else { At::Quad("quad") };
                let (bound, stored) = (Bound::Write, storage.param);
                head += &Access { name: "param", binding: 1, bound, stored, at, edges }.of_regions(regions);
                head += &state(&storage);
                if storage.is_narrow() {
                    parts.push(include_str!("../../shaders/num/half.wgsl"));
                }
                if storage.in_blocks() {
                    parts.push(include_str!("../../shaders/num/block8.wgsl"));
                }
                if storage.has_noise() {
                    parts.push(include_str!("../../shaders/num/noise.wgsl"));
                }
                parts.push(storage.rule.wgsl());
                let (one, many) = (
                    include_str!("../../shaders/region/one_clock.wgsl"),
                    include_str!("../../shaders/region/many_clocks.wgsl"),
                );
                parts.push(if shape.table { many } else { one });
                parts.extend([
                    include_str!("../../shaders/tick/scalars.wgsl"),
                    include_str!("../../shaders/update/step.wgsl"),
                ]);
                parts.push(include_str!("../../shaders/region/tiles.wgsl"));
                if let Kernel::Update { .. } = self {
                    let (one, all) = (
                        include_str!("../../shaders/update/update.wgsl"),
                        include_str!("../../shaders/update/update_blocks.wgsl"),
                    );
                    parts.push(if storage.in_blocks() { all } else { one });
                } else {
                    let (some, none) = (
                        include_str!("../../shaders/insight/snr.wgsl"),
                        include_str!("../../shaders/insight/no_snr.wgsl"),
                    );
                    parts.push(include_str!("../../shaders/insight/records.wgsl"));
                    parts.push(if storage.rule.has_snr() { some } else { none });
                    parts.push(include_str!("../../shaders/insight/insight.wgsl"));
                }
            }
            Kernel::InsightFinish => parts.extend([
                include_str!("../../shaders/num/quad.wgsl"),
                include_str!("../../shaders/region/region.wgsl"),
                include_str!("../../shaders/region/one_region.wgsl"),
                include_str!("../../shaders/insight/records.wgsl"),
                include_str!("../../shaders/tick/scalars.wgsl"),
                include_str!("../../shaders/region/many_clocks.wgsl"),
                include_str!("../../shaders/insight/insight_finish.wgsl"),
            ]),
        }
        let source = parts.into_iter().fold(head, |all, part| all + "\n" + part);
        #[cfg(test)]
        let source = crate::mutations::mutated(source);
        source
    }

    fn bindings(self) -> Vec<(u32, Bound)> {
        use Bound::{Read, Uniform, Write};
        let mut bindings = match self {
            Kernel::Norm(..) => vec![(0, Uniform), (2, Read), (3, Write)],
            Kernel::Tick { scheduled, scaled } => {
                let schedules = [(5, Read), (6, Read)].into_iter().filter(|_| scheduled);
                let loss_scale = scaled.then_some((7, Write));
                let all = [(0, Uniform), (1, Read), (2, Read), (3, Write), (4, Write)];
                all.into_iter().chain(schedules).chain(loss_scale).collect()
            }
            Kernel::Update { storage, grad, shape, .. } | Kernel::Insight { storage, grad, shape, .. } => {
                let grad = if grad == Grad::Read { Read } else { Write };
                let scalars = if shape.table { (5, Read) } else { (5, Uniform) };
                let state = storage.state_kinds().map(|memory| (memory.binding(), Write));
                [(0, Uniform), (1, Write), (2, grad), scalars].into_iter().chain(state).collect()
            }
            Kernel::InsightFinish => vec![(1, Read), (2, Read), (3, Write), (5, Read)],
        };
        if let Kernel::Insight { .. } = self {
            bindings.push((8, Write));
        }
        if let Kernel::Norm(shape, _) | Kernel::Update { shape, .. } = self
            && shape.table
        {
            bindings.push((7, Read));
        }
        if let Kernel::Norm(shape, _) | Kernel::Update { shape, .. } | Kernel::Insight { shape, .. } = self {
            let own: Vec<_> = bindings.iter().copied().filter(|(binding, _)| [1, 2].contains(binding)).collect();
            let others = |i| own.iter().map(move |(binding, bound)| (binding_of(*binding, i), *bound));
            bindings.extend((1..shape.regions).flat_map(others));
        }
        bindings
    }

    /// Storage buffers that it binds, against the device's limit.
    pub fn storage_buffers(self) -> u32 {
        self.bindings().iter().filter(|(_, bound)| *bound != Bound::Uniform).count() as u32
    }

    pub fn build(self, device: &Device) -> (ComputePipeline, BindGroupLayout) {
        let label = format!("wgpu-adam {}", self.entry_point());
        let module = device.create_shader_module(ShaderModuleDescriptor {
            label: Some(&label),
            source: ShaderSource::Wgsl(self.wgsl().into()),
        });
        let entries = self.bindings().into_iter().map(|(binding, bound)| BindGroupLayoutEntry {
            binding,
            visibility: ShaderStages::COMPUTE,
            ty: BindingType::Buffer {
                ty: match bound {
                    Bound::Uniform => BufferBindingType::Uniform,
                    Bound::Read => BufferBindingType::Storage { read_only: true },
                    Bound::Write => BufferBindingType::Storage { read_only: false },
                },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        });
        let layout = device.create_bind_group_layout(&BindGroupLayoutDescriptor {
            label: Some(&label),
            entries: &entries.collect::<Vec<_>>(),
        });
        let pipeline = device.create_compute_pipeline(&ComputePipelineDescriptor {
            label: Some(&label),
            layout: Some(&device.create_pipeline_layout(&PipelineLayoutDescriptor {
                label: Some(&label),
                bind_group_layouts: &[Some(&layout)],
                immediate_size: 0,
            })),
            module: &module,
            entry_point: Some(self.entry_point()),
            compilation_options: PipelineCompilationOptions {
                // Every workgroup variable is written before it is read.
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: None,
        });
        (pipeline, layout)
    }
}

/// Where the gradients of a param window's quad are.
fn grad_at(shape: Shape) -> At {
    match (shape.unaligned, shape.shifted) {
        (false, false) => At::Quad("quad"),
        (false, true) => At::Quad("quad + region.grad_shift"),
        (true, _) => At::Element("4u*quad + region.grad_shift"),
    }
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use naga::valid::{Capabilities, ValidationFlags, Validator};
    use naga::{Module, TypeInner};

    use super::*;
    use crate::config::loss_scale::ScaleBytes;
    use crate::gpu::uniforms::RegionUniform;
    use crate::num::quad::LINE;
    use crate::plan::region::{Tile, UPDATE_QUADS, UPDATE_TILE};
    use crate::report::records::{BINS, Finding, INSIGHT_QUADS, Measured, Record, RecordRange, Squares};
    use crate::tick::clock::{Clock, ClockHead};
    use crate::tick::control::Control;
    use crate::tick::partial::Partial;
    use crate::tick::phases::Phase;
    use crate::tick::powers::Powers;
    use crate::tick::scalars::Scalars;
    use crate::tick::settings::Settings;

    fn parsed(kernel: Kernel) -> Module {
        naga::front::wgsl::parse_str(&kernel.wgsl()).unwrap_or_else(|e| panic!("{kernel:?}: {e}"))
    }

    /// No capability: what every WebGPU device must have.
    fn validate(kernel: Kernel) {
        let module = parsed(kernel);
        let mut validator = Validator::new(ValidationFlags::all(), Capabilities::empty());
        validator.validate(&module).unwrap_or_else(|e| panic!("{kernel:?}: {e:?}"));
        let entry = module.entry_points.iter().find(|e| e.name == kernel.entry_point());
        assert_eq!(entry.map(|e| e.workgroup_size[0]), Some(kernel.workgroup() as u32), "{kernel:?}");
    }

    /// Of the storages that are not all f32, each with one of the kernels in turn.
    #[test]
    fn kernels_are_valid_without_any_feature() {
        let plain = |kernel: &Kernel| match kernel {
            Kernel::Update { storage, .. } | Kernel::Insight { storage, .. } => !storage.is_narrow(),
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
        let plain = |kernel: &Kernel| !matches!(kernel, Kernel::Update { storage, .. } if storage.master != crate::Master::None);
        let measures = |kernel: &Kernel| matches!(kernel, Kernel::Insight { .. });
        // Of several regions there are as many as there is room for.
        let alone = |kernel: &Kernel| match kernel {
            Kernel::Norm(shape, _) | Kernel::Update { shape, .. } | Kernel::Insight { shape, .. } => shape.regions == 1,
            Kernel::Tick { .. } | Kernel::InsightFinish => true,
        };
        assert_eq!(Kernel::all().filter(alone).map(Kernel::storage_buffers).max(), Some(8));
        let most = Kernel::all()
            .filter(alone)
            .filter(plain)
            .filter(|kernel| !measures(kernel))
            .map(Kernel::storage_buffers)
            .max();
        assert_eq!(most, Some(7), "one is left for Metal, but with masters and probes");
    }

    /// Name and offset of each member of a WGSL struct, and the size that Rust must give it.
    fn layout(module: &Module, name: &str) -> (Vec<(String, usize)>, usize) {
        let mut types = module.types.iter().filter(|(_, t)| t.name.as_deref() == Some(name));
        let Some((_, ty)) = types.next() else { panic!("no struct {name}") };
        let TypeInner::Struct { members, span } = &ty.inner else { panic!("{name} is no struct") };
        let members = members.iter().map(|m| (m.name.clone().unwrap_or_default(), m.offset as usize));
        (members.collect(), *span as usize)
    }

    macro_rules! same_layout {
        ($kernel:expr, $rust:ty as $wgsl:literal { $($field:ident),* }) => {{
            let (members, size) = layout(&parsed($kernel), $wgsl);
            let rust = [$((stringify!($field).to_owned(), offset_of!($rust, $field))),*];
            let padded = |name: &str| name.starts_with("pad");
            let members: Vec<_> = members.into_iter().filter(|(name, _)| !padded(name) && (name != "clocks" || $wgsl != "Clocks")).collect();
            let rust: Vec<_> = rust.into_iter().filter(|(name, _)| !padded(name)).collect();
            if $wgsl == "Clocks" {
                assert_eq!(members, rust, "Clocks");
                assert_eq!(layout(&parsed($kernel), "Clocks").0.last(), Some(&("clocks".to_owned(), size_of::<$rust>())));
            } else {
                assert_eq!((members, size), (rust, size_of::<$rust>()), $wgsl);
            }
        }};
    }

    #[test]
    fn structs_are_laid_out_as_in_wgsl() {
        let update = Kernel::all().find(|k| matches!(k, Kernel::Update { .. })).unwrap();
        same_layout!(update, RegionUniform as "Region" {
            quad, begin, end, grad_shift, tiles, workgroup, partial, nonfinite_bits, grad_scale, stream_seed, first_scale, state
        });
        same_layout!(update, Tile as "Tile" { quad, begin, end, clock, shift });
        same_layout!(update, Scalars as "Scalars" {
            do_step, scale, l2, m_rate, v_rate, m_from_target, v_from_target, m_coef, g_coef, v_coef, max_coef, eps,
            eps_root, adamax_beta2, m_gain, decay, limit, t, lr, snr, unscale
        });
        let tick = Kernel::Tick { scheduled: true, scaled: true };
        same_layout!(tick, Control as "Control" {
            clocks, partials, guard, clip, max_norm, limit, nan, growth_factor, backoff_factor, growth_interval, pad
        });
        same_layout!(tick, ScaleBytes as "LossScale" { scale, growth_tracker });
        same_layout!(tick, Settings as "Settings" {
            beta1, beta2, gamma, lr, eps, eps_root, l2, weight_decay, sign, m_rate, v_rate, m_from_target, v_from_target,
            time_law, corrected, adamax_beta2, momentum, m_gain, m_gain_first, nesterov, eps_in_v, lr_in_momentum, lr_decay, rho_h, rho_inf, first_phase,
            phases, scale, pad
        });
        same_layout!(tick, Phase as "Phase" {
            step, start, end, power, first, kind, length, repeats, every, begin
        });
        same_layout!(tick, Partial as "Partial" { small, middle, big, first_nonfinite });
        same_layout!(tick, Powers as "Powers" { beta1_t, beta2_t, gamma_t, product });
        same_layout!(tick, Clock as "Clock" { powers, t, lr, position, pad });
        same_layout!(tick, ClockHead as "Clocks" {
            applied, skipped, last_skipped, nonfinite_partial, nonfinite_element, grad_norm, clip_coef, pad
        });
        let wgsl = update.wgsl();
        assert!(wgsl.contains(&format!("const LINE: u32 = {LINE}u;")));
        assert!(wgsl.contains(&format!("const OWN_QUADS: u32 = {UPDATE_QUADS}u;")));
        assert!(wgsl.contains(&format!("const TILE_QUADS: u32 = {UPDATE_TILE}u;")));
        let insight = Kernel::all().into_iter().find(|k| matches!(k, Kernel::Insight { .. })).unwrap();
        same_layout!(insight, Squares as "Squares" { sum, exponent });
        same_layout!(insight, Measured as "Measured" { grad, param, step, update, snr, largest_step, zero, bad });
        same_layout!(insight, Record as "Record" { tile, measured, bins });
        same_layout!(Kernel::InsightFinish, RecordRange as "RecordRange" { first, end, clock });
        same_layout!(Kernel::InsightFinish, Finding as "Finding" { measured, bins, did_step, t, lr, unscale });
        assert!(insight.wgsl().contains(&format!("const BINS: u32 = {BINS}u;")));
        assert!(insight.wgsl().contains(&format!("const QUADS: u32 = {INSIGHT_QUADS}u;")));
        assert_eq!(layout(&parsed(tick), "Slot").1 as u64, UNIFORM_STRIDE);
        let in_fours = Kernel::InsightFinish.wgsl();
        assert!(in_fours.contains(&format!("clock * {}u", UNIFORM_STRIDE / 16)));
        for (name, offset) in layout(&parsed(tick), "Scalars").0 {
            let place =
                format!("{}.{}", ["a", "b", "c", "d", "e", "f"][offset / 16], ["x", "y", "z", "w"][offset / 4 % 4]);
            let (whole, float) = (format!("s.{name} = {place};"), format!("s.{name} = bitcast<f32>({place});"));
            assert!(in_fours.contains(&whole) || in_fours.contains(&float), "{name} is not read from where it lies");
        }
    }
}
