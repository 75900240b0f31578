// What the step is about to do, measured between `tick` and `update`: each workgroup measures a part of one tensor. Twin:
// src/cpu/insight.rs. It has the loads, the gradient and the rule of `update`.

@group(0) @binding(8) var<storage, read_write> records: array<Record>;

const QUADS: u32 = 8u;      // that one invocation measures

fn magnitude(x: Quad) -> Bits {
    return bitcast<Bits>(x) & Bits(0x7fffffffu);
}

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
    // The largest comes to lie in 2..4.
    let y = select(Quad(0.0), x * bitcast<f32>((255u - top) << 23u), bits >= Bits(0x00800000u));
    var sum = y.x * y.x;
    sum += y.y * y.y;
    sum += y.z * y.z;
    sum += y.w * y.w;
    return Squares(sum, top);
}

// The elements of one quad that are in the tile.
fn measure(s: Scalars, quad: u32, own: Tile) -> Measured {
    let mask = inside(quad, own.begin, own.end);
    let grad_now = load_grad(quad);
    let finite = magnitude(grad_now) < Bits(0x7f800000u);
    var old = load(quad, quad + own.shift);
    let param = old.param;
    var measured = NOTHING;
    measured.grad = squares(select(Quad(0.0), grad_now, mask & finite));
    measured.param = squares(select(Quad(0.0), param, mask));
    measured.zero = count(mask & (magnitude(grad_now) == Bits(0u)));
    measured.bad = count(mask & !finite);
    if s.do_step != 0u {
        // From a param of zero the rule comes to the step itself, with the other sign.
        old.param = Quad(0.0);
        let after = rule(s, old, gradient(s, grad_now, param));
        let step = select(Quad(0.0), after.param, mask);
        measured.step = squares(step);
        measured.update = squares(select(Quad(0.0), s.decay * param - after.param, mask));
        // Of NaNs there is one here, not as many as there are bits.
        measured.largest_step = min(largest(magnitude(step)), 0x7fc00000u);
        measured.snr = measure_snr(s, after, mask);
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
        let own = records[record].tile;
        let s = scalars(own.clock);
        for (var k = 0u; k < QUADS; k++) {
            let quad = own.quad + index + k * WORKGROUP;
            if quad * LANES < own.end {
                mine = add(mine, measure(s, quad, own));
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
