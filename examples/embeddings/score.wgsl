// The score of a pair, its loss, and the slope of the loss. One invocation per pair.

override dim: u32;
override group: u32; // neighbours, and then random pairs

@group(0) @binding(0) var<storage, read> pairs: array<vec2<u32>>;
@group(0) @binding(1) var<storage, read> words: array<f32>;
@group(0) @binding(2) var<storage, read> contexts: array<f32>;
@group(0) @binding(3) var<storage, read_write> slopes: array<f32>;
@group(0) @binding(4) var<storage, read_write> losses: array<f32>;

@compute @workgroup_size(64)
fn score(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= arrayLength(&pairs) {
        return;
    }
    let pair = pairs[id.x];
    var score = 0.0;
    for (var j = 0u; j < dim; j++) {
        score += words[pair.x * dim + j] * contexts[pair.y * dim + j];
    }
    let neighbours = id.x % group == 0u;
    let wrong = select(score, -score, neighbours);
    losses[id.x] += max(wrong, 0.0) + log(1.0 + exp(-abs(wrong)));
    slopes[id.x] = 1.0 / (1.0 + exp(-score)) - f32(neighbours);
}
