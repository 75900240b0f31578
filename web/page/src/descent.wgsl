// The gradient of each point. A point is two parameters.

@group(0) @binding(0) var<storage, read> points: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read_write> grad: array<vec2<f32>>;

@compute @workgroup_size(64)
fn descent(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < arrayLength(&points)) {
        grad[id.x] = height(points[id.x]).yz;
    }
}
