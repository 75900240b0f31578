// Gradients that are only read, but lie in a buffer that is written: both bindings must then say so.

@group(0) @binding(2) var<storage, read_write> grad: array<Word>;

fn leave_grad(at: u32, mask: Mask) {}
