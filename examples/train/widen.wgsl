// Widens bf16 parameters to the f32 that the passes read. A bf16 is the upper half of an f32; each u32 holds two of
// them.

@group(0) @binding(0) var<storage, read> stored: array<u32>;
@group(0) @binding(1) var<storage, read_write> param: array<vec2<f32>>;

@compute @workgroup_size(256)
fn widen(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var at = id.x; at < arrayLength(&stored); at += groups.x * 256u) {
        let pair = stored[at];
        param[at] = vec2<f32>(bitcast<f32>(pair << 16u), bitcast<f32>(pair & 0xffff0000u));
    }
}
