//! Moves the state of rows on the device. Counterpart of `src/cpu/gather.rs`, twin of `gather_rows.wgsl`.

use bytemuck::bytes_of;
use wgpu::{Buffer, BufferUsages, CommandEncoder, ComputePassDescriptor, Device};

use crate::config::dtype::Dtype;
use crate::config::rule::StateKind;
use crate::config::view::View;
use crate::error::Error;
use crate::gpu::adam::Adam;
use crate::gpu::binding::Binding;
use crate::gpu::blame::at_once;
use crate::gpu::buffers::{Resource, filled, range, whole};
use crate::gpu::dispatch::{Dispatch, Pipelines};
use crate::gpu::kernel::Kernel;
use crate::gpu::layout::{BatchState, Layout};
use crate::gpu::state_buffers::state_buffers;
use crate::gpu::update::Shared;
use crate::num::block8::UNSIGNED;
use crate::num::half::nearest_bf16;
use crate::num::mirror::mirror;
use crate::num::quad::WORKGROUP;
use crate::plan::clocks::numbers_of;
use crate::plan::limits::Limits;
use crate::plan::region::Region;
use crate::plan::rows::{Beside, RowsRegion};
use crate::plan::validate::check_view;
use crate::plan::window::Window;

mirror! {
    /// `Move` in `move.wgsl`.
    pub(crate) struct MoveUniform {
        pub rows: u32,
        pub first: u32,
        pub from_rows: u32,
        pub from_first: u32,
        pub units: u32,
        pub from_begin: u32,
        pub to_begin: u32,
        pub source_at: u32,
        pub count_at: u32,
        pub fill: u32,
        pub fills: u32,
        pub total: u32,
    }
}

/// A part of a state buffer that has a run of words for each row.
struct Part {
    /// The number of the buffer in its batch.
    buffer: usize,
    /// The first word.
    begin: u32,
    /// Words in a row.
    words: u32,
    /// A word of a row that has not been stepped.
    fill: u32,
}

impl Part {
    /// All parts of the state of a region of rows. The second moments of such rows begin with `initial`.
    fn all(region: &Region, rows: &RowsRegion, initial: f32) -> Vec<Self> {
        let storage = region.storage;
        let mut parts = Vec::new();
        for (buffer, kind) in storage.state_kinds().enumerate() {
            let initial = if kind == StateKind::V { initial } else { 0.0 };
            let dtype = storage.dtype(kind);
            let elements = if storage.is_per_row(kind) { 1 } else { rows.state_stride };
            let words = (u64::from(elements) * dtype.bytes() / 4) as u32;
            let fill = match dtype {
                Dtype::Bf16 => (nearest_bf16(initial).to_bits() >> 16) * 0x1_0001,
                Dtype::U8 if initial != 0.0 => u32::from(UNSIGNED.codes(&[initial], 1)[0]) * 0x0101_0101,
                _ => initial.to_bits(),
            };
            parts.push(Self { buffer, begin: 0, words, fill });
            if storage.scale(kind).is_some() {
                let fill = UNSIGNED.scale(&[initial]).to_bits();
                parts.push(Self { buffer, begin: region.first_scale, words: rows.blocks(), fill });
            }
        }
        parts
    }
}

/// Numbers that the caller's device memory has.
struct Numbers {
    buffer: Buffer,
    window: Window,
    /// The place of the first number in the window.
    at: u32,
}

impl Numbers {
    fn resource(&self) -> Resource {
        range(&self.buffer, self.window.offset, self.window.bytes)
    }
}

/// A batch of a tensor of rows.
struct OfTensor<'a> {
    batch: usize,
    region: &'a Region,
    rows: &'a RowsRegion,
}

/// The batches of a tensor of rows, in the order of the rows.
fn batches_of_rows<'a>(layout: &'a Layout, name: &str) -> Result<Vec<OfTensor<'a>>, Error> {
    let tensor = numbers_of(&layout.names, &[name])?[0];
    let of_tensor = |(batch, regions): (usize, &'a [Region])| {
        let rows = regions[0].rows.as_ref().filter(|_| regions[0].segments[0].tensor == tensor)?;
        Some(OfTensor { batch, region: &regions[0], rows })
    };
    let mut batches: Vec<OfTensor> = layout.batched().enumerate().filter_map(of_tensor).collect();
    if batches.is_empty() {
        return Err(Error::Rows { tensor: name.to_owned(), reason: "it is no tensor of rows".to_owned() });
    }
    batches.sort_by_key(|of| of.rows.first);
    Ok(batches)
}

