//! How tensors become regions: neighbours are merged, aligned, and cut to the device's limits. Pure functions: no GPU
//! is needed to test them.

use std::ops::Range;

use crate::config::rows::ActiveKind;
use crate::error::Error;
use crate::num::block8::BLOCK;
use crate::num::order::order;
use crate::num::quad::LANES;
use crate::plan::batch;
use crate::plan::limits::Limits;
use crate::plan::region::{
    BLOCK_QUADS, QUAD_BYTES, Region, Segment, Tile, UPDATE_QUADS, UPDATE_TILE, UPDATE_WORKGROUP,
};
use crate::plan::rows::{Beside, COLUMNS, RowsPlan, RowsRegion, joined_width};
use crate::plan::storage::Storage;
use crate::plan::window::Window;

/// If the last quad of a region is not entirely inside its buffer, the region is cut into whole quads and a tail, which
/// is an additional region. Smaller regions are not cut: they become one unaligned region.
const SINGLE_REGION: u64 = 16 * 1024;

/// A tensor as the planner sees it: numbers instead of handles.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TensorPlan {
    pub tensor: usize,
    pub clock: u32,
    pub storage: Storage,
    /// The value of 1 in an integer gradient.
    pub grad_scale: f32,
    pub param: Location,
    pub grad: Location,
    /// The number of elements.
    pub len: u64,
    /// The seed of its noise.
    pub stream_seed: u32,
    /// Tensors with the same number may share a partial of the norm.
    pub share: u32,
    /// Its rows, if it is a tensor of rows.
    pub rows: Option<RowsPlan>,
}

/// Where a view begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Location {
    /// The number of the buffer.
    pub buffer: usize,
    /// In bytes.
    pub offset: u64,
    /// The size of the whole buffer in bytes.
    pub size: u64,
}

/// The regions, and the batches of the update kernel.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub regions: Vec<Region>,
    pub batches: Vec<Range<usize>>,
}

impl TensorPlan {
    /// The number of the first element in the param buffer.
    fn start(&self) -> u64 {
        self.param.offset / self.storage.param.bytes()
    }

    /// Added to an element's number in the param buffer, it gives the number in the grad buffer.
    fn shift(&self) -> i64 {
        (self.grad.offset / self.storage.grad.bytes()) as i64 - self.start() as i64
    }

    fn end(&self) -> u64 {
        self.start() + self.len
    }

    /// The quads of the state that belong to this many quads of the param: whole blocks, if the state is in blocks.
    fn state_quads(&self, quads: u64) -> u64 {
        if self.storage.in_blocks() { quads.next_multiple_of(BLOCK_QUADS.into()) } else { quads }
    }

    /// The size that a binding must have for one block at any offset, if the state is in blocks and the device's limit
    /// is below that size.
    pub fn block_too_large(&self, limits: &Limits) -> Option<u64> {
        let bytes = self.storage.param.bytes().max(self.storage.grad.bytes());
        let need = (BLOCK * bytes + 2 * limits.align.max(16)).max(u64::from(BLOCK_QUADS) * QUAD_BYTES);
        (self.rows.is_none() && self.storage.in_blocks() && limits.binding < need).then_some(need)
    }

    /// The first element of the last block that begins before `position`. Both are elements of the param buffer.
    fn block_before(&self, position: u64) -> u64 {
        position - 1 - (position - 1 - self.start()) % BLOCK
    }
}

/// Plans all regions. The tensors must not overlap, and no block may be too large.
pub(crate) fn plan(tensor_plans: &[TensorPlan], zero_grad: bool, limits: &Limits) -> Result<Plan, Error> {
    // Two units of alignment: the offset of a view may waste one, and with the other each region still advances.
    if limits.binding < 2 * limits.align {
        let (limit, given) = (limits.binding_limit, limits.binding);
        return Err(Error::Limit { limit, given, need: 2 * limits.align });
    }
    let (rows, plain): (Vec<TensorPlan>, Vec<TensorPlan>) =
        tensor_plans.iter().partition(|tensor_plan| tensor_plan.rows.is_some());
    let regions = merge(&plain).into_iter().flat_map(|run| cut(&run, limits));
    let mut regions: Vec<Region> = regions.flat_map(|region| split_shared_quads(region, zero_grad)).collect();
    for tensor_plan in &rows {
        if let Some(rows) = &tensor_plan.rows {
            regions.extend(cut_rows(tensor_plan, rows, limits)?);
        }
    }
    let (regions, batches) = batch::batched(regions, zero_grad, limits);
    Ok(Plan { regions, batches })
}

