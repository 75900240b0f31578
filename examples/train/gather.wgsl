// Gathers one minibatch. Row r of `x` becomes row `order[first + r]` of the data set, as numbers from 0 to 1, followed
// by a 1 for the bias. Rows beyond the end of a short minibatch become 0.

struct Batch {
    first: u32,
    rows: u32,
}

override features: u32;
override scale: f32;

@group(0) @binding(0) var<uniform> batch: Batch;
// One byte per pixel, four pixels per u32, image after image.
@group(0) @binding(1) var<storage, read> pixels: array<u32>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read_write> x: array<f32>;

const INVOCATIONS = 64u;

// One workgroup per row.
@compute @workgroup_size(INVOCATIONS)
fn gather(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) index: u32) {
    let row = group.x;
    let start = row * (features + 1u);
    let real = row < batch.rows;
    let image = select(0u, order[batch.first + row] * features, real);
    for (var feature = index; feature < features; feature += INVOCATIONS) {
        let byte = image + feature;
        let pixel = extractBits(pixels[byte / 4u], 8u * (byte % 4u), 8u);
        x[start + feature] = select(0.0, f32(pixel) * scale, real);
    }
    if (index == 0u) {
        x[start + features] = select(0.0, 1.0, real);
    }
}
