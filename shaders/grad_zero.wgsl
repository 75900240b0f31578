// Gradients that are zeroed once they are read; all spans begin and end with a word.

@group(0) @binding(2) var<storage, read_write> grad: array<Word>;

fn leave_grad(at: u32, mask: Mask) {
    grad[at] = Word(0.0);
}
