// The new scales of the blocks of a workgroup: one for each state tensor of a block, found by all who share the block.

const BLOCKS: u32 = TILES;

var<workgroup> scales: array<atomic<u32>, BLOCKS * STATE_TENSORS>;
