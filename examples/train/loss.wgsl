// Softmax cross-entropy, one invocation per row of each network side by side. It writes the loss of the row to `stats`, and
// whether the largest output belongs to the label. The gradient replaces the outputs in `z`:
//   dz = (softmax(z) - onehot(label)) / rows.

struct Batch {
    first: u32,
    rows: u32,
}

override batch_size: u32;
override classes: u32;
// Number of entries in the `stats` of a network.
override entries: u32;

@group(0) @binding(0) var<uniform> batch: Batch;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read_write> z: array<f32>;
// For each entry of `order`: the loss, and 1 if the prediction is correct, otherwise 0.
@group(0) @binding(4) var<storage, read_write> stats: array<vec2<f32>>;

@compute @workgroup_size(64)
fn loss(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.x;
    if (row >= batch_size) {
        return;
    }
    let run = id.y;
    let at = (run * batch_size + row) * classes;
    if (row >= batch.rows) {
        // Rows beyond the end of a short minibatch must not contribute to any gradient.
        for (var output = 0u; output < classes; output += 1u) {
            z[at + output] = 0.0;
        }
        return;
    }

    var best = 0u;
    for (var output = 1u; output < classes; output += 1u) {
        if (z[at + output] > z[at + best]) {
            best = output;
        }
    }
    // After subtracting the largest output, no exponential overflows.
    let top = z[at + best];
    var sum = 0.0;
    for (var output = 0u; output < classes; output += 1u) {
        sum += exp(z[at + output] - top);
    }

    let label = labels[order[batch.first + row]];
    stats[run * entries + batch.first + row] = vec2(log(sum) - (z[at + label] - top), f32(best == label));
    for (var output = 0u; output < classes; output += 1u) {
        let softmax = exp(z[at + output] - top) / sum;
        z[at + output] = (softmax - f32(output == label)) / f32(batch.rows);
    }
}
