// The parts that rules share: the gradient that a rule gets, and averages. Twin: src/cpu/gradient.rs.

// Moves an exponential average one step towards `x`, to beta*old + (1 - beta)*x, as base + rate*(x - old). The base is `old`
// and the rate is 1 - beta; for a beta below a half, the base is `x` and the rate is -beta. Both rates are rounded only once:
// 1 - beta is not computed from a rounded beta. The choice at run time has a second reason: some compilers turn a plain
// `old + rate*(x - old)` into `old*(1 - rate) + x*rate`, which rounds beta again.
fn average(old: Quad, x: Quad, rate: f32, from_target: u32) -> Quad {
    return select(old, x, from_target != 0u) + rate * (x - old);
}

// The result of the built-in `max` is undefined if one argument is NaN. Here a NaN in `x` is ignored.
fn larger(old: Quad, x: Quad) -> Quad {
    return select(old, x, x > old);
}

// 2^64 less 0.4 %. Its square is finite in bf16 too, even after a few roundings.
const MOST: f32 = 18374686479671623680.0;

// A finite gradient whose square overflows would make v infinite and freeze the parameter. It is bounded. Infinities and NaNs
// pass unchanged, so that they are noticed.
fn squarable(g: Quad) -> Quad {
    return select(clamp(g, Quad(-MOST), Quad(MOST)), g, magnitude(g) >= Bits(0x7f800000u));
}

// A sum of squares that overflows stays at the largest bf16, for the same reason. NaNs pass unchanged.
fn within_bf16(sum: Quad) -> Quad {
    let overflows = (bitcast<Bits>(sum) - Bits(0x7f7f0000u)) <= Bits(0x10000u);
    return select(sum, bitcast<Quad>(Bits(0x7f7f0000u)), overflows);
}

// The divisor of a step: the root of v with its bias correction, and eps. A root that has underflowed to zero is replaced
// by `min_root`, so that the step has a bound.
fn divisor(s: Scalars, v: Quad) -> Quad {
    let root = sqrt(v) * s.v_coef;
    return select(root, Quad(s.min_root), root == Quad(0.0)) + s.eps;
}

// Where a bound applies, a NaN must stay a NaN, so that it is noticed. Some drivers make the built-in `min` and `max` of
// comparisons, which ignore a NaN. So it is found by its bits, and put back.
fn unless_nan(x: Quad, bounded: Quad) -> Quad {
    return select(bounded, x, magnitude(x) > Bits(0x7f800000u));
}

fn clipped(g: Quad, limit: f32) -> Quad {
    let bound = select(Quad(limit), Quad(-limit), g < Quad(0.0));
    return unless_nan(g, select(g, bound, abs(g) > Quad(limit)));
}

fn gradient(s: Scalars, grad: Quad, param: Quad) -> Quad {
    var g = s.grad_mul * grad;
    if LIMITS {
        g = clipped(g, s.limit);
    }
    return squarable(g + s.l2 * param);
}

// Cautious decay spares parameters that the step moves away from zero.
fn decay_of(s: Scalars, param: Quad, step: Quad) -> Quad {
    let decay = s.decay * param;
    if LIMITS {
        let towards = ((step > Quad(0.0)) & (param > Quad(0.0))) | ((step < Quad(0.0)) & (param < Quad(0.0)));
        return select(Quad(0.0), decay, towards | Mask(s.cautious == 0u));
    }
    return decay;
}

fn limited(s: Scalars, next: Quad) -> Quad {
    if LIMITS {
        let above = select(next, Quad(s.param_min), next < Quad(s.param_min));
        return unless_nan(next, select(above, Quad(s.param_max), above > Quad(s.param_max)));
    }
    return next;
}

// Decay and step are added to each other first, so that only one rounding is at the parameter's magnitude.
fn moved(s: Scalars, param: Quad, step: Quad) -> Quad {
    return limited(s, param - (decay_of(s, param, step) + step));
}
