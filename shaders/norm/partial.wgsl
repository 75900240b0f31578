// The result of one workgroup of `norm`, which `tick` reads. `Partial` in src/tick/partial.rs.
//
// Squares of f32 overflow above 2^64 and vanish below 2^-63. So there are three sums of squares (Blue 1978, "A Portable
// Fortran Program to Find the Euclidean Norm of a Vector"): one of unscaled gradients, which is nearly always the only
// one; one of small gradients times 2^80; and one of big gradients times 2^-80. All gradients of an invocation go into
// the same sum. The largest of them decides which.

struct Partial {
    small: f32,
    middle: f32,
    big: f32,
    first_nonfinite: u32,     // the region's first element that counts as non-finite, or NONE
}

const NONE: u32 = 0xffffffffu;
const UP: f32 = 1208925819614629174706176.0;        // 2^80
const DOWN: f32 = 8.271806125530277e-25;            // 2^-80

// Each partial is packed into one vector: one access instead of four.
var<workgroup> tree: array<vec4<u32>, WORKGROUP>;

fn packed(x: Partial) -> vec4<u32> {
    return vec4<u32>(bitcast<u32>(x.small), bitcast<u32>(x.middle), bitcast<u32>(x.big), x.first_nonfinite);
}

fn unpacked(x: vec4<u32>) -> Partial {
    return Partial(bitcast<f32>(x.x), bitcast<f32>(x.y), bitcast<f32>(x.z), x.w);
}

fn add(a: Partial, b: Partial) -> Partial {
    return Partial(a.small + b.small, a.middle + b.middle, a.big + b.big, min(a.first_nonfinite, b.first_nonfinite));
}

// Adds up the partials of all invocations in a tree of two levels of 16, since barriers cost more than additions. The
// order of the additions, and so every bit of the result, depends only on the place of the terms. The result is for
// invocation 0.
fn reduce(index: u32, mine: Partial) -> Partial {
    tree[index] = packed(mine);
    workgroupBarrier();
    var total = mine;
    if index < 16u {
        for (var i = index + 16u; i < WORKGROUP; i += 16u) {
            total = add(total, unpacked(tree[i]));
        }
        tree[index] = packed(total);
    }
    workgroupBarrier();
    if index == 0u {
        for (var i = 1u; i < 16u; i++) {
            total = add(total, unpacked(tree[i]));
        }
    }
    return total;
}
