// Makes the parameters of the new rows, one invocation per row. Its twin is `moved` in `refine.rs`.

@group(0) @binding(0) var<storage, read> live: u32;
@group(0) @binding(1) var<storage, read> origin: array<u32>;
@group(0) @binding(2) var<storage, read> param: array<f32>;
@group(0) @binding(3) var<storage, read_write> moved: array<f32>;

@compute @workgroup_size(64)
fn move_rows(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.x;
    if (row >= live) {
        return;
    }
    let old = origin[row] & ROW;
    let action = origin[row] & ~ROW;
    for (var column = 0u; column < COLUMNS; column += 1u) {
        moved[at(row, column)] = param[at(old, column)];
    }
    if (action == KEEP) {
        return;
    }
    // Along the longer axis.
    let axis = u32(param[at(old, LOG_STD + 1u)] > param[at(old, LOG_STD)]);
    let log_std = param[at(old, LOG_STD + axis)];
    let angle = param[at(old, ANGLE)];
    let direction = select(vec2(cos(angle), sin(angle)), vec2(-sin(angle), cos(angle)), axis == 1u);
    let shift = select(SHIFT, -SHIFT, action == OTHER_HALF) * exp(log_std) * direction;
    moved[at(row, MEAN)] += shift.x;
    moved[at(row, MEAN + 1u)] += shift.y;
    if (action != COPY) {
        moved[at(row, LOG_STD + axis)] = log_std - SHRINK;
    }
}
