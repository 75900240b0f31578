// Keeps the new NAME in a variable instead of writing it: an 8-bit block has no scale yet, and a probe does not write
// state.

fn store_NAME(place: Place, x: Quad) {
    kept.NAME = x;
}
