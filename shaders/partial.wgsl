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

var<workgroup> tree: array<Partial, WORKGROUP>;

fn add(a: Partial, b: Partial) -> Partial {
    return Partial(a.small + b.small, a.middle + b.middle, a.big + b.big, min(a.first_bad, b.first_bad));
}

// A tree of two levels of 16, since barriers cost more than additions. The order of the additions, and so every bit,
// depends on nothing but the place of the terms. The result is in tree[0], for invocation 0.
fn reduce(index: u32, mine: Partial) {
    tree[index] = mine;
    workgroupBarrier();
    var total = mine;
    if index < 16u {
        for (var i = index + 16u; i < WORKGROUP; i += 16u) {
            total = add(total, tree[i]);
        }
        tree[index] = total;
    }
    workgroupBarrier();
    if index == 0u {
        for (var i = 1u; i < 16u; i++) {
            total = add(total, tree[i]);
        }
        tree[0] = total;
    }
}
