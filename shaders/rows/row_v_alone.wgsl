// The second moment of a row, for a kernel that stores nothing: each quad adds up the whole row. As in row_v.wgsl.

@group(0) @binding(v_binding) var<storage, read> v: array<f32>;

// The row's v before the step, and the mean or sum of its squares.
var<private> row_moments: vec2<f32>;

fn settle_moments_alone(s: Scalars) {
    var total = Quad(0.0);
    for (var k = 0u; k < rows.quads; k++) {
        let slot = Slot(own.local, own.row, k, own.grad + (k - own.k) * PARAM_STEP);
        let place = place_of_slot(slot, s.t);
        let g = select(Quad(0.0), gradient(s, load_grad(slot.grad), read_param(place)), place.mask);
        total += g * g;
    }
    row_moments = vec2<f32>(v[own.row], rows.mean * within_bf16(Quad(sum(total))).x);
}

fn squared(g: Quad) -> Quad {
    return Quad(row_moments.y);
}

fn load_v(place: Place) -> Quad {
    return Quad(row_moments.x);
}

fn store_v(place: Place, x: Quad) {
    kept.v = x;
}
