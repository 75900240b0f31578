// The new scales of the blocks of a workgroup. The invocations that share a block find its largest sizes together: one for each
// state tensor.

var<workgroup> sizes: array<atomic<u32>, BLOCKS * STATE_TENSORS>;

// Those of an invocation.
var<private> found: Bits;

fn clear_sizes(index: u32) {
    if index < BLOCKS {
        let at = STATE_TENSORS * index;
        atomicStore(&sizes[at], 0u);
        if STATE_TENSORS > 1u { atomicStore(&sizes[at + 1u], 0u); }
        if STATE_TENSORS > 2u { atomicStore(&sizes[at + 2u], 0u); }
    }
    workgroupBarrier();
}

fn note_sizes(block: u32) {
    let at = STATE_TENSORS * block;
    atomicMax(&sizes[at], found.x);
    if STATE_TENSORS > 1u { atomicMax(&sizes[at + 1u], found.y); }
    if STATE_TENSORS > 2u { atomicMax(&sizes[at + 2u], found.z); }
}
