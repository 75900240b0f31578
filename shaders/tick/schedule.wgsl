// The learning rate's factor at step t. Twin: src/cpu/schedule.rs. All arithmetic is in integers, so the factor is the
// same on every driver. (WGSL allows cos an error of 2^-11, and pow and exp little less.)

// A quadratic Bezier curve of the factor over some steps. `Curve` in src/tick/curves.rs.
struct Curve {
    step: vec2<u32>,    // 2^64 / length
    start: vec2<u32>,   // three control values, in units of 2^-64 of the schedule's unit
    middle: vec2<u32>,
    end: vec2<u32>,
    first: u32,         // the steps before it
    every: u32,         // it advances once in so many steps
    period: u32,        // if not 0, this is no curve: the curves of the `period` steps before `first` are repeated
    pad: u32,
}

@group(0) @binding(curves_binding) var<storage, read> curves: array<Curve>;

// The last curve that has begun after n steps.
fn curve_at(s: Settings, n: u32) -> Curve {
    var at = s.first_curve;
    var end = at + s.curves;
    while end - at > 1u {
        let middle = (at + end) / 2u;
        if curves[middle].first <= n {
            at = middle;
        } else {
            end = middle;
        }
    }
    return curves[at];
}

// The part x of the way from a to b.
fn between(a: vec2<u32>, b: vec2<u32>, x: vec2<u32>) -> vec2<u32> {
    let rises = less(a, b);
    let gone = product(select(plus(a, negated(b)), plus(b, negated(a)), rises), x);
    return plus(a, select(negated(gone), gone, rises));
}

// The factor after some steps, in units of 2^-64 of the schedule's unit.
fn value(s: Settings, steps: u32) -> vec2<u32> {
    var n = steps;
    var curve = curve_at(s, n);
    if curve.period != 0u {
        n = curve.first - curve.period + (n - curve.first) % curve.period;
        curve = curve_at(s, n);
    }
    // A held curve may last for longer than its one step, but its control values are equal.
    let x = times(curve.step, (n - curve.first) / curve.every);
    return between(between(curve.start, curve.middle, x), between(curve.middle, curve.end, x), x);
}

// The factor at step t, the first of which is 1.
fn factor(s: Settings, t: u32) -> f32 {
    if s.curves == 0u {
        return 1.0;
    }
    return s.schedule_unit * fraction(value(s, t - 1u));
}
