// The landscape with lines of equal height, and the points on it.

override dark: u32;
// The width of the canvas in heights.
override aspect: f32;

struct Corner {
    @builtin(position) position: vec4<f32>,
    @location(0) at: vec2<f32>,
    @location(1) color: vec3<f32>,
}

// The colors of the rules, as in the legend.
const LIGHT = array(vec3(0.12, 0.39, 0.82), vec3(0.82, 0.29, 0.10), vec3(0.06, 0.50, 0.36), vec3(0.56, 0.22, 0.72), vec3(0.66, 0.45, 0.0));
const DARK = array(vec3(0.45, 0.68, 1.0), vec3(1.0, 0.55, 0.35), vec3(0.30, 0.82, 0.62), vec3(0.82, 0.56, 1.0), vec3(0.95, 0.76, 0.25));

override points_of_a_rule: u32;

@vertex
fn ground(@builtin(vertex_index) index: u32) -> Corner {
    let at = vec2(f32(index & 1u), f32(index >> 1u)) * 4.0 - 1.0;
    return Corner(vec4(at, 0.0, 1.0), at, vec3(0.0));
}

@fragment
fn shade(corner: Corner) -> @location(0) vec4<f32> {
    let level = log2(1.0 + 8.0 * height(corner.at).x);
    let line = smoothstep(0.0, 1.5 * fwidth(level), abs(fract(level) - 0.5));
    let depth = clamp(level / 9.0, 0.0, 1.0);
    let day = mix(vec3(0.84, 0.90, 0.98), vec3(1.0, 1.0, 1.0), depth) * mix(0.91, 1.0, line);
    let night = mix(vec3(0.13, 0.17, 0.25), vec3(0.06, 0.07, 0.09), depth) + vec3(0.07) * (1.0 - line);
    return vec4(select(day, night, dark == 1u), 1.0);
}

// A point is a square of two triangles, made of one instance. `at` is read from the parameters themselves.
@vertex
fn point(@builtin(vertex_index) index: u32, @builtin(instance_index) number: u32, @location(0) at: vec2<f32>) -> Corner {
    let corner = vec2(f32(index & 1u), f32(index >> 1u)) * 2.0 - 1.0;
    var light = LIGHT;
    var night = DARK;
    let rule = number / points_of_a_rule;
    let color = select(light[rule], night[rule], dark == 1u);
    return Corner(vec4(at + corner * 0.009 / vec2(aspect, 1.0), 0.0, 1.0), corner, color);
}

@fragment
fn dot_of(corner: Corner) -> @location(0) vec4<f32> {
    let inside = 1.0 - smoothstep(0.6, 1.0, length(corner.at));
    return vec4(corner.color, 0.75 * inside);
}
