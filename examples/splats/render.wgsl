// Renders the image and compares it with the target, a workgroup per tile.

@group(0) @binding(0) var<storage, read> splats: array<Splat>;
@group(0) @binding(1) var<storage, read> lists: array<u32>;
@group(0) @binding(2) var<storage, read> counts: array<u32>;
@group(0) @binding(3) var<storage, read> target_image: array<vec4<f32>>;
// The colour, and its squared error after it is clamped to 0..1.
@group(0) @binding(4) var<storage, read_write> image: array<vec4<f32>>;
// dL/dC / W, then its product with C, where W is the divisor of C.
@group(0) @binding(5) var<storage, read_write> slope: array<vec4<f32>>;

// Each invocation owns 4 pixels of a column: a splat is loaded once for all of them.
const PIXELS = 4u;
const ROWS = TILE.y / PIXELS;

@compute @workgroup_size(TILE.x, ROWS)
fn render(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) id: vec3<u32>) {
    let first_pixel = group.xy * TILE + id.xy;
    let tile = group.y * tiles().x + group.x;
    let first = tile * capacity;
    let end = first + counts[tile];
    var sums: array<vec4<f32>, PIXELS>;
    for (var i = first; i < end; i += 1u) {
        let splat = splats[lists[i]];
        for (var j = 0u; j < PIXELS; j += 1u) {
            let pixel = vec2<f32>(first_pixel + vec2(0u, ROWS * j));
            let seen = seen(splat.mean, splat.turn, splat.inverse, pixel);
            sums[j] += splat.opacity * seen.k * vec4(splat.color, 1.0);
        }
    }
    for (var j = 0u; j < PIXELS; j += 1u) {
        let pixel = first_pixel + vec2(0u, ROWS * j);
        if (pixel.x < width && pixel.y < height) {
            finish(pixel.y * width + pixel.x, sums[j]);
        }
    }
}

fn finish(at: u32, sum: vec4<f32>) {
    let total = EMPTY + sum.w;
    let color = sum.xyz / total;
    let wanted = target_image[at].xyz;
    let error = clamp(color, vec3(0.0), vec3(1.0)) - wanted;
    image[at] = vec4(color, dot(error, error));
    let by_color = 2.0 / f32(3u * width * height) * (color - wanted) / total;
    slope[at] = vec4(by_color, dot(by_color, color));
}
