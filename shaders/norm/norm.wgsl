// Sums of squares of the gradients and the first bad one, a partial a workgroup. Twin: src/cpu/norm.rs.
// Finite is an integer test on the magnitude's bits: `x != x` is optimised away by some drivers.

@group(0) @binding(3) var<storage, read_write> partials: array<Partial>;

// The gradients of one word, zero where it has none.
fn gradients(own: Piece, word: u32) -> Word {
    if word * LANES >= own.end {
        return Word(0.0);
    }
    let g = load_grad(word);
    if EDGES {
        return select(Word(0.0), g, inside(word, own.begin, own.end));
    }
    return g;
}

fn magnitude(g: Word) -> Bits {
    return bitcast<Bits>(g) & Bits(0x7fffffffu);
}

// An invocation's sum of squares, and the largest magnitudes.
struct Seen {
    squares: Word,
    top: Bits,
}

fn take(seen: Seen, g: Word) -> Seen {
    return Seen(seen.squares + g * g, max(seen.top, magnitude(g)));
}

// Largest magnitudes from here on are big, and below that small: bits of 2^46, so that 2^32 squares do not overflow, and of
// 2^-40, beside whose square those that vanish count for nothing.
const BIG: u32 = 0x56800000u;
const SMALL: u32 = 0x2b800000u;

fn bad_element(word: u32, g: Word) -> u32 {
    let lane = first_lane(magnitude(g) >= Bits(launch.bad_bits));
    return select(NONE, word * LANES + lane, lane < LANES);
}

// The same gradients once more, where the largest is small or big: at a scale at which they can be squared, and for the first
// bad one. Elsewhere there are no words to look at: where a compiler runs both sides of an `if`, a loop still ends at once.
fn again(own: Piece, word: u32, top: u32, words: u32) -> Partial {
    let big = top >= BIG;
    let scale = select(UP, DOWN, big);
    var squares = Word(0.0);
    var first_bad = NONE;
    for (var k = 0u; k < words; k++) {
        let g = gradients(own, word + k * LINE);
        squares += (scale * g) * (scale * g);
        first_bad = min(first_bad, bad_element(word + k * LINE, g));
    }
    let all = sum(squares);
    return Partial(select(all, 0.0, big), 0.0, select(0.0, all, big), first_bad);
}

@compute @workgroup_size(WORKGROUP)
fn norm(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let at = number(workgroup, workgroups);
    let own = piece(at, WORDS * WORKGROUP, launch.pieces);
    // As in pieces.wgsl: lines of 8 invocations, one behind the other.
    let word = own.word + index / LINE * (LINE * WORDS) + index % LINE;
    var seen = Seen(Word(0.0), Bits(0u));
    // Not a loop: that is slower on some drivers.
    seen = take(seen, gradients(own, word));
    seen = take(seen, gradients(own, word + 1u * LINE));
    seen = take(seen, gradients(own, word + 2u * LINE));
    seen = take(seen, gradients(own, word + 3u * LINE));
    seen = take(seen, gradients(own, word + 4u * LINE));
    seen = take(seen, gradients(own, word + 5u * LINE));
    seen = take(seen, gradients(own, word + 6u * LINE));
    seen = take(seen, gradients(own, word + 7u * LINE));
    seen = take(seen, gradients(own, word + 8u * LINE));
    seen = take(seen, gradients(own, word + 9u * LINE));
    seen = take(seen, gradients(own, word + 10u * LINE));
    seen = take(seen, gradients(own, word + 11u * LINE));
    seen = take(seen, gradients(own, word + 12u * LINE));
    seen = take(seen, gradients(own, word + 13u * LINE));
    seen = take(seen, gradients(own, word + 14u * LINE));
    seen = take(seen, gradients(own, word + 15u * LINE));
    let top = largest(seen.top);
    let rare = (top != 0u && top < SMALL) || top >= BIG;
    var mine = again(own, word, top, select(0u, WORDS, rare));
    mine.middle = select(sum(seen.squares), 0.0, rare);
    let total = reduce(index, mine);
    if index == 0u && at < launch.pieces {
        partials[launch.partial + at] = total;
    }
}
