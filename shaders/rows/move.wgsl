// What both kernels that change the state of rows are told.

// A row of a state tensor has some units, of 1 or 4 words. `MoveUniform` in src/gpu/gather.rs.
struct Move {
    rows: u32,          // the rows of the region to move to, or the length of the list
    first: u32,         // the tensor's row that is its row 0
    from_rows: u32,     // of the region to move from
    from_first: u32,
    units: u32,         // in a row
    from_begin: u32,    // the first unit of row 0
    to_begin: u32,
    source_at: u32,     // the first number in its window
    count_at: u32,      // the count of the list in its window
    fill: u32,          // a word of a row that has not been stepped
    fills: u32,         // 1 to write such rows
    total: u32,         // the rows of the tensor
}

// The number of an invocation's unit.
fn unit_of(workgroup: vec3<u32>, workgroups: vec3<u32>, index: u32) -> u32 {
    return (workgroup.y * workgroups.x + workgroup.x) * WORKGROUP + index;
}
