// What `decide.wgsl` and `move.wgsl` share. The twins of these constants are in `refine.rs`.

// The greatest number of splats.
override most: u32;

// A new row without an old one.
const FRESH = 0xffffffffu;

// An origin is an old row and one of four actions.
const ROW = 0x3fffffffu;
const KEEP = 0u;
const COPY = 1u << 30u;
const HALF = 2u << 30u;
const OTHER_HALF = 3u << 30u;

// Opacity 0.02.
const PRUNE_LOGIT = -3.8918203;
// One row in so many may be doubled.
const GROWTH = 2u;
// 0.5 pixels. Larger splats are split.
const SPLIT_LOG_STD = -0.6931472;
// The halves of a split splat together have its variance: SHIFT^2 + exp(-2 SHRINK) = 1. 3D Gaussian Splatting (Kerbl et
// al. 2023, arXiv:2308.04079) divides by 1.6 too, and draws the places.
const SHRINK = 0.47000363;
const SHIFT = 0.7806247;
