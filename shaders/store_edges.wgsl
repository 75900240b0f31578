// Stores where a word may be shared with a neighbour: its elements are not written, not even with their own values, since
// another workgroup may be writing them.

fn store(word: u32, after: Moved, mask: Mask) {
    if all(mask) {
        param[word] = after.param;
        m[word] = after.m;
        v[word] = after.v;
        return;
    }
    if mask.x { param[word].x = after.param.x; m[word].x = after.m.x; v[word].x = after.v.x; }
    if mask.y { param[word].y = after.param.y; m[word].y = after.m.y; v[word].y = after.v.y; }
    if mask.z { param[word].z = after.param.z; m[word].z = after.m.z; v[word].z = after.v.z; }
    if mask.w { param[word].w = after.param.w; m[word].w = after.m.w; v[word].w = after.v.w; }
}
