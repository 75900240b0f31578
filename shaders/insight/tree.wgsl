// How the invocations of a workgroup add up what they measured.

var<workgroup> tree: array<Measured, WORKGROUP>;

// Adds up the measurements of all invocations in a tree of two levels of 16. The order depends only on the place of the
// terms. The result is in tree[0], for invocation 0.
fn reduce(index: u32, mine: Measured) {
    tree[index] = mine;
    workgroupBarrier();
    var total = mine;
    if index < 16u {
        for (var i = index + 16u; i < WORKGROUP; i += 16u) {
            total = add(total, tree[i]);
        }
        tree[index] = total;
    }
    workgroupBarrier();
    if index == 0u {
        for (var i = 1u; i < 16u; i++) {
            total = add(total, tree[i]);
        }
        tree[0] = total;
    }
}
