// What both kernels that change the state of rows are told.

// A row of a state tensor has some units, of 1 or 4 words. `MoveUniform` in src/gpu/gather.rs.
struct Move {
    rows: u32,          // the rows of the region to move to, or the length of the list
    first: u32,         // the tensor's row that is its row 0
    from_rows: u32,     // of the region to move from
    from_first: u32,
    units: u32,         // in a row
    runs: u32,          // in a row: an invocation moves a run of units
    tile_rows: u32,     // rows that a workgroup moves
    inverse_runs: f32,  // 1 / runs
    from_begin: u32,    // the first unit of row 0
    to_begin: u32,
    source_at: u32,     // the first number in its window
    count_at: u32,      // the count of the list in its window
    fill: u32,          // a word of a row that has not been stepped
    fills: u32,         // 1 to write such rows
    total: u32,         // the rows of the tensor
}

// Units in a run. The last run of a row may be shorter.
const RUN: u32 = 4u;

// The run of an invocation: its row, counted from the tile's first one, and its first unit in the row. There is none if
// the row is not below `tile_rows`.
fn run_of(index: u32) -> vec2<u32> {
    let local = u32((f32(index) + 0.5) * moved.inverse_runs);
    return vec2<u32>(local, (index - local * moved.runs) * RUN);
}
