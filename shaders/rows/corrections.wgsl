// The bias corrections of a row that counts its own steps. Twin: `scalars` in src/cpu/rows.rs.

// beta^t by the powers beta^(2^i). t is not 0.
fn power(t: u32, first: bool) -> vec2<u32> {
    var result = vec2<u32>(0u);
    var begun = false;
    for (var i = 0u; i < 32u && (t >> i) != 0u; i++) {
        if ((t >> i) & 1u) == 1u {
            let two = select(tables.beta2[i / 2u], tables.beta1[i / 2u], first);
            let factor = select(two.zw, two.xy, i % 2u == 0u);
            result = select(factor, product(result, factor), begun);
            begun = true;
        }
    }
    return result;
}

// m_coef, v_coef, eps_root and snr of a row that has taken t steps, including this one.
fn coefs_at(s: Scalars, t: u32) -> vec4<f32> {
    let correction1 = complement(power(t, true));
    let correction2 = complement(power(t, false));
    let eps_root = select(rows.eps_root * correction2, rows.eps_root, rows.eps_in_v != 0u);
    return vec4<f32>(s.lr / correction1, 1.0 / sqrt(correction2), eps_root, sqrt(correction2) / correction1);
}

fn with_coefs(s: Scalars, coefs: vec4<f32>) -> Scalars {
    var now = s;
    now.m_coef = coefs.x;
    now.v_coef = coefs.y;
    now.eps_root = coefs.z;
    now.snr = coefs.w;
    return now;
}
