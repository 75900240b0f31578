// All rows are active.

// The number of rows to look at.
fn candidates() -> u32 {
    return rows.count;
}

// The row of a candidate, or NO_ROW.
fn row_of(candidate: u32) -> u32 {
    return candidate;
}
