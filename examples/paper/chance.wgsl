// Random numbers that depend on the epoch, the minibatch, the layer and the element, and on nothing else: so all networks
// side by side have the same, and the backward pass has those of the forward pass.

struct Batch {
    first: u32,
    rows: u32,
}

override layer: u32;

@group(0) @binding(0) var<uniform> batch: Batch;
// One number, which differs from epoch to epoch.
@group(0) @binding(1) var<storage, read> epoch: array<u32>;

// PCG's output function (Jarzynski and Olano 2020).
fn hash(x: u32) -> u32 {
    let state = x * 747796405u + 2891336453u;
    let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
    return (word >> 22u) ^ word;
}

fn chance(element: u32) -> u32 {
    return hash(element + hash(layer + hash(batch.first + hash(epoch[0]))));
}

// From 0 to below 1.
fn unit(bits: u32) -> f32 {
    return f32(bits >> 8u) * 0x1p-24f;
}

// A normal number (Box and Muller 1958).
fn normal(element: u32) -> f32 {
    let bits = chance(element);
    let radius = sqrt(-2.0 * log(1.0 - unit(bits)));
    return radius * cos(6.2831855 * unit(hash(bits)));
}
