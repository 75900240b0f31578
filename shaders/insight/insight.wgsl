// Measures the coming step between `tick` and `update`, with the loads and the rule of `update`. Each workgroup
// measures a part of one tensor. Twin: src/cpu/insight.rs.

@group(0) @binding(records_binding) var<storage, read_write> records: array<Record>;

// Quads per invocation.
const QUADS: u32 = 8u;

fn count(mask: Mask) -> u32 {
    let ones = select(Bits(0u), Bits(1u), mask);
    return ones.x + ones.y + ones.z + ones.w;
}

fn squares(x: Quad) -> Squares {
    let bits = magnitude(x);
    let top = largest(bits) >> 23u;
    if top == 0u || top == 255u {
        return Squares(0.0, top);
    }
    // The largest element is scaled to 2..4.
    let y = select(Quad(0.0), x * bitcast<f32>((255u - top) << 23u), bits >= Bits(0x00800000u));
    var sum = y.x * y.x;
    sum += y.y * y.y;
    sum += y.z * y.z;
    sum += y.w * y.w;
    return Squares(sum, top);
}

// Measures the elements of one quad that are in the tile.
fn measure(s: Scalars, tile: Tile, quad: u32) -> Measured {
    let place = place_of(tile, quad, s.t);
    let grad = load_grad(quad);
    let param = read_param(place);
    let finite = magnitude(grad) < Bits(0x7f800000u);
    var measured = NOTHING;
    measured.grad = squares(select(Quad(0.0), grad, place.mask & finite));
    measured.param = squares(select(Quad(0.0), param, place.mask));
    measured.zero = count(place.mask & (magnitude(grad) == Bits(0u)));
    measured.nonfinite = count(place.mask & !finite);
    if s.do_step != 0u {
        let step = select(Quad(0.0), rule(s, place, gradient(s, grad, param)), place.mask);
        measured.step = squares(step);
        measured.update = squares(select(Quad(0.0), decay_of(s, param, step) + step, place.mask));
        // All NaNs count as the same NaN.
        measured.largest_step = min(largest(magnitude(step)), 0x7fc00000u);
        measured.snr = measure_snr(s, kept, place.mask);
    }
    return measured;
}

@compute @workgroup_size(WORKGROUP)
fn insight(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let at = number(workgroup, workgroups);
    let record = region.partial + at;
    empty_bins(index);
    var mine = NOTHING;
    if at < region.tiles {
        let tile = records[record].tile;
        let s = scalars(tile.clock);
        for (var k = 0u; k < QUADS; k++) {
            let quad = tile.quad + index + k * WORKGROUP;
            if quad * LANES < tile.end {
                mine = add(mine, measure(s, tile, quad));
            }
        }
    }
    reduce(index, mine);
    if at < region.tiles {
        if index < BINS {
            records[record].bins[index] = atomicLoad(&bins[index]);
        }
        if index == 0u {
            records[record].measured = tree[0];
        }
    }
}
