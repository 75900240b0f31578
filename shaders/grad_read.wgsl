// Gradients that are only read.

@group(0) @binding(2) var<storage, read> grad: array<Word>;

fn leave_grad(at: u32, mask: Mask) {}
