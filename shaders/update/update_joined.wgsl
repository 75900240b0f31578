// Steps rows that have nothing of their own. They follow each other without a gap, so they are stepped like the elements of
// any tensor. But each column has a factor of the learning rate: those of the fewest rows that have whole quads repeat.

@group(0) @binding(tables_binding) var<uniform> tables: RowTables;

// The quads of an invocation.
const OWN_QUADS: u32 = 4u;

fn apply(s: Scalars, tile: u32, number: u32) {
    let quad = tile * SLOTS + number;
    if quad >= rows.joined {
        return;
    }
    let k = tile * SLOTS % rows.joined_quads + number;
    let before = u32((f32(k) + 0.5) * rows.inverse_joined) * rows.joined_quads;
    let stream_seed = region.stream_seed + rows.first * rows.width;
    let place = Place(region.begin / LANES + quad, quad, Mask(true), s.t, stream_seed);
    let grad = rows.joined_grad + quad;
    if s.do_step != 0u {
        let param = read_param(place);
        let step = rule(s, place, gradient(s, load_grad(grad), param));
        let rate = tables.columns[k - before];
        write_param(place, limited(s, param - rate * (decay_of(s, param, step) + step)));
    }
    var grads = place;
    grads.quad = grad;
    zero_grad(s, grads);
}

@compute @workgroup_size(WORKGROUP)
fn update(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let tile = number(workgroup, workgroups);
    let s = scalars(0u);
    // As in tiles.wgsl: 8 neighbours load one line at a time, and their next lines follow it.
    let at = index / LINE * (LINE * OWN_QUADS) + index % LINE;
    apply(s, tile, at);
    apply(s, tile, at + LINE);
    apply(s, tile, at + 2u * LINE);
    apply(s, tile, at + 3u * LINE);
}