/// The dispatches of a move.
struct Moves {
    device: Device,
    limits: Limits,
    pipelines: Pipelines,
    source: Numbers,
    count: Option<Numbers>,
    dispatches: Vec<Dispatch>,
}

impl Moves {
    /// Adds the dispatch that changes a part of the state of a region. `uniform` has what does not depend on the part.
    fn add(
        &mut self,
        uniform: MoveUniform,
        part: &Part,
        from: Option<(&Part, &Buffer)>,
        to: &Buffer,
    ) -> Result<(), Error> {
        let from_begin = from.map_or(0, |(part, _)| part.begin);
        let wide = [part.words, part.begin, from_begin].iter().all(|words| words.is_multiple_of(4));
        let unit = if wide { 4 } else { 1 };
        let units = part.words / unit;
        let uniform = MoveUniform {
            units,
            from_begin: from_begin / unit,
            to_begin: part.begin / unit,
            fill: part.fill,
            source_at: self.source.at,
            count_at: self.count.as_ref().map_or(0, |count| count.at),
            ..uniform
        };
        let of_uniform = filled(&self.device, "moved rows", BufferUsages::UNIFORM, bytes_of(&uniform))?;
        let mut bindings = vec![
            (Binding::Move, whole(&of_uniform)),
            (Binding::Source, self.source.resource()),
            (Binding::To, whole(to)),
        ];
        bindings.extend(self.count.as_ref().map(|count| (Binding::ListCount, count.resource())));
        bindings.extend(from.map(|(_, from)| (Binding::From, whole(from))));
        let kernel = if from.is_some() { Kernel::GatherRows { wide } } else { Kernel::ZeroRows { wide } };
        let workgroups = (u64::from(uniform.rows) * u64::from(units)).div_ceil(WORKGROUP);
        let made = Dispatch::new(&self.device, &self.limits, &mut self.pipelines, kernel, workgroups, bindings);
        self.dispatches.push(made);
        Ok(())
    }

    fn record(&self, encoder: &mut CommandEncoder, label: &str) {
        let descriptor = ComputePassDescriptor { label: Some(label), timestamp_writes: None };
        let mut pass = encoder.begin_compute_pass(&descriptor);
        self.dispatches.iter().for_each(|dispatch| dispatch.record(&mut pass));
    }
}

/// # Moving rows on the device
///
/// These methods record commands that change the state of a tensor of [rows](crate::rows). Nothing is read back. They make
/// small buffers and bind groups, so they are for now and then, not for each step.
impl Adam {
    /// Records that the state of rows moves: the new row k gets the state of the old row `source[k]`, with its step count.
    /// If there is no such row, it gets the state of a row that has not been stepped: `u32::MAX` is of no row. Pruning,
    /// cloning, splitting and sorting rows are all such moves. The rows of the parameters are the caller's to move.
    ///
    /// `source` has a u32 for each row of the tensor, and the device may have made it. A tensor whose number of rows
    /// changes has buffers for the most rows it may get, and [`Active::First`](crate::rows::Active::First) or a list says
    /// which of them exist. To grow beyond that: [`rebind`](Self::rebind).
    ///
    /// The first call makes a second set of state buffers for this tensor: the state moves from one set to the other.
    /// Submit steps that were recorded before it first, and record steps again after it.
    ///
    /// # Errors
    /// Returns [`Error::NoSuchTensor`]; [`Error::Rows`] if it is no tensor of rows, or if `source` has another number of
    /// elements or another dtype; the errors of an invalid view; and [`Error::OutOfMemory`]. Nothing is recorded then.
    pub fn gather(&mut self, encoder: &mut CommandEncoder, name: &str, source: &View) -> Result<(), Error> {
        let layout = self.layout.clone();
        let own = batches_of_rows(&layout, name)?;
        let total: u32 = own.iter().map(|own| own.rows.count).sum();
        let mut moves = self.moves(self.numbers(name, "source", source, Some(total.into()))?, None);
        let spares = at_once(&self.device, &[], "moving rows", || {
            let spare = |to: &OfTensor| {
                let known = self.spares.iter().find(|spare| spare.0 == to.batch).map(|spare| Ok(spare.1.clone()));
                known.unwrap_or_else(|| state_buffers(&self.device, &self.registry, std::slice::from_ref(to.region)))
            };
            let spares: Vec<BatchState> = own.iter().map(spare).collect::<Result<_, _>>()?;
            for (to, spare) in own.iter().zip(&spares) {
                for (i, from) in own.iter().enumerate() {
                    let uniform = MoveUniform {
                        rows: to.rows.count,
                        first: to.rows.first,
                        from_rows: from.rows.count,
                        from_first: from.rows.first,
                        fills: (i == 0).into(),
                        total,
                        ..MoveUniform::default()
                    };
                    for (part, from_part) in self.parts(to).iter().zip(&self.parts(from)) {
                        let source = &self.state[from.batch][part.buffer];
                        moves.add(uniform, part, Some((from_part, source)), &spare[part.buffer])?;
                    }
                }
            }
            let shared = Shared {
                device: &self.device,
                limits: &moves.limits,
                layout: &layout,
                places: &self.places,
                regions: (&self.regions.0, &self.regions.1),
                scalar_slots: &self.scalar_slots,
                rows: &self.rows,
            };
            let updates = own.iter().zip(&spares);
            let updates = updates.map(|(to, spare)| shared.update(to.batch, spare, None, &mut moves.pipelines));
            let updates: Vec<Dispatch> = updates.collect();
            Ok(spares.into_iter().zip(updates))
        })?;
        moves.record(encoder, "wgpu-adam gather");
        let first = self.dispatches.len() - layout.batches.len();
        for (to, (state, update)) in own.iter().zip(spares) {
            self.spares.retain(|spare| spare.0 != to.batch);
            self.spares.push((to.batch, std::mem::replace(&mut self.state[to.batch], state)));
            self.dispatches[first + to.batch] = update;
        }
        self.reusable.pipelines = moves.pipelines;
        Ok(())
    }

