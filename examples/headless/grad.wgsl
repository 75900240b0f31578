// The gradient of the loss: the sum of (x[i] - i/n)^2.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> grad: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let n = arrayLength(&x);
    if id.x < n {
        grad[id.x] = 2.0 * (x[id.x] - f32(id.x) / f32(n));
    }
}
