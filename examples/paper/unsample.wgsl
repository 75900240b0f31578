// The gradient of `mu` and `r` from that of the code, which is in `z`; `chance.wgsl` comes before. It replaces them in `q`:
//   dmu = dz + mu / rows
//   dr  = dz*noise*exp(r/2)/2 + (exp(r) - 1) / (2*rows)

override width: u32; // of the code
override size: u32; // rows of a minibatch

@group(0) @binding(2) var<storage, read> z: array<f32>;
@group(0) @binding(3) var<storage, read_write> q: array<f32>;

@compute @workgroup_size(64)
fn unsample(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.x / width;
    let column = id.x % width;
    if (row >= size) {
        return;
    }
    let mu = (id.z * size + row) * 2u * width + column;
    let r = mu + width;
    if (row >= batch.rows) {
        q[mu] = 0.0;
        q[r] = 0.0;
        return;
    }
    let dz = z[(id.z * size + row) * (width + 1u) + column];
    let share = 1.0 / f32(batch.rows);
    let deviation = exp(0.5 * q[r]);
    q[mu] = dz + q[mu] * share;
    q[r] = 0.5 * (dz * normal(id.x) * deviation + (deviation * deviation - 1.0) * share);
}