/// Groups the tensors that can share a region: they have the same storage, the same two
/// buffers and the same distance between param and grad. Gaps between them cost no memory, since the state has none.
fn merge(tensor_plans: &[TensorPlan]) -> Vec<Vec<TensorPlan>> {
    let key = |p: &TensorPlan| (p.storage, p.grad_scale.to_bits(), p.param.buffer, p.grad.buffer, p.shift());
    let place = |i: usize| (key(&tensor_plans[i]), tensor_plans[i].param.offset);
    let sorted = order(tensor_plans.len(), &|a, b| place(a).cmp(&place(b))).into_iter().map(|i| tensor_plans[i]);
    let mut runs: Vec<Vec<TensorPlan>> = Vec::new();
    for tensor_plan in sorted {
        let joins = |last: &TensorPlan| {
            // If param and grad share a buffer, a grad may lie between two params.
            let apart = tensor_plan.param.buffer == tensor_plan.grad.buffer && tensor_plan.start() != last.end();
            key(last) == key(&tensor_plan) && !apart
        };
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(joins) => run.push(tensor_plan),
            _ => runs.push(vec![tensor_plan]),
        }
    }
    runs
}

/// One of the two buffers of a run.
struct Side {
    buffer: usize,
    /// The bytes of an element.
    bytes: u64,
    /// The alignment of a binding, in elements.
    align: u64,
    /// The most elements in a binding.
    window: u64,
    /// The elements of the buffer up to the end of its last whole quad.
    whole: u64,
}

impl Side {
    fn new(location: &Location, bytes: u64, limits: &Limits) -> Self {
        let align = limits.align.max(16) / bytes;
        let window = limits.binding / bytes / align * align;
        Self { buffer: location.buffer, bytes, align, window, whole: location.size / (LANES * bytes) * LANES }
    }

    /// The first element of the window that holds elements `first..last`, and the window.
    fn window(&self, first: u64, last: u64) -> (u64, Window) {
        let origin = first / self.align * self.align;
        // The size of a binding is a multiple of 4 bytes.
        let bytes = ((last - origin) * self.bytes).next_multiple_of(4);
        (origin, Window { buffer: self.buffer, offset: origin * self.bytes, bytes })
    }
}

/// Cuts a run into regions that fit in the bindings and in one dispatch. Positions here are elements of the param
/// buffer.
fn cut(run: &[TensorPlan], limits: &Limits) -> Vec<Region> {
    let (Some(first), Some(last)) = (run.first(), run.last()) else { return Vec::new() };
    let param = Side::new(&first.param, first.storage.param.bytes(), limits);
    let grad = Side::new(&first.grad, first.storage.grad.bytes(), limits);
    let shift = first.shift();
    let shifted = |position: u64| (position as i64 + shift) as u64;
    let aligned = shift % LANES as i64 == 0;
    let state_quads = limits.binding / QUAD_BYTES;
    let state_quads =
        if first.storage.in_blocks() { state_quads - state_quads % u64::from(BLOCK_QUADS) } else { state_quads };
    let align = param.align.min(grad.align);
    // Each segment may begin a tile that it does not fill. Half of the workgroups are for such tiles, half for others.
    let workgroups = (limits.workgroups * limits.workgroups / 2).max(1);
    // The table of tiles must fit in a binding: each tensor begins a tile, and all others are whole.
    let tiles = limits.binding / size_of::<Tile>() as u64;
    let most_tensors = workgroups.min(tiles.saturating_sub(state_quads / UPDATE_TILE + 2)).max(1);
    let dispatch = workgroups.saturating_mul(UPDATE_WORKGROUP * UPDATE_QUADS * LANES / 2);

    let mut regions = Vec::new();
    let mut begin = first.start();
    let run_end = last.end();
    while begin < run_end {
        let by_param = begin / param.align * param.align + param.window;
        let by_grad = begin + (grad.window - shifted(begin) % grad.align);
        let by_state = (begin / LANES + state_quads) * LANES;
        let by_dispatch = (begin / param.align * param.align).saturating_add(dispatch);
        let behind = run.partition_point(|tensor_plan| tensor_plan.end() <= begin);
        let by_tensors = run.get(behind + most_tensors as usize).map_or(run_end, TensorPlan::start);
        let mut end = run_end.min(by_param).min(by_grad).min(by_state).min(by_dispatch);
        if end < run_end {
            end = if first.storage.in_blocks() {
                // The next region begins at a block of its tensor's state: blocks are not cut.
                let cut = run.iter().find(|tensor_plan| (tensor_plan.start()..tensor_plan.end()).contains(&end));
                cut.map_or(end, |tensor_plan| end - (end - tensor_plan.start()) % BLOCK)
            } else {
                // The next region begins at a multiple of the alignment, and so at a quad. That is past `begin`, since
                // a window holds two units of alignment.
                end / align * align
            };
        }
        end = end.min(by_tensors);
        // A quad that two spans share has two quads of state.
        let mut quads = 0;
        for tensor_plan in run[behind..].iter().take_while(|tensor_plan| tensor_plan.start() < end) {
            quads += tensor_plan
                .state_quads(tensor_plan.end().min(end).div_ceil(LANES) - tensor_plan.start().max(begin) / LANES);
            if quads > state_quads && tensor_plan.start() > begin {
                end = tensor_plan.start();
                break;
            }
        }
        // The last quad can be loaded whole only if it is inside both buffers.
        let whole = param.whole.min((grad.whole as i64 - shift).max(0) as u64);
        if aligned && end.next_multiple_of(LANES) <= whole {
            regions.push((begin, end, false));
        } else if !aligned || end - begin < SINGLE_REGION {
            regions.push((begin, end, true));
        } else {
            let last = run.iter().find(|tensor_plan| {
                tensor_plan.storage.in_blocks() && tensor_plan.start() < end && end <= tensor_plan.end()
            });
            let tail = last.map_or(end / LANES * LANES, |tensor_plan| tensor_plan.block_before(end));
            regions.push((begin, tail, false));
            regions.push((tail, end, true));
        }
        begin = end;
    }
    let regions = regions.into_iter().map(|(begin, end, unaligned)| region(run, &param, &grad, begin..end, unaligned));
    // A region that lies entirely in a gap has no segments.
    regions.filter(|region| !region.segments.is_empty()).collect()
}

