// What the kernels share: the row of a splat, and a splat as the renderer uses it. Its equations and its twin are in
// `splat.rs`. The host puts this file before each kernel.

override capacity: u32;
override width: u32;
override height: u32;

// The first column of each attribute.
const MEAN = 0u;
const LOG_STD = 2u;
const ANGLE = 4u;
const COLOR = 5u;
const LOGIT = 8u;
const COLUMNS = 9u;

// exp(-9/2): the Gaussian at 3 standard deviations, where a splat ends.
const CUT = 0.011108997;
// The weight of the black background.
const EMPTY = 1e-3;

// The pixels of a tile.
const TILE = vec2(16u, 8u);

// Where a number is in a buffer of rows.
fn at(row: u32, column: u32) -> u32 {
    return row * COLUMNS + column;
}

struct Splat {
    mean: vec2<f32>,
    // Cosine and sine of the angle of the first axis.
    turn: vec2<f32>,
    // 1 / std^2.
    inverse: vec2<f32>,
    opacity: f32,
    color: vec3<f32>,
}

// A splat seen from a pixel.
struct Seen {
    u: vec2<f32>,
    a: vec2<f32>,
    // exp(-q/2) where the splat touches the pixel, otherwise 0.
    gaussian: f32,
    k: f32,
}

fn seen(mean: vec2<f32>, turn: vec2<f32>, inverse: vec2<f32>, pixel: vec2<f32>) -> Seen {
    let d = pixel - mean;
    let u = vec2(turn.x * d.x + turn.y * d.y, turn.x * d.y - turn.y * d.x);
    let a = u * inverse;
    let gaussian = exp(-0.5 * dot(u, a));
    let touches = gaussian > CUT;
    return Seen(u, a, select(0.0, gaussian, touches), select(0.0, gaussian - CUT, touches));
}

fn tiles() -> vec2<u32> {
    return (vec2(width, height) + TILE - 1u) / TILE;
}
