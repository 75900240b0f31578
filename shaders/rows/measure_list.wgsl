// Sets the size of the dispatch that updates the rows of a list.

@group(0) @binding(list_count_binding) var<storage, read> list_count: array<u32>;
@group(0) @binding(listed_binding) var<storage, read_write> listed: Listed;

@compute @workgroup_size(WORKGROUP)
fn measure_list() {
    let count = min(list_count[rows.count_at], rows.list_len);
    let workgroups = (count + rows.update_rows - 1u) / rows.update_rows;
    let x = clamp(workgroups, 1u, rows.most_workgroups);
    listed = Listed(x, (workgroups + x - 1u) / x, 1u, count);
}
