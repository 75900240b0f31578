// The rows of a list are active.

@group(0) @binding(active_binding) var<storage, read> active_rows: array<u32>;
@group(0) @binding(listed_binding) var<uniform> listed: Listed;

fn candidates() -> u32 {
    return listed.count;
}

// A row of another region becomes a number that is too large.
fn row_of(candidate: u32) -> u32 {
    if candidate >= listed.count {
        return NO_ROW;
    }
    return active_rows[rows.active_at + candidate] - rows.first;
}