/// The region for these elements of the param buffer.
fn region(run: &[TensorPlan], param: &Side, grad: &Side, elements: Range<u64>, unaligned: bool) -> Region {
    let Range { start: begin, end } = elements;
    // An aligned region loads whole quads.
    let (first, last) = if unaligned { (begin, end) } else { (begin / LANES * LANES, end.next_multiple_of(LANES)) };
    let shifted = |position: u64| (position as i64 + run[0].shift()) as u64;
    let (origin, param) = param.window(first, last);
    let (grad_origin, grad) = grad.window(shifted(first), shifted(last));
    let grad_shift = run[0].shift() + origin as i64 - grad_origin as i64;
    let segments = run.iter().filter_map(|tensor_plan| {
        let from = tensor_plan.start().max(begin);
        let to = tensor_plan.end().min(end);
        (from < to).then(|| Segment {
            begin: (from - origin) as u32,
            end: (to - origin) as u32,
            clock: tensor_plan.clock,
            tensor: tensor_plan.tensor,
            first: from - tensor_plan.start(),
            stream_seed: tensor_plan.stream_seed,
            share: tensor_plan.share,
        })
    });
    Region {
        storage: run[0].storage,
        grad_scale: run[0].grad_scale,
        param,
        grad,
        unaligned,
        grad_shift: (if unaligned { grad_shift } else { grad_shift / LANES as i64 }) as u32,
        segments: segments.collect(),
        state: 0,
        first_scale: 0,
        rows: None,
    }
}

