// Lists the splats of each tile in the order of their rows, one invocation per tile, and clears the marks for the next
// step. A list has room for all rows.

@group(0) @binding(0) var<storage, read> live: u32;
@group(0) @binding(1) var<storage, read_write> marks: array<u32>;
@group(0) @binding(2) var<storage, read_write> lists: array<u32>;
@group(0) @binding(3) var<storage, read_write> counts: array<u32>;

@compute @workgroup_size(64)
fn list(@builtin(global_invocation_id) id: vec3<u32>) {
    let tile = id.x;
    let all = tiles().x * tiles().y;
    if (tile >= all) {
        return;
    }
    var end = tile * capacity;
    for (var first = 0u; first < live; first += 32u) {
        let word = first / 32u * all + tile;
        var bits = marks[word];
        if (bits != 0u) {
            marks[word] = 0u;
        }
        while (bits != 0u) {
            lists[end] = first + firstTrailingBit(bits);
            end += 1u;
            bits &= bits - 1u;
        }
    }
    counts[tile] = end - tile * capacity;
}
