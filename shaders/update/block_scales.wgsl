// The new scales of the blocks of a workgroup: one for each state tensor of a block. The invocations that share the
// block find them together.

const BLOCKS: u32 = TILES;

var<workgroup> scales: array<atomic<u32>, BLOCKS * STATE_TENSORS>;
