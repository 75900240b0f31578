// Gradients that are zeroed once they are read, where a word may be shared with a neighbour.

@group(0) @binding(2) var<storage, read_write> grad: array<Word>;

fn leave_grad(at: u32, mask: Mask) {
    if all(mask) {
        grad[at] = Word(0.0);
        return;
    }
    if mask.x { grad[at].x = 0.0; }
    if mask.y { grad[at].y = 0.0; }
    if mask.z { grad[at].z = 0.0; }
    if mask.w { grad[at].w = 0.0; }
}
