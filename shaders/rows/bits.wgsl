// A row is active if its bit is 1.

@group(0) @binding(active_binding) var<storage, read> active_rows: array<u32>;

fn candidates() -> u32 {
    return rows.count;
}

fn row_of(candidate: u32) -> u32 {
    let bit = rows.first + candidate;
    let word = active_rows[rows.active_at + bit / 32u];
    return select(NO_ROW, candidate, ((word >> (bit % 32u)) & 1u) == 1u);
}
