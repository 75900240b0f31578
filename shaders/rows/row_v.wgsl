// The second moment is one number per row: it averages the mean or the sum of the squares of the row. The sum adds up the
// quads of the row in ascending order, and then the lanes. It is multiplied only at the end: some compilers would do so
// anyway.

@group(0) @binding(v_binding) var<storage, ACCESS> v: array<f32>;

var<workgroup> quad_squares: array<vec4<f32>, SLOTS>;

// The row's v before the step, and the mean or sum of its squares.
var<workgroup> row_moments: array<vec2<f32>, SLOTS>;

fn note_squares(number: u32, g: Quad) {
    quad_squares[number] = g * g;
}

fn settle_moments(local: u32, row: u32) {
    var total = Quad(0.0);
    for (var k = 0u; k < rows.quads; k++) {
        total += quad_squares[local * rows.quads + k];
    }
    row_moments[local] = vec2<f32>(v[row], rows.mean * within_bf16(Quad(sum(total))).x);
}

fn squared(g: Quad) -> Quad {
    return Quad(row_moments[own.local].y);
}

fn load_v(place: Place) -> Quad {
    return Quad(row_moments[own.local].x);
}

// --- stores ---

// All elements of the row have the same v.
fn store_v(place: Place, x: Quad) {
    if own.k == 0u {
        v[own.row] = x.x;
    }
}
