// Draws an image from a buffer, a pixel of the canvas for each of its pixels.

override width: u32;

@group(0) @binding(0) var<storage, read> image: array<vec4<f32>>;

// The corners of a triangle that covers the canvas.
@vertex
fn corner(@builtin(vertex_index) index: u32) -> @builtin(position) vec4<f32> {
    return vec4(vec2(f32(index & 1u), f32(index >> 1u)) * 4.0 - 1.0, 0.0, 1.0);
}

@fragment
fn color(@builtin(position) place: vec4<f32>) -> @location(0) vec4<f32> {
    let pixel = vec2<u32>(place.xy);
    return vec4(image[pixel.y * width + pixel.x].xyz, 1.0);
}
