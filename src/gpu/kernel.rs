//! The kernels, what is compiled into each of them, and their pipelines.

use wgpu::{
    BindGroupLayout, BindGroupLayoutDescriptor, BindGroupLayoutEntry, BindingType, BufferBindingType, ComputePipeline,
    ComputePipelineDescriptor, Device, PipelineCompilationOptions, PipelineLayoutDescriptor, ShaderModuleDescriptor,
    ShaderSource, ShaderStages,
};

use crate::config::dtype::Dtype;
use crate::config::rows::RowKind;
use crate::config::rule::Rescale;
use crate::gpu::binding::{Access, Binding};
use crate::num::quad::WORKGROUP;
use crate::plan::region::{TILES_A_WORKGROUP, UPDATE_WORKGROUP};
use crate::plan::rows::UPDATE_SLOTS;
use crate::plan::storage::Storage;
use crate::report::records::{BINS, Measured, Sums};
use crate::tick::partial::Partial;
use crate::tick::settings::Laws;

/// The bytes from one uniform to the next. Every WebGPU device allows multiples of this as offsets of a binding.
pub(crate) const UNIFORM_STRIDE: u64 = 256;

/// What an update does with the gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Grad {
    /// Reads them.
    Read,
    /// Reads them. They share a buffer with the params, so both are bound read-write.
    Shared,
    /// Reads them and sets them to zero.
    Zero,
}

/// The loss scale of an optimizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scale {
    None,
    Own,
    /// Another optimizer's, which steps before.
    Shared,
}

/// A kernel, with everything that is compiled into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kernel {
    Norm {
        shape: Shape,
        grad: Dtype,
    },
    /// Adds up the partials of each unit.
    UnitNorm,
    /// Sets the size of the dispatch that updates the rows of a list.
    MeasureList,
    /// Moves state of rows, four words at a time if `wide`.
    GatherRows {
        wide: bool,
    },
    /// Makes state of rows that of new rows.
    ZeroRows {
        wide: bool,
    },
    Tick {
        /// Whether any group has a schedule.
        scheduled: bool,
        /// The optimizer's loss scale.
        scale: Scale,
        /// Whether any group is clipped by a norm of its own.
        units: bool,
        /// Whether a norm was made before.
        norm: bool,
        /// The time laws of the rules in use.
        laws: Laws,
    },
    Update {
        storage: Storage,
        shape: Shape,
        grad: Grad,
        /// Whether gradients are clipped by value, parameters are clamped or their decay is masked: in any group, if in one.
        limits: bool,
    },
    /// Sums what the factors of the steps of a region's tensors are made of.
    Rescale {
        storage: Storage,
        unaligned: bool,
        limits: bool,
    },
    /// Makes these factors.
    RescaleFinish {
        rescale: Rescale,
    },
    /// Makes the scalars of a change between the params for training and those for evaluation.
    ChangeMode {
        /// Whether to those for evaluation.
        evaluates: bool,
    },
    /// Changes the params accordingly.
    ChangeParam {
        storage: Storage,
        shape: Shape,
    },
    /// Measures an update.
    Insight {
        storage: Storage,
        unaligned: bool,
        limits: bool,
        rows: Option<RowKind>,
    },
    /// Adds up the measurements.
    InsightFinish,
}

/// How the elements of a region lie, and how many regions a dispatch has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Shape {
    /// Quads are loaded and stored element by element.
    pub unaligned: bool,
    /// The region has several spans, and a table lists their tiles.
    pub table: bool,
    /// A span begins or ends within a quad of the window or of its tensor.
    pub edges: bool,
    /// A quad has another number in the window of grads than in the window of params. (Adding a zero instead costs 5 %
    /// on a software adapter.)
    pub shifted: bool,
    /// The number of regions. Above 1 only without a table.
    pub regions: u32,
    /// The region is one of rows.
    pub rows: Option<RowKind>,
    /// The rows are joined to rows of whole quads.
    pub joined: bool,
}

impl Shape {
    /// A region that is one span of whole quads.
    pub const PLAIN: Self =
        Self { unaligned: false, table: false, edges: false, shifted: false, regions: 1, rows: None, joined: false };
}

impl RowKind {
    /// What both the norm and the update bind to find the rows and their gradients.
    fn bindings(self) -> Vec<(Binding, Access)> {
        let mut bindings = vec![(Binding::Rows, Access::Uniform)];
        bindings.extend(self.active.is_listed().then_some((Binding::ActiveRows, Access::Read)));
        bindings.extend(self.active.is_counted().then_some((Binding::Listed, Access::Uniform)));
        bindings.extend(self.compact.then_some((Binding::Inverse, Access::Read)));
        bindings
    }

