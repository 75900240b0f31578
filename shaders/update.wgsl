// The step: Adam (Kingma & Ba 2015, Algorithm 1, lines 7 to 12) in place, with the scalars of `tick`.
// Twin: src/cpu/update.rs. WORKGROUP and CLIP_VALUE are declared in the generated head, grad in grad_*.wgsl.

@group(0) @binding(1) var<storage, read_write> param: array<Word>;
@group(0) @binding(3) var<storage, read_write> m: array<Word>;
@group(0) @binding(4) var<storage, read_write> v: array<Word>;
@group(0) @binding(5) var<uniform> scalars: Scalars;
@group(0) @binding(6) var<storage, read> slots: array<Slot>;

struct Moved {
    param: Word,
    m: Word,
    v: Word,
}

// An exponential average one step closer to `x`: beta*old + (1 - beta)*x. The rate is 1 - beta and counts from `old`, or
// -beta and counts from `x` (beta below a half): both are one rounding away from exact, and 1 - beta is not made from a
// rounded beta.
fn average(old: Word, x: Word, rate: f32, from_target: u32) -> Word {
    return select(old, x, from_target != 0u) + rate * (x - old);
}

// A finite gradient whose square overflows would leave v infinite and the parameter frozen for good. It counts as the
// largest one whose square is finite; infinities and NaN go through and are seen.
fn squarable(g: Word) -> Word {
    let bits = bitcast<Bits>(g);
    let overflows = ((bits & Bits(0x7fffffffu)) - Bits(0x5f800000u)) < Bits(0x20000000u);
    return select(g, bitcast<Word>((bits & Bits(0x80000000u)) | Bits(0x5f7fffffu)), overflows);
}

fn clipped(g: Word, limit: f32) -> Word {
    let bound = select(Word(limit), Word(-limit), g < Word(0.0));
    return select(g, bound, abs(g) > Word(limit));
}

fn adam(s: Scalars, param: Word, grad: Word, old_m: Word, old_v: Word) -> Moved {
    var g = grad;
    if CLIP_VALUE {
        g = clipped(g, s.limit);
    }
    g = squarable(s.scale * g + s.l2 * param);
    let m = average(old_m, g, s.m_rate, s.m_from_target);
    let v = average(old_v, g * g, s.v_rate, s.v_from_target);
    let step = (s.m_coef * m) / (sqrt(v) * s.v_coef + s.eps);
    // Summed before they touch param, so that there is one rounding at param's magnitude.
    return Moved(param - (s.decay * param + step), m, v);
}

// The elements of one word that are in `mask`; the others keep their values.
fn apply(s: Scalars, word: u32, mask: Mask) {
    let p = launch.param_word + word;
    let g = launch.grad_word + word;
    let grad_now = grad[g];
    if s.do_step != 0u {
        let before = Moved(param[p], m[word], v[word]);
        let after = adam(s, before.param, grad_now, before.m, before.v);
        param[p] = select(before.param, after.param, mask);
        m[word] = select(before.m, after.m, mask);
        v[word] = select(before.v, after.v, mask);
    }
    leave_grad(g, grad_now, mask);
}

// All elements of the launch are of one group.
@compute @workgroup_size(WORKGROUP)
fn update(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let word = (workgroup.y * workgroups.x + workgroup.x) * (2u * WORKGROUP) + index;
    if word < launch.words {
        apply(scalars, word, inside(word, launch.begin, launch.end));
    }
    if word + WORKGROUP < launch.words {
        apply(scalars, word + WORKGROUP, inside(word + WORKGROUP, launch.begin, launch.end));
    }
}

// The spans that meet one word, mostly one.
fn apply_spans(word: u32) {
    let begin = word * LANES;
    for (var span = first_span(word); table[span] < begin + LANES; span += 3u) {
        if table[span + 1u] > begin {
            apply(slots[table[span + 2u]].scalars, word, inside(word, table[span], table[span + 1u]));
        }
    }
}

// The elements are of several groups, or there are gaps between them.
@compute @workgroup_size(WORKGROUP)
fn update_spans(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let word = (workgroup.y * workgroups.x + workgroup.x) * (2u * WORKGROUP) + index;
    if word < launch.words {
        apply_spans(word);
    }
    if word + WORKGROUP < launch.words {
        apply_spans(word + WORKGROUP);
    }
}
