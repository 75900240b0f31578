// Adam as it is usually written: one element per invocation, powers of beta in the shader, the step count from the
// host.

struct Settings {
    lr: f32,
    beta1: f32,
    beta2: f32,
    eps: f32,
    weight_decay: f32,
    t: f32,
    len: u32,
    pad: u32,
}

@group(0) @binding(0) var<uniform> settings: Settings;
@group(0) @binding(1) var<storage, read_write> param: array<f32>;
@group(0) @binding(2) var<storage, read> grad: array<f32>;
@group(0) @binding(3) var<storage, read_write> m: array<f32>;
@group(0) @binding(4) var<storage, read_write> v: array<f32>;

@compute @workgroup_size(256)
fn adam(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>,
        @builtin(local_invocation_index) index: u32) {
    let i = (workgroup.y * workgroups.x + workgroup.x) * 256u + index;
    if i >= settings.len {
        return;
    }
    let g = grad[i];
    m[i] = settings.beta1 * m[i] + (1.0 - settings.beta1) * g;
    v[i] = settings.beta2 * v[i] + (1.0 - settings.beta2) * g * g;
    let m_hat = m[i] / (1.0 - pow(settings.beta1, settings.t));
    let v_hat = v[i] / (1.0 - pow(settings.beta2, settings.t));
    param[i] -= settings.lr * (m_hat / (sqrt(v_hat) + settings.eps) + settings.weight_decay * param[i]);
}