    /// The same, and what gives the rates.
    fn bindings_of_rates(self) -> Vec<(Binding, Access)> {
        let mut bindings = self.bindings();
        bindings.push((Binding::RowTables, Access::Uniform));
        bindings.extend(self.row_lr.then_some((Binding::RowLr, Access::Read)));
        bindings
    }
}

impl Kernel {
    pub fn entry_point(self) -> &'static str {
        match self {
            Kernel::Norm { .. } => "norm",
            Kernel::UnitNorm => "unit_norm",
            Kernel::MeasureList => "measure_list",
            Kernel::GatherRows { .. } => "gather_rows",
            Kernel::ZeroRows { .. } => "zero_rows",
            Kernel::Tick { .. } => "tick",
            Kernel::Update { .. } => "update",
            Kernel::Rescale { .. } => "rescale",
            Kernel::RescaleFinish { .. } => "rescale_finish",
            Kernel::ChangeMode { .. } => "change_mode",
            Kernel::ChangeParam { .. } => "change_param",
            Kernel::Insight { .. } => "insight",
            Kernel::InsightFinish => "insight_finish",
        }
    }

    /// Invocations in a workgroup.
    pub fn workgroup(self) -> u64 {
        match self {
            // An invocation has one slot of a tile of rows.
            Kernel::Update { shape, .. } if shape.rows.is_some() && !shape.joined => UPDATE_SLOTS.into(),
            Kernel::Update { .. } | Kernel::ChangeParam { .. } => UPDATE_WORKGROUP,
            Kernel::MeasureList => 1,
            _ => WORKGROUP,
        }
    }

    /// The resources that it binds, and how it uses them.
    pub fn bindings(self) -> Vec<(Binding, Access)> {
        use Access::{Read, Uniform, Write};
        match self {
            Kernel::Norm { shape, .. } => {
                let mut bindings = vec![(Binding::Region, Uniform), (Binding::Partials, Write)];
                bindings.extend((0..shape.regions).map(|region| (Binding::Grad(region), Read)));
                bindings.extend(shape.table.then_some((Binding::Tiles, Read)));
                bindings.extend(shape.rows.into_iter().flat_map(RowKind::bindings));
                bindings
            }
            Kernel::MeasureList => vec![(Binding::Rows, Uniform), (Binding::ListCount, Read), (Binding::Listed, Write)],
            Kernel::GatherRows { .. } => {
                vec![(Binding::Move, Uniform), (Binding::Source, Read), (Binding::From, Read), (Binding::To, Write)]
            }
            Kernel::ZeroRows { .. } => {
                vec![
                    (Binding::Move, Uniform),
                    (Binding::Source, Read),
                    (Binding::ListCount, Read),
                    (Binding::To, Write),
                ]
            }
            Kernel::UnitNorm => vec![(Binding::Partials, Read), (Binding::Units, Read), (Binding::UnitNorms, Write)],
            Kernel::Tick { scheduled, scale, units, .. } => {
                let mut bindings = vec![
                    (Binding::Control, Uniform),
                    (Binding::Settings, Read),
                    (Binding::Partials, Read),
                    (Binding::Clock, Write),
                    (Binding::Scalars, Write),
                ];
                bindings.extend(scheduled.then_some((Binding::Curves, Read)));
                bindings.extend((scale != Scale::None).then_some((Binding::LossScale, Write)));
                bindings.extend(units.then_some((Binding::UnitNorms, Read)));
                bindings
            }
            Kernel::ChangeMode { .. } => vec![
                (Binding::Control, Uniform),
                (Binding::Settings, Read),
                (Binding::Partials, Read),
                (Binding::Clock, Write),
                (Binding::Scalars, Write),
            ],
            Kernel::Update { storage, shape, .. } | Kernel::ChangeParam { storage, shape } => {
                let mut bindings = vec![(Binding::Region, Uniform)];
                bindings.push((Binding::Scalars, if shape.table { Read } else { Uniform }));
                bindings.extend(shape.table.then_some((Binding::Tiles, Read)));
                bindings.extend((0..shape.regions).map(|region| (Binding::Param(region), Write)));
                if let Kernel::Update { grad, .. } = self {
                    let access = if grad == Grad::Read { Read } else { Write };
                    bindings.extend((0..shape.regions).map(|region| (Binding::Grad(region), access)));
                }
                bindings.extend(storage.state_kinds().map(|kind| (Binding::State(kind), Write)));
                bindings.extend(shape.rows.into_iter().flat_map(RowKind::bindings_of_rates));
                bindings
            }
            Kernel::Rescale { storage, .. } => {
                let mut bindings = vec![
                    (Binding::Region, Uniform),
                    (Binding::Scalars, Read),
                    (Binding::Tiles, Read),
                    (Binding::Sums, Write),
                    (Binding::Param(0), Read),
                    (Binding::Grad(0), Read),
                ];
                bindings.extend(storage.state_kinds().map(|kind| (Binding::State(kind), Read)));
                bindings
            }
            Kernel::RescaleFinish { .. } => {
                vec![(Binding::Sums, Read), (Binding::Units, Read), (Binding::Scalars, Write)]
            }
            Kernel::Insight { storage, rows, .. } => {
                let mut bindings = vec![
                    (Binding::Region, Uniform),
                    // Rows have one clock.
                    (Binding::Scalars, if rows.is_some() { Uniform } else { Read }),
                    (Binding::Records, Write),
                    (Binding::Param(0), Read),
                    (Binding::Grad(0), Read),
                ];
                bindings.extend(storage.state_kinds().map(|kind| (Binding::State(kind), Read)));
                bindings.extend(rows.into_iter().flat_map(RowKind::bindings_of_rates));
                bindings
            }
            Kernel::InsightFinish => vec![
                (Binding::Scalars, Read),
                (Binding::Ranges, Read),
                (Binding::Records, Read),
                (Binding::Findings, Write),
            ],
        }
    }

    /// The kernel that does the same with gradients in the buffer of the params.
    pub fn sharing(self) -> Self {
        match self {
            Kernel::Update { storage, shape, limits, .. } => {
                Kernel::Update { storage, shape, limits, grad: Grad::Shared }
            }
            _ => self,
        }
    }

    /// The number of storage buffers that it binds, which the device limits.
    pub fn storage_buffers(self) -> u64 {
        self.bindings().len() as u64 - self.uniform_buffers()
    }

    /// The number of uniform buffers that it binds, which the device limits.
    pub fn uniform_buffers(self) -> u64 {
        self.bindings().iter().filter(|(_, access)| *access == Access::Uniform).count() as u64
    }

    /// One more than its largest binding number, which the device limits.
    pub fn binding_numbers(self) -> u64 {
        self.bindings().iter().map(|(binding, _)| u64::from(binding.number()) + 1).max().unwrap_or(0)
    }

    /// The bytes that the invocations of a workgroup share, which the device limits.
    pub fn workgroup_storage(self) -> u64 {
        let tree = |element: usize| WORKGROUP * element as u64;
        match self {
            Kernel::Norm { .. } | Kernel::UnitNorm => tree(size_of::<Partial>()),
            // The decision has three numbers.
            Kernel::Tick { .. } | Kernel::ChangeMode { .. } => tree(size_of::<Partial>()) + 12,
            Kernel::Update { storage, shape: Shape { rows: Some(_), .. }, .. } => {
                let kinds = storage.state_kinds().filter(|kind| storage.scale(*kind).is_some()).count() as u64;
                // For each slot: four squares and two numbers of the second moment, three coefficients, scales.
                let second = if storage.rows.v { 16 + 8 } else { 0 };
                let steps = if storage.rows.steps { 16 } else { 0 };
                u64::from(UPDATE_SLOTS) * (second + steps + 4 * kinds)
            }
            Kernel::Update { storage, .. } | Kernel::ChangeParam { storage, .. } if storage.in_blocks() => {
                4 * TILES_A_WORKGROUP * storage.rule.state().len() as u64
            }
            Kernel::Update { .. }
            | Kernel::ChangeParam { .. }
            | Kernel::MeasureList
            | Kernel::GatherRows { .. }
            | Kernel::ZeroRows { .. } => 0,
            Kernel::Rescale { .. } | Kernel::RescaleFinish { .. } => tree(size_of::<Sums>()),
            Kernel::Insight { .. } | Kernel::InsightFinish => tree(size_of::<Measured>()) + 4 * BINS as u64,
        }
    }

    pub fn build(self, device: &Device) -> (ComputePipeline, BindGroupLayout) {
        let label = format!("wgpu-adam {}", self.entry_point());
        let module = device.create_shader_module(ShaderModuleDescriptor {
            label: Some(&label),
            source: ShaderSource::Wgsl(self.wgsl().into()),
        });
        let entries = self.bindings().into_iter().map(|(binding, access)| BindGroupLayoutEntry {
            binding: binding.number(),
            visibility: ShaderStages::COMPUTE,
            ty: BindingType::Buffer {
                ty: match access {
                    Access::Uniform => BufferBindingType::Uniform,
                    Access::Read => BufferBindingType::Storage { read_only: true },
                    Access::Write => BufferBindingType::Storage { read_only: false },
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

#[cfg(test)]
mod tests;
