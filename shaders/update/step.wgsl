// What a rule is given and what it is made of: the gradient as it sees it, averages, the param moved. Twin: src/cpu/step.rs.
// CLIP_VALUE and SQUARABLE are in the generated head. A rule is three functions, in the file of rules/ that the variant has:
// what it will `remember`, the `divisor_of` a step, and the `step_of` the param. Between them there is something to store,
// which a processor does while it divides.

// An exponential average one step closer to `x`: beta*old + (1 - beta)*x. The rate is 1 - beta and counts from `old`, or
// -beta and counts from `x` (beta below a half): both are one rounding away from exact, and 1 - beta is not made from a
// rounded beta. The choice is made at run time for another reason too: of a plain `old + rate*(x - old)` some
// compilers make `old*(1 - rate) + x*rate`, which is the rounded beta again.
fn average(old: Quad, x: Quad, rate: f32, from_target: u32) -> Quad {
    return select(old, x, from_target != 0u) + rate * (x - old);
}

// The built-in leaves open what the maximum of a number and a NaN is; here the number stays.
fn larger(old: Quad, x: Quad) -> Quad {
    return select(old, x, x > old);
}

// A finite gradient whose square overflows would leave v infinite and the parameter frozen for good. It counts as the
// largest one whose square is finite; infinities and NaN go through and are seen.
fn squarable(g: Quad) -> Quad {
    let bits = bitcast<Bits>(g);
    let overflows = ((bits & Bits(0x7fffffffu)) - Bits(0x5f800000u)) < Bits(0x20000000u);
    return select(g, bitcast<Quad>((bits & Bits(0x80000000u)) | Bits(0x5f7fffffu)), overflows);
}

fn clipped(g: Quad, limit: f32) -> Quad {
    let bound = select(Quad(limit), Quad(-limit), g < Quad(0.0));
    return select(g, bound, abs(g) > Quad(limit));
}

// What the rule sees as the gradient.
fn gradient(s: Scalars, grad: Quad, param: Quad) -> Quad {
    var g = s.scale * grad;
    if CLIP_VALUE {
        g = clipped(g, s.limit);
    }
    g = g + s.l2 * param;
    if SQUARABLE {
        g = squarable(g);
    }
    return g;
}

// Decay and step are summed before they touch param, so that there is one rounding at param's magnitude.
fn moved(s: Scalars, param: Quad, step: Quad) -> Quad {
    return param - (s.decay * param + step);
}

// All of a rule, where nothing is stored in between.
fn rule(s: Scalars, old: State, g: Quad) -> State {
    var now = remember(s, old, g);
    now.param = moved(s, old.param, step_of(s, old, now, g, divisor_of(s, now)));
    return now;
}