    /// Records that rows restart: the state of the rows of a list becomes that of rows that have not been stepped, and
    /// their step counts 0. Gaussians that are relocated need this.
    ///
    /// `count` has one u32: how many of the `indices` count. If there are fewer indices, all of them count. Numbers that
    /// are not of a row are skipped.
    ///
    /// # Errors
    /// As for [`gather`](Self::gather), for `indices` and `count`.
    pub fn zero_rows(
        &mut self,
        encoder: &mut CommandEncoder,
        name: &str,
        indices: &View,
        count: &View,
    ) -> Result<(), Error> {
        let layout = self.layout.clone();
        let own = batches_of_rows(&layout, name)?;
        let source = self.numbers(name, "indices", indices, None)?;
        let mut moves = self.moves(source, Some(self.numbers(name, "count", count, None)?));
        at_once(&self.device, &[], "zeroing rows", || {
            for of in &own {
                let uniform = MoveUniform {
                    rows: indices.len as u32,
                    from_rows: of.rows.count,
                    from_first: of.rows.first,
                    ..MoveUniform::default()
                };
                for part in self.parts(of) {
                    moves.add(uniform, &part, None, &self.state[of.batch][part.buffer])?;
                }
            }
            Ok(())
        })?;
        moves.record(encoder, "wgpu-adam zero rows");
        self.reusable.pipelines = moves.pipelines;
        Ok(())
    }

    fn moves(&self, source: Numbers, count: Option<Numbers>) -> Moves {
        let (limits, pipelines) = (Limits::of(&self.device), self.reusable.pipelines.clone());
        Moves { device: self.device.clone(), limits, pipelines, source, count, dispatches: Vec::new() }
    }

    fn parts(&self, of: &OfTensor) -> Vec<Part> {
        let initial = self.registry.config(of.region.segments[0].clock as usize).variant.initial();
        Part::all(of.region, of.rows, initial)
    }

    /// A view of u32, checked, and what to bind of it.
    fn numbers(&self, name: &str, which: &'static str, view: &View, need: Option<u64>) -> Result<Numbers, Error> {
        let wrong = |reason| Err(Error::Rows { tensor: name.to_owned(), reason });
        check_view(name, which, view)?;
        if view.dtype != Dtype::U32 {
            return wrong(format!("{which} is {:?}, but must be U32", view.dtype));
        }
        if let Some(need) = need.filter(|need| *need != view.len) {
            return wrong(format!("{which} has {} elements, but there are {need} rows", view.len));
        }
        let align = Limits::of(&self.device).align;
        let (window, at) = Beside { buffer: 0, offset: view.offset, len: view.len }.bound(align);
        Ok(Numbers { buffer: view.buffer.clone(), window, at })
    }
}
