// Makes splats of rows, one invocation per row. Each splat sets its bit in the marks of the tiles that it may touch: the
// result does not depend on the order of the invocations.

@group(0) @binding(0) var<storage, read> live: u32;
@group(0) @binding(1) var<storage, read> param: array<f32>;
@group(0) @binding(2) var<storage, read_write> splats: array<Splat>;
// First and end of the pixels in x, then in y: a box around the ellipse of 3 standard deviations.
@group(0) @binding(3) var<storage, read_write> areas: array<vec4<u32>>;
// For each 32 rows a word for each tile.
@group(0) @binding(4) var<storage, read_write> marks: array<atomic<u32>>;
// 1 for a row that Adam steps: it touches a tile.
@group(0) @binding(5) var<storage, read_write> active_rows: array<u32>;

// Converts a place. `min` is for NaN, of which a conversion may make any number.
fn inside(place: vec2<f32>, size: vec2<u32>) -> vec2<u32> {
    return min(vec2<u32>(clamp(place, vec2(0.0), vec2<f32>(size))), size);
}

@compute @workgroup_size(64)
fn project(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.x;
    if (row >= live) {
        if (row < capacity) {
            active_rows[row] = 0u;
        }
        return;
    }
    let mean = vec2(param[at(row, MEAN)], param[at(row, MEAN + 1u)]);
    let inverse = exp(-2.0 * vec2(param[at(row, LOG_STD)], param[at(row, LOG_STD + 1u)]));
    let angle = param[at(row, ANGLE)];
    let turn = vec2(cos(angle), sin(angle));
    let opacity = 1.0 / (1.0 + exp(-param[at(row, LOGIT)]));
    let color = vec3(param[at(row, COLOR)], param[at(row, COLOR + 1u)], param[at(row, COLOR + 2u)]);
    splats[row] = Splat(mean, turn, inverse, opacity, color);

    let variance = 1.0 / inverse;
    let square = turn * turn;
    let reach = 3.0 * sqrt(vec2(dot(square, variance), dot(square, variance.yx)));
    let size = vec2(width, height);
    let first = inside(ceil(mean - reach), size);
    let end = max(first, inside(floor(mean + reach + 1.0), size));
    areas[row] = vec4(first.x, end.x, first.y, end.y);
    let touches = all(first < end);
    active_rows[row] = u32(touches);
    if (!touches) {
        return;
    }
    let last = (end - 1u) / TILE;
    let plane = row / 32u * tiles().x * tiles().y;
    for (var y = first.y / TILE.y; y <= last.y; y += 1u) {
        for (var x = first.x / TILE.x; x <= last.x; x += 1u) {
            atomicOr(&marks[plane + y * tiles().x + x], 1u << (row % 32u));
        }
    }
}
