// The first rows of the tensor are active.

@group(0) @binding(listed_binding) var<uniform> listed: Listed;

fn candidates() -> u32 {
    return max(listed.count, rows.first) - rows.first;
}

fn row_of(candidate: u32) -> u32 {
    return select(NO_ROW, candidate, candidate < candidates());
}
