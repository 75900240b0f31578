// The scalars where the region has several spans, each of its clock. `one_clock.wgsl` is for one.
// They are loaded in fours: some drivers load for each invocation by itself, and then each load counts.

// `Slot`, in fours.
@group(0) @binding(5) var<storage, read> slots: array<vec4<u32>>;

fn scalars(clock: u32) -> Scalars {
    let first = clock * 16u;
    let a = slots[first];
    let b = slots[first + 1u];
    let c = slots[first + 2u];
    let d = slots[first + 3u];
    let e = slots[first + 4u];
    let f = slots[first + 5u];
    var s: Scalars;
    s.do_step = a.x;
    s.scale = bitcast<f32>(a.y);
    s.l2 = bitcast<f32>(a.z);
    s.m_rate = bitcast<f32>(a.w);
    s.v_rate = bitcast<f32>(b.x);
    s.m_from_target = b.y;
    s.v_from_target = b.z;
    s.m_coef = bitcast<f32>(b.w);
    s.g_coef = bitcast<f32>(c.x);
    s.v_coef = bitcast<f32>(c.y);
    s.max_coef = bitcast<f32>(c.z);
    s.eps = bitcast<f32>(c.w);
    s.eps_root = bitcast<f32>(d.x);
    s.adamax_beta2 = bitcast<f32>(d.y);
    s.m_gain = bitcast<f32>(d.z);
    s.decay = bitcast<f32>(d.w);
    s.limit = bitcast<f32>(e.x);
    s.t = e.y;
    s.lr = bitcast<f32>(e.z);
    s.snr = bitcast<f32>(e.w);
    s.unscale = bitcast<f32>(f.x);
    return s;
}
