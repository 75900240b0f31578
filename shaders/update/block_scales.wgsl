// The new scales of the blocks of a workgroup: one for each state tensor of a block. The invocations that share the
// block find them together.

var<workgroup> scales: array<atomic<u32>, BLOCKS * STATE_TENSORS>;

fn clear_scales(index: u32) {
    for (var i = index; i < BLOCKS * STATE_TENSORS; i += WORKGROUP) {
        atomicStore(&scales[i], 0u);
    }
    workgroupBarrier();
}
