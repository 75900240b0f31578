// Sums the squared errors of the pixels, in one workgroup.

@group(0) @binding(0) var<storage, read> live: u32;
@group(0) @binding(1) var<storage, read> image: array<vec4<f32>>;
// The sum, and the number of splats.
@group(0) @binding(2) var<storage, read_write> score: vec2<f32>;

const INVOCATIONS = 256u;
var<workgroup> sums: array<f32, INVOCATIONS>;

@compute @workgroup_size(INVOCATIONS)
fn sum(@builtin(local_invocation_index) index: u32) {
    var sum = 0.0;
    for (var pixel = index; pixel < width * height; pixel += INVOCATIONS) {
        sum += image[pixel].w;
    }
    sums[index] = sum;
    for (var half = INVOCATIONS / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (index < half) {
            sums[index] += sums[index + half];
        }
    }
    if (index == 0u) {
        score = vec2(sums[0], f32(live));
    }
}