/// Cuts a tensor of rows into regions of whole rows that fit in the bindings and in one dispatch.
fn cut_rows(tensor_plan: &TensorPlan, plan: &RowsPlan, limits: &Limits) -> Result<Vec<Region>, Error> {
    let TensorPlan { tensor, clock, storage, grad_scale, stream_seed, share, .. } = *tensor_plan;
    let RowsPlan { kind, width, .. } = *plan;
    let wide = u64::from(width);
    let param = Side::new(&tensor_plan.param, storage.param.bytes(), limits);
    let grad = Side::new(&tensor_plan.grad, storage.grad.bytes(), limits);
    let grad_start = tensor_plan.grad.offset / grad.bytes;
    let whole = |start: u64| start.is_multiple_of(LANES);
    let unaligned = kind.partial || !whole(tensor_plan.start()) || !whole(grad_start);
    let state_stride = storage.row_stride(width);
    // The regions begin at the same place of a unit of alignment. All alignments are powers of two.
    let unit = |side: &Side| side.align / (wide & wide.wrapping_neg()).min(side.align);
    let unit = if kind.compact { unit(&param) } else { unit(&param).max(unit(&grad)) };
    let by_side = |side: &Side, start: u64| (side.window - start % side.align) / wide;
    let by_grad = if kind.compact { u64::MAX } else { by_side(&grad, grad_start) };
    let by_state = limits.binding / (QUAD_BYTES / LANES * u64::from(state_stride));
    let by_dispatch = (limits.workgroups * limits.workgroups / 2).max(1);
    let most = by_side(&param, tensor_plan.start()).min(by_grad).min(by_state).min(by_dispatch);
    let rows = tensor_plan.len / wide;
    let most = if most < rows { most / unit * unit } else { most };
    let beside = [plan.row_lr, plan.active, plan.count, plan.inverse].into_iter().flatten();
    let beside = beside.map(|view| view.bound(limits.align).0.bytes).max().unwrap_or(0);
    let compact = if kind.compact { (grad_start % grad.align + plan.grad_len) * grad.bytes } else { 0 };
    let need = if most == 0 { (unit * wide + param.align) * QUAD_BYTES / LANES } else { beside.max(compact) };
    if need > limits.binding || most == 0 {
        let (limit, given) = (limits.binding_limit, limits.binding);
        return Err(Error::Limit { limit, given, need });
    }
    let bound = |view: Option<Beside>| view.map(|view| view.bound(limits.align));
    // Rows that have nothing of their own are joined to rows of whole quads. Up to three rows may be left.
    let joined_width = joined_width(width);
    let nothing_of_their_own =
        kind.active == ActiveKind::All && !kind.row_lr && !kind.compact && !storage.shares_in_rows();
    let follow = storage.row_stride(width) == width && whole(tensor_plan.start()) && whole(grad_start);
    let fits = joined_width <= COLUMNS as u32 && u64::from(joined_width) + param.align <= param.window.min(grad.window);
    let joins = if nothing_of_their_own && follow && fits { rows - rows % u64::from(joined_width / width) } else { 0 };
    let region = |first: u64| {
        let joined = first < joins;
        let count = (if joined { joins } else { rows } - first).min(most);
        let begin = tensor_plan.start() + first * wide;
        let (origin, param) = param.window(begin, begin + count * wide);
        let (grads, grad_len) =
            if kind.compact { (grad_start, plan.grad_len) } else { (grad_start + first * wide, count * wide) };
        let (grad_origin, grad) = grad.window(grads, grads + grad_len);
        let segment = Segment {
            begin: (begin - origin) as u32,
            end: (begin - origin + count * wide) as u32,
            clock,
            tensor,
            first: first * wide,
            stream_seed,
            share,
        };
        let rows = RowsRegion {
            kind,
            width,
            joined,
            first: first as u32,
            count: count as u32,
            state_stride,
            grad: (grads - grad_origin) as u32,
            grad_rows: if kind.compact { (plan.grad_len / wide) as u32 } else { u32::MAX },
            row_lr: bound(plan.row_lr),
            active: bound(plan.active),
            list_len: plan.active.map_or(rows as u32, |view| view.len as u32),
            list_count: bound(plan.count),
            inverse: bound(plan.inverse),
        };
        Region {
            storage,
            grad_scale,
            param,
            grad,
            unaligned,
            grad_shift: 0,
            segments: vec![segment],
            state: 0,
            first_scale: 0,
            rows: Some(rows),
        }
    };
    let cuts = |rows: Range<u64>| rows.step_by(most as usize);
    Ok(cuts(0..joins).chain(cuts(joins..rows)).map(region).collect())
}

/// Splits a region in two if two of its spans share 32 bits of a buffer that is written. Two invocations of one
/// dispatch must not write the same 32 bits.
fn split_shared_quads(region: Region, zero_grad: bool) -> Vec<Region> {
    if !(region.storage.param.is_half() || zero_grad && region.storage.grad.is_half()) {
        return vec![region];
    }
    let mut later: Vec<Range<u32>> = Vec::new();
    let mut last_end = 0;
    let mut last_is_later = false;
    for span in region.update_spans() {
        let shares = span.begin == last_end && span.begin % 2 == 1 && !last_is_later;
        if shares {
            later.push(span.begin..span.end);
        }
        last_end = span.end;
        last_is_later = shares;
    }
    if later.is_empty() {
        return vec![region];
    }
    let is_later = |segment: &Segment| later.iter().any(|span| span.contains(&segment.begin));
    let (later, sooner) = region.segments.iter().partition(|segment| is_later(segment));
    [sooner, later].map(|segments| Region { segments, ..region.clone() }).into()
}

#[cfg(test)]
mod tests;
