// The new state of a quad that is not stored at once.

struct Kept {
    m: Quad,
    v: Quad,
    v_max: Quad,
    grad_avg: Quad,
}

var<private> kept: Kept;
