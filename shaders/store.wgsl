// Stores of whole words: all spans begin and end with a word. `store_edges.wgsl` is for those that do not.

fn store(word: u32, after: Moved, mask: Mask) {
    param[word] = after.param;
    m[word] = after.m;
    v[word] = after.v;
}
