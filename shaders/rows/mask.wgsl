// A row is active if its u32 is not 0.

@group(0) @binding(active_binding) var<storage, read> active_rows: array<u32>;

fn candidates() -> u32 {
    return rows.count;
}

fn row_of(candidate: u32) -> u32 {
    return select(NO_ROW, candidate, active_rows[rows.active_at + rows.first + candidate] != 0u);
}
