// The landscapes: heights and their gradients over the square from (-1, -1) to (1, 1).

override landscape: u32;

const PI = 3.14159265;

// x is the height, y and z are the gradient.
fn height(at: vec2<f32>) -> vec3<f32> {
    if (landscape == 0u) {
        // Rosenbrock's valley: a bent, flat valley between steep walls; the minimum is at (0.5, 0.5).
        let p = 2.0 * at;
        let off = p.y - p.x * p.x;
        let slope = vec2(-2.0 * (1.0 - p.x) - 40.0 * off * p.x, 20.0 * off);
        return vec3((1.0 - p.x) * (1.0 - p.x) + 10.0 * off * off, 2.0 * slope);
    }
    if (landscape == 1u) {
        // Himmelblau's function: four minima of the same depth.
        let p = 5.0 * at;
        let a = p.x * p.x + p.y - 11.0;
        let b = p.x + p.y * p.y - 7.0;
        let slope = vec2(4.0 * a * p.x + 2.0 * b, 2.0 * a + 4.0 * b * p.y);
        return vec3(a * a + b * b, 5.0 * slope) / 20.0;
    }
    // Rastrigin's function, flattened: a bowl with ripples, which have minima of their own.
    let p = 3.0 * at;
    let wave = cos(2.0 * PI * p);
    let slope = 2.0 * p + 2.0 * PI * 0.8 * sin(2.0 * PI * p);
    return vec3(dot(p, p) + 0.8 * (2.0 - wave.x - wave.y), 3.0 * slope);
}
