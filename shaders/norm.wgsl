// Sums of squares of the gradients and the first bad one, a partial a workgroup. Twin: src/cpu/norm.rs.
// Finite is an integer test on the magnitude's bits: `x != x` is optimised away by some drivers.

@group(0) @binding(2) var<storage, read> grad: array<Word>;
@group(0) @binding(3) var<storage, read_write> partials: array<Partial>;

// What one invocation has seen.
var<private> small: Word;
var<private> middle: Word;
var<private> big: Word;
var<private> worst: Bits;

fn take(g: Word) {
    small += (UP * g) * (UP * g);
    middle += g * g;
    big += (DOWN * g) * (DOWN * g);
    worst = max(worst, magnitude(g));
}

fn magnitude(g: Word) -> Bits {
    return bitcast<Bits>(g) & Bits(0x7fffffffu);
}

// The gradients of one word, zero where it has none.
fn gradients(word: u32) -> Word {
    if word >= launch.words {
        return Word(0.0);
    }
    return select(Word(0.0), grad[launch.grad_word + word], inside(word, launch.begin, launch.end));
}

fn gradients_spans(word: u32) -> Word {
    var g = Word(0.0);
    if word < launch.words {
        let begin = word * LANES;
        for (var span = first_span(word); table[span] < begin + LANES; span += 3u) {
            g = select(g, grad[launch.grad_word + word], inside(word, table[span], table[span + 1u]));
        }
    }
    return g;
}

fn bad_element(word: u32, g: Word) -> u32 {
    let lane = first_lane(magnitude(g) >= Bits(launch.bad_bits));
    return select(NONE, word * LANES + lane, lane < LANES);
}

fn finish(workgroup: u32, index: u32, first_bad: u32) {
    reduce(index, Partial(sum(small), sum(middle), sum(big), first_bad));
    if index == 0u && workgroup < launch.workgroups {
        partials[launch.partial + workgroup] = tree[0];
    }
}

@compute @workgroup_size(WORKGROUP)
fn norm(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let workgroup = id.y * workgroups.x + id.x;
    let word = workgroup * (8u * WORKGROUP) + index;
    take(gradients(word));
    take(gradients(word + WORKGROUP));
    take(gradients(word + 2u * WORKGROUP));
    take(gradients(word + 3u * WORKGROUP));
    take(gradients(word + 4u * WORKGROUP));
    take(gradients(word + 5u * WORKGROUP));
    take(gradients(word + 6u * WORKGROUP));
    take(gradients(word + 7u * WORKGROUP));
    var first_bad = NONE;
    if largest(worst) >= launch.bad_bits {
        for (var k = 0u; k < 8u; k++) {
            let w = word + k * WORKGROUP;
            first_bad = min(first_bad, bad_element(w, gradients(w)));
        }
    }
    finish(workgroup, index, first_bad);
}

@compute @workgroup_size(WORKGROUP)
fn norm_spans(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let workgroup = id.y * workgroups.x + id.x;
    let word = workgroup * (8u * WORKGROUP) + index;
    var first_bad = NONE;
    for (var k = 0u; k < 8u; k++) {
        let w = word + k * WORKGROUP;
        let g = gradients_spans(w);
        take(g);
        first_bad = min(first_bad, bad_element(w, g));
    }
    finish(workgroup, index, first_bad);
}
