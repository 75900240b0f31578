// The learning rate's factor at step t. Twin: src/cpu/schedule.rs. Integers throughout, so that it is the same on every
// driver: WGSL allows cos an error of 2^-11, and pow and exp little less.

// A stretch of a schedule. `Phase` in phase.rs. Of k steps of it, w of the way from `start` to `end` is gone.
struct Phase {
    step: vec2<u32>,    // 2^64 / length, or of a table 2^64 / every
    start: vec2<u32>,   // units of 2^-64 of the schedule's scale, as is all that follows
    end: vec2<u32>,
    power: vec2<u32>,   // units of 2^-58: the exponent of POLYNOMIAL, what EXPONENTIAL falls by in octaves, log2(every) of ROOT
    first: u32,         // steps before it
    kind: u32,
    length: u32,        // after so many steps it has come to `end`; of a table, values
    repeats: u32,       // 1: it then begins anew
    every: u32,         // steps that one value of a table or one stair lasts; the timescale of ROOT
    begin: u32,         // where in `values` a table begins
}

// The numbers are those of phase.rs.
const LINEAR: u32 = 0u;
const COSINE: u32 = 1u;
const POLYNOMIAL: u32 = 2u;
const EXPONENTIAL: u32 = 3u;
const ROOT: u32 = 4u;
const TABLE: u32 = 5u;
const HELD_TABLE: u32 = 6u;

@group(0) @binding(phases_binding) var<storage, read> phases: array<Phase>;
@group(0) @binding(values_binding) var<storage, read> values: array<vec2<u32>>;

// `values` begins with 40 logarithms, the first of which is log2(1 + 1/2), and the 7 terms of `half_cosine`.
const LOGARITHMS: u32 = 40u;
const TERMS: u32 = 7u;

const ONE: vec2<u32> = vec2<u32>(0xffffffffu, 0xffffffffu);     // nearly

// log2(a) in units of 2^-58, of an integer that is not 0; up to 64, which is 0. Multiplied by 1 + 1/2, 1 + 1/4, ... as
// long as it stays below the next power of two, a comes up to that, and the logarithms of the factors are what it lacked.
// (Mesa unrolls loops of up to 32 turns, and then needs seconds to compile this one.)
fn log2_of(a: vec2<u32>) -> vec2<u32> {
    let shift = leading_zeros(a);
    var grown = left(a, shift);
    var lacking = vec2<u32>(0u);
    for (var i = 0u; i < LOGARITHMS; i++) {
        let more = plus(grown, right(grown, i + 1u));
        if !less(more, grown) {
            grown = more;
            lacking = plus(lacking, values[i]);
        }
    }
    return plus(vec2<u32>(0u, (64u - shift) << 26u), negated(right(lacking, 6u)));
}

// 2^-a of a in units of 2^-58: the same products, for as long as their logarithms stay below.
fn exp2_minus(a: vec2<u32>) -> vec2<u32> {
    let part = left(a, 6u);
    if (part.x | part.y) == 0u {
        return right(ONE, a.y >> 26u);
    }
    var left_over = negated(part);
    var grown = vec2<u32>(0u, 0x80000000u);
    for (var i = 0u; i < LOGARITHMS; i++) {
        if !less(left_over, values[i]) {
            left_over = plus(left_over, negated(values[i]));
            grown = plus(grown, right(grown, i + 1u));
        }
    }
    return right(grown, a.y >> 26u);
}

// (1 - cos(pi*x)) / 2 of 0 < x < 1, from its series in (2*x)^2 where x is at most a half.
fn half_cosine(x: vec2<u32>) -> vec2<u32> {
    let second = x.y >= 0x80000000u;
    let near = left(select(x, negated(x), second), 1u);
    // At a half twice x is 1, which is 0 here.
    let double = select(near, ONE, (near.x | near.y) == 0u);
    let square = product(double, double);
    var sum = values[LOGARITHMS + TERMS - 1u];
    for (var i = 2u; i <= TERMS; i++) {
        sum = plus(values[LOGARITHMS + TERMS - i], negated(product(square, sum)));
    }
    sum = product(square, sum);
    return select(sum, negated(sum), second);
}

// How much of the way is gone after k steps, where 0 < k and k < length.
fn way(phase: Phase, k: u32) -> vec2<u32> {
    let x = times(phase.step, k).xy;
    if phase.kind == COSINE {
        return half_cosine(x);
    }
    if phase.kind == LINEAR || phase.kind == TABLE {
        return x;
    }
    // The others are 1 - 2^-a.
    var a = vec3<u32>(0u);
    if phase.kind == EXPONENTIAL {
        a = times(phase.power, k / phase.every);
    } else {
        let root = phase.kind == ROOT;
        let sum = plus(vec2<u32>(phase.every, 0u), vec2<u32>(k, 0u));
        let logarithm = log2_of(select(negated(x), sum, root));
        if root {
            // ((every + k) / every)^-(1/2), with the logarithm of `every` as power
            a = vec3<u32>(right(plus(logarithm, negated(phase.power)), 1u), 0u);
        } else {
            // (1 - x)^power
            let power = product(negated(logarithm), phase.power);
            a = vec3<u32>(left(power, 6u), power.y >> 26u);
        }
    }
    if a.z != 0u {
        return ONE;
    }
    return negated(exp2_minus(a.xy));
}

// So much of the way from one number to another.
fn between(start: vec2<u32>, end: vec2<u32>, way: vec2<u32>) -> vec2<u32> {
    if less(start, end) {
        return plus(start, product(plus(end, negated(start)), way));
    }
    return plus(start, negated(product(plus(start, negated(end)), way)));
}

fn value(phase: Phase, steps: u32) -> vec2<u32> {
    if phase.kind == TABLE || phase.kind == HELD_TABLE {
        let at = min(steps / phase.every, phase.length - 1u);
        let here = values[phase.begin + at];
        let k = steps - at * phase.every;
        if phase.kind == HELD_TABLE || at == phase.length - 1u || k == 0u {
            return here;
        }
        return between(here, values[phase.begin + at + 1u], times(phase.step, k).xy);
    }
    var k = steps;
    if phase.repeats != 0u {
        k = k % phase.length;
    }
    if k == 0u {
        return phase.start;
    }
    if k >= phase.length {
        return phase.end;
    }
    return between(phase.start, phase.end, way(phase, k));
}

// The factor at step t, the first of which is 1.
fn factor(s: Settings, t: u32) -> f32 {
    if s.phases == 0u {
        return 1.0;
    }
    // The last phase that has begun.
    var at = s.first_phase;
    var end = at + s.phases;
    while end - at > 1u {
        let middle = (at + end) / 2u;
        if phases[middle].first < t {
            at = middle;
        } else {
            end = middle;
        }
    }
    return s.scale * fraction(value(phases[at], t - 1u - phases[at].first));
}
