// What a workgroup of `norm` leaves for `tick`. `Partial` in cpu/norm.rs.
//
// Squares of f32 overflow above 2^64 and vanish below 2^-63, so the sum of squares is kept at three scales, of which
// one always serves: of the gradients times 2^80, as they are, and times 2^-80.

struct Partial {
    small: f32,
    middle: f32,
    big: f32,
    first_bad: u32,     // the launch's first element that is not finite (or too large), or NONE
}

const NONE: u32 = 0xffffffffu;
const UP: f32 = 1208925819614629174706176.0;        // 2^80
const DOWN: f32 = 8.271806125530277e-25;            // 2^-80

// A fixed tree: the order of the additions, and so every bit, depends on nothing but the place of the terms.
var<workgroup> tree: array<Partial, WORKGROUP>;

fn reduce(index: u32, mine: Partial) {
    tree[index] = mine;
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        if index < half {
            let other = tree[index + half];
            tree[index].small += other.small;
            tree[index].middle += other.middle;
            tree[index].big += other.big;
            tree[index].first_bad = min(tree[index].first_bad, other.first_bad);
        }
        workgroupBarrier();
    }
}
