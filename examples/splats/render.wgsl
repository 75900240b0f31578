// Renders the image and compares it with the target: a workgroup per tile, an invocation per pixel.

@group(0) @binding(0) var<storage, read> splats: array<Splat>;
@group(0) @binding(1) var<storage, read> lists: array<u32>;
@group(0) @binding(2) var<storage, read> counts: array<u32>;
@group(0) @binding(3) var<storage, read> target_image: array<vec4<f32>>;
// The colour, and its squared error after it is clamped to 0..1.
@group(0) @binding(4) var<storage, read_write> image: array<vec4<f32>>;
// dL/dC / W, then its product with C, where W is the divisor of C.
@group(0) @binding(5) var<storage, read_write> slope: array<vec4<f32>>;

@compute @workgroup_size(TILE, TILE)
fn render(@builtin(workgroup_id) group: vec3<u32>, @builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= width || id.y >= height) {
        return;
    }
    let pixel = vec2<f32>(id.xy);
    let tile = group.y * tiles().x + group.x;
    let first = tile * capacity;
    let end = first + counts[tile];
    var color = vec3(0.0);
    var total = EMPTY;
    for (var i = first; i < end; i += 1u) {
        let row = lists[i];
        let seen = seen(splats[row].mean, splats[row].turn, splats[row].inverse, pixel);
        let w = splats[row].opacity * seen.k;
        color += w * splats[row].color;
        total += w;
    }
    color /= total;
    let at = id.y * width + id.x;
    let wanted = target_image[at].xyz;
    let error = clamp(color, vec3(0.0), vec3(1.0)) - wanted;
    image[at] = vec4(color, dot(error, error));
    let by_color = 2.0 / f32(3u * width * height) * (color - wanted) / total;
    slope[at] = vec4(by_color, dot(by_color, color));
}
