// Dropout, in place; `chance.wgsl` comes before. It sets elements to 0, and divides the others by the share that stays. It
// is its own derivative: the backward pass applies it to the gradient.

override width: u32; // of a row, without the 1 for the bias
override elements: u32; // of a network
override share: f32; // that is dropped

@group(0) @binding(2) var<storage, read_write> a: array<f32>;

@compute @workgroup_size(64)
fn drop(@builtin(global_invocation_id) id: vec3<u32>) {
    let element = id.x;
    if (element >= elements || element % (width + 1u) == width) {
        return;
    }
    let at = id.z * elements + element;
    a[at] = select(0.0, a[at] / (1.0 - share), unit(chance(element)) >= share);
}
