// Stores that keep the new state in a variable instead of writing it: an 8-bit block has no scale yet, and a probe does
// not write state.

struct Kept {
    m: Quad,
    v: Quad,
    v_max: Quad,
    grad_avg: Quad,
}

var<private> kept: Kept;

fn store_m(place: Place, x: Quad) {
    kept.m = x;
}

fn store_v(place: Place, x: Quad) {
    kept.v = x;
}

fn store_v_max(place: Place, x: Quad) {
    kept.v_max = x;
}

fn store_grad_avg(place: Place, x: Quad) {
    kept.grad_avg = x;
}
