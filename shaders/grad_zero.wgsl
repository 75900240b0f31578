// Gradients that are zeroed once they are read.

@group(0) @binding(2) var<storage, read_write> grad: array<Word>;

fn leave_grad(at: u32, old: Word, mask: Mask) {
    grad[at] = select(old, Word(0.0), mask);
}
