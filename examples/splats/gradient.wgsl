// The gradient of the loss, one invocation per row: each splat walks over its pixels. No two invocations write the same
// number, so no atomics are needed, and the sums always have the same order.

@group(0) @binding(0) var<storage, read> live: u32;
@group(0) @binding(1) var<storage, read> splats: array<Splat>;
@group(0) @binding(2) var<storage, read> areas: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> slope: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> grad: array<f32>;
// The sum over pixels and steps of the length of the gradient by the mean. Unlike the length of the sum, it is large
// where pixels pull in opposite directions (AbsGS, Ye et al. 2024, arXiv:2404.10484).
@group(0) @binding(5) var<storage, read_write> stress: array<f32>;

@compute @workgroup_size(64)
fn gradient(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.x;
    if (row >= live) {
        return;
    }
    let splat = splats[row];
    let area = areas[row];
    // Sums of h a, of h u a, of the turn and of the opacity, where -h/2 is the derivative by q.
    var shift = vec2(0.0);
    var stretch = vec2(0.0);
    var turn = 0.0;
    var opacity = 0.0;
    var color = vec3(0.0);
    var pull = 0.0;
    for (var y = area.z; y < area.w; y += 1u) {
        for (var x = area.x; x < area.y; x += 1u) {
            let seen = seen(splat.mean, splat.turn, splat.inverse, vec2(f32(x), f32(y)));
            let s = slope[y * width + x];
            let by_w = dot(s.xyz, splat.color) - s.w;
            let h = by_w * splat.opacity * seen.gaussian;
            shift += h * seen.a;
            stretch += h * seen.u * seen.a;
            turn += h * (seen.u.x * seen.a.y - seen.u.y * seen.a.x);
            opacity += by_w * seen.k;
            color += splat.opacity * seen.k * s.xyz;
            pull += abs(h) * length(seen.a);
        }
    }
    grad[at(row, MEAN)] = splat.turn.x * shift.x - splat.turn.y * shift.y;
    grad[at(row, MEAN + 1u)] = splat.turn.y * shift.x + splat.turn.x * shift.y;
    grad[at(row, LOG_STD)] = stretch.x;
    grad[at(row, LOG_STD + 1u)] = stretch.y;
    grad[at(row, ANGLE)] = turn;
    grad[at(row, COLOR)] = color.x;
    grad[at(row, COLOR + 1u)] = color.y;
    grad[at(row, COLOR + 2u)] = color.z;
    grad[at(row, LOGIT)] = splat.opacity * (1.0 - splat.opacity) * opacity;
    stress[row] += pull;
}
