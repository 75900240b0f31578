// Each row counts its own steps, which correct the bias of its moments. Twin: src/cpu/rows.rs.

@group(0) @binding(row_steps_binding) var<storage, read_write> row_steps: array<u32>;

// m_coef, v_coef and eps_root of a row.
var<workgroup> row_coefs: array<vec3<f32>, SLOTS>;

// beta^t by the powers beta^(2^i). t is not 0.
fn power(t: u32, first: bool) -> vec2<u32> {
    var result = vec2<u32>(0u);
    var begun = false;
    for (var i = 0u; i < 32u && (t >> i) != 0u; i++) {
        if (t >> i & 1u) == 1u {
            let two = select(tables.beta2[i / 2u], tables.beta1[i / 2u], first);
            let factor = select(two.zw, two.xy, i % 2u == 0u);
            result = select(factor, product(result, factor), begun);
            begun = true;
        }
    }
    return result;
}

fn settle_steps(s: Scalars, local: u32, row: u32) {
    let before = row_steps[row];
    let t = select(before + 1u, before, before == 0xffffffffu);
    row_steps[row] = t;
    if rows.corrected != 0u {
        let correction1 = complement(power(t, true));
        let correction2 = complement(power(t, false));
        row_coefs[local] = vec3<f32>(s.lr / correction1, 1.0 / sqrt(correction2), rows.eps_root * correction2);
    }
}

fn scalars_of_row(s: Scalars) -> Scalars {
    var own_scalars = s;
    if rows.corrected != 0u {
        let coefs = row_coefs[own.local];
        own_scalars.m_coef = coefs.x;
        own_scalars.v_coef = coefs.y;
        own_scalars.eps_root = select(coefs.z, rows.eps_root, rows.eps_in_v != 0u);
    }
    return own_scalars;
}
