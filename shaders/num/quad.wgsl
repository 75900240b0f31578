// Quads: a quad is the four elements that one load moves. Twin: src/num/quad.rs.

alias Quad = vec4<f32>;
alias Bits = vec4<u32>;
alias Mask = vec4<bool>;
const LANES: u32 = 4u;

// Quads that neighbouring invocations load at once: a line of memory (128 bytes of f32).
const LINE: u32 = 8u;

// The element numbers of a quad.
fn elements(quad: u32) -> Bits {
    return Bits(quad * LANES) + Bits(0u, 1u, 2u, 3u);
}

fn sum(x: Quad) -> f32 {
    return (x.x + x.y) + (x.z + x.w);
}

// The bits of |x|.
fn magnitude(x: Quad) -> Bits {
    return bitcast<Bits>(x) & Bits(0x7fffffffu);
}

fn largest(x: Bits) -> u32 {
    return max(max(x.x, x.y), max(x.z, x.w));
}

// The first lane whose mask is true, or LANES.
fn first_lane(mask: Mask) -> u32 {
    return select(select(select(select(4u, 3u, mask.w), 2u, mask.z), 1u, mask.y), 0u, mask.x);
}
