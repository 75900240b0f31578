// What both forms of the norm share: the sum of squares of one invocation. Twin: src/cpu/norm.rs.

@group(0) @binding(partials_binding) var<storage, read_write> partials: array<Partial>;

// The sums of squares and the largest magnitudes of an invocation.
struct Seen {
    squares: Quad,
    top: Bits,
}

fn take(seen: Seen, g: Quad) -> Seen {
    return Seen(seen.squares + g * g, max(seen.top, magnitude(g)));
}

// If the largest magnitude is at least 2^46, the gradients are big: below that, 2^32 squares do not overflow. If it is
// below 2^-40, they are small: next to the square of 2^-40, squares that vanish do not matter.
const BIG: u32 = 0x56800000u;
const SMALL: u32 = 0x2b800000u;

// Whether the squares may overflow or vanish.
fn is_rare(top: u32) -> bool {
    return (top != 0u && top < SMALL) || top >= BIG;
}
