// Draws the code of a variational auto-encoder; `chance.wgsl` comes before:  z = mu + exp(r/2)*noise

override width: u32; // of the code
override size: u32; // rows of a minibatch

@group(0) @binding(2) var<storage, read> q: array<f32>; // mu and r
@group(0) @binding(3) var<storage, read_write> z: array<f32>;

@compute @workgroup_size(64)
fn sample(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.x / width;
    let column = id.x % width;
    if (row >= size) {
        return;
    }
    let mu = (id.z * size + row) * 2u * width + column;
    let at = (id.z * size + row) * (width + 1u) + column;
    z[at] = q[mu] + exp(0.5 * q[mu + width]) * normal(id.x);
}
