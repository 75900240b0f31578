//! The numbers are those of the crate, and as close to float64 as burn's.

use burn::module::{Module, ParamGroup};
use wgpu_adam::precision::StateDtype;
use wgpu_adam::{Clip, Config, Decay, Group, Options, Precision, Schedule, Variant, cpu};
use wgpu_adam_burn::Optimizer;

use crate::scene::{
    LR, Mlp, adamw, assert_same, burn_adamw, computed, grads_of, largest, made_grads, mlp, optimizer, setup, train,
    values,
};

/// Steps a network and, with the same gradients, the CPU counterpart.
fn against_the_twin(mut optimizer: Optimizer, mut model: Mlp, steps: u64) {
    let mut twin = optimizer.adam().unwrap().to_cpu();
    let mut params = values(&model);
    for t in 0..steps {
        let grads = model.grads(t);
        let mut of_twin = grads_of(&model, &grads);
        model = optimizer.step(LR, model, grads).unwrap();
        twin.set_lr(0, LR).unwrap();
        let mut tensors: Vec<cpu::TensorMut> =
            params.iter_mut().zip(&mut of_twin).map(|(param, grad)| cpu::TensorMut::new(param, grad)).collect();
        twin.step(&mut tensors).unwrap();
    }
    assert_same(&values(&model), &params);
    let report = pollster::block_on(optimizer.adam().unwrap().read_report()).unwrap();
    assert_eq!(report, twin.report());
}

#[test]
fn fifty_steps_are_equal_to_the_cpu_counterpart_bit_for_bit() {
    let model = mlp();
    against_the_twin(optimizer(&model), model, 50);
}

#[test]
fn so_are_fifty_steps_of_parameters_that_share_a_buffer() {
    let model = computed(mlp());
    against_the_twin(optimizer(&model), model, 50);
}

#[test]
fn options_of_the_crate_pass_through() {
    let model = Mlp::new(&[64, 80, 64, 10]);
    let precision = Precision { state: StateDtype::Block8, ..Precision::default() };
    let options = Options { clip: Clip::GlobalNorm(0.05), skip_nonfinite: true, precision, ..Options::default() };
    let group = Group::new(Config { decay: Decay::Cautious(0.1), ..adamw().build() }, vec![])
        .with_schedule(Schedule::Cosine { from: 1.0, to: 0.1, steps: 10 });
    let optimizer = Optimizer::new(setup(), &model, [(ParamGroup::all(), group)], options).unwrap();
    against_the_twin(optimizer, model, 12);
}

#[test]
fn so_do_other_rules() {
    let model = mlp();
    let group = Group::new(Config { variant: Variant::Lamb, ..Config::default() }, vec![]);
    let optimizer = Optimizer::new(setup(), &model, [(ParamGroup::all(), group)], Options::default()).unwrap();
    against_the_twin(optimizer, model, 10);
}

/// AdamW in float64.
struct AdamW64 {
    t: i32,
    param: Vec<Vec<f64>>,
    m: Vec<Vec<f64>>,
    v: Vec<Vec<f64>>,
}

impl AdamW64 {
    fn new(model: &impl Module) -> Self {
        let param: Vec<Vec<f64>> = values(model).iter().map(|p| p.iter().map(|&x| x.into()).collect()).collect();
        let zeros: Vec<Vec<f64>> = param.iter().map(|p| vec![0.0; p.len()]).collect();
        Self { t: 0, param, m: zeros.clone(), v: zeros }
    }

    fn step(&mut self, grads: &[Vec<f32>]) {
        self.t += 1;
        let (c1, c2) = (1.0 - 0.9_f64.powi(self.t), 1.0 - 0.999_f64.powi(self.t));
        for (i, grad) in grads.iter().enumerate() {
            for (j, &g) in grad.iter().enumerate() {
                let (param, m, v, g) = (&mut self.param[i][j], &mut self.m[i][j], &mut self.v[i][j], f64::from(g));
                *m = 0.9 * *m + 0.1 * g;
                *v = 0.999 * *v + 0.001 * g * g;
                *param -= LR * (*m / c1 / ((*v / c2).sqrt() + 1e-8) + 0.1 * *param);
            }
        }
    }
}

#[test]
fn two_hundred_steps_are_as_close_to_float64_as_those_of_burn() {
    let (mut ours, mut burns) = (mlp(), mlp());
    let (mut optimizer, mut burn_optimizer) = (optimizer(&ours), burn_adamw());
    let mut reference = AdamW64::new(&ours);
    for t in 0..200 {
        let grads = made_grads(&ours, t);
        reference.step(&grads_of(&ours, &grads));
        ours = optimizer.step(LR, ours, grads).unwrap();
        let grads = made_grads(&burns, t);
        burns = burn_optimizer.step(LR, burns, grads);
    }
    let (ours, burns) = (values(&ours), values(&burns));
    let (own, of_burn) = (largest(&ours, &reference.param), largest(&burns, &reference.param));
    println!("from float64: ours {own:e}, burn {of_burn:e}; ours from burn {:e}", largest(&ours, &burns));
    assert!(own <= of_burn, "ours {own:e}, burn {of_burn:e}");
    assert!(largest(&ours, &burns) <= 2.0 * of_burn);
}

#[test]
fn a_training_goes_as_with_burns_adamw() {
    let (ours, mut burns) = (mlp(), mlp());
    let mut burn_optimizer = burn_adamw();
    for t in 0..20 {
        let grads = burns.grads(t);
        burns = burn_optimizer.step(LR, burns, grads);
    }
    let ours = train(&mut optimizer(&ours), ours, 0, 20);
    let off = largest(&values(&ours), &values(&burns));
    assert!(off < 1e-5, "off by {off:e}");
}
