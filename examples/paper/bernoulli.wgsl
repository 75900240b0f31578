// The loss of a variational auto-encoder, one invocation per row of each network side by side. It writes the loss of the
// row to `stats`. The gradient replaces the outputs in `y`:  dy = (1/(1 + exp(-y)) - x) / rows

struct Batch {
    first: u32,
    rows: u32,
}

override size: u32; // rows of a minibatch
override features: u32;
override code: u32;
override entries: u32; // of the `stats` of a network

@group(0) @binding(0) var<uniform> batch: Batch;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> q: array<f32>; // mu and r
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read_write> stats: array<vec2<f32>>;

@compute @workgroup_size(64)
fn bernoulli(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.x;
    if (row >= size) {
        return;
    }
    let real = row < batch.rows;
    let at = (id.y * size + row) * features;
    var loss = 0.0;
    for (var i = 0u; i < features; i += 1u) {
        let s = y[at + i];
        let pixel = x[row * (features + 1u) + i];
        let small = exp(-abs(s));
        loss += max(s, 0.0) + log(1.0 + small) - pixel * s;
        let sigmoid = select(small, 1.0, s >= 0.0) / (1.0 + small);
        y[at + i] = select(0.0, (sigmoid - pixel) / f32(batch.rows), real);
    }
    let mu = (id.y * size + row) * 2u * code;
    for (var i = mu; i < mu + code; i += 1u) {
        let r = q[i + code];
        loss += 0.5 * (q[i] * q[i] + exp(r) - r - 1.0);
    }
    if (real) {
        stats[id.y * entries + batch.first + row] = vec2(loss, 0.0);
    }
}
