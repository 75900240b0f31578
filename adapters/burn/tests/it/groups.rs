//! Groups, learning rates, options, reports and mistakes.

use burn::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::module::{Module, ParamGroup};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Tensor;
use wgpu_adam::{Clip, Config, Decay, Group, Options, Schedule, Variant};
use wgpu_adam_burn::{Error, Optimizer};

use crate::scene::{
    LR, Mlp, adamw, assert_same, burn_adamw, largest, made_grads, mlp, optimizer, setup, train, values,
};

fn group(config: Config) -> Group {
    Group::new(config, vec![])
}

/// Weights decay, biases do not.
fn two_groups(model: &Mlp, options: Options) -> Optimizer {
    let biases = ParamGroup::from_predicate("bias");
    let groups = [(ParamGroup::all(), group(adamw().build())), (biases, group(adamw().with_weight_decay(0.0).build()))];
    Optimizer::new(setup(), model, groups, options).unwrap()
}

#[test]
fn a_parameter_belongs_to_the_last_group_that_matches_it() {
    let (mut ours, mut burns) = (mlp(), mlp());
    let mut optimizer = two_groups(&ours, Options::default());
    let names = |optimizer: &Optimizer| -> Vec<Vec<String>> {
        let adam = optimizer.adam().unwrap();
        adam.groups().iter().map(|group| group.tensors.iter().map(|tensor| tensor.name.clone()).collect()).collect()
    };
    let of = |kind: &str| (0..3).map(|i| format!("layers.{i}.{kind}")).collect::<Vec<_>>();
    assert_eq!(names(&optimizer), [of("weight"), of("bias")]);

    let for_biases = burn::optim::AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(0.0).build();
    let mut burn_optimizer: ModuleOptimizer =
        burn_adamw().with_group(ParamGroup::from_predicate("bias"), for_biases, None);
    for t in 0..20 {
        let grads = made_grads(&ours, t);
        ours = optimizer.step(LR, ours, grads).unwrap();
        let grads = made_grads(&burns, t);
        burns = burn_optimizer.step(LR, burns, grads);
    }
    let off = largest(&values(&ours), &values(&burns));
    assert!(off < 2e-6, "off by {off:e}");
}

#[test]
fn learning_rates_of_groups_come_from_burns_schedulers() {
    let (mut ours, mut burns) = (mlp(), mlp());
    let mut scheduler = ModuleLrScheduler::new(LR).with_group(ParamGroup::from_predicate("bias"), 3e-3);
    let (mut optimizer, mut burn_optimizer) = (two_groups(&ours, Options::default()), burn_adamw());
    let for_biases = burn::optim::AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(0.0).build();
    burn_optimizer = burn_optimizer.with_group(ParamGroup::from_predicate("bias"), for_biases, None);
    for t in 0..10 {
        let lr = scheduler.step();
        let grads = made_grads(&ours, t);
        ours = optimizer.step(lr.clone(), ours, grads).unwrap();
        let grads = made_grads(&burns, t);
        burns = burn_optimizer.step(lr, burns, grads);
    }
    let off = largest(&values(&ours), &values(&burns));
    assert!(off < 2e-6, "off by {off:e}");
}

#[test]
fn one_group_has_one_learning_rate() {
    let model = mlp();
    let before = values(&model);
    let mut scheduler = ModuleLrScheduler::new(LR).with_group(ParamGroup::from_predicate("bias"), 3e-3);
    let grads = made_grads(&model, 0);
    let refused = optimizer(&model).step(scheduler.step(), model, grads).unwrap_err();
    let message =
        "tensor `layers.0.bias`: its learning rate is 0.003, but that of its group 0 is 0.01: make two groups";
    assert_eq!(refused.to_string(), message);
    assert_same(&values(&refused.module), &before);
}

#[test]
fn a_module_that_was_refused_can_be_stepped() {
    let model = mlp();
    let mut optimizer = optimizer(&model);
    let mut scheduler = ModuleLrScheduler::new(LR).with_group(ParamGroup::from_predicate("bias"), 3e-3);
    let grads = made_grads(&model, 0);
    let model = optimizer.step(scheduler.step(), model, grads).unwrap_err().module;
    let expected = train(&mut self::optimizer(&mlp()), mlp(), 0, 3);
    assert_same(&values(&train(&mut optimizer, model, 0, 3)), &values(&expected));
}

#[test]
fn an_invalid_learning_rate_is_an_error_and_changes_nothing() {
    let model = mlp();
    let before = values(&model);
    let mut optimizer = optimizer(&model);
    let grads = made_grads(&model, 0);
    let error = |error: Error| assert_eq!(error.to_string(), "group 0: lr is NaN, but must be finite and not negative");
    let model = match optimizer.step(f64::NAN, model, grads) {
        // With fusion, the queue comes to it later.
        Ok(model) => {
            error(optimizer.adam().map(drop).unwrap_err());
            model
        }
        Err(refused) => {
            error(refused.error);
            refused.module
        }
    };
    assert_same(&values(&model), &before);
    let expected = train(&mut self::optimizer(&mlp()), mlp(), 0, 3);
    assert_same(&values(&train(&mut optimizer, model, 0, 3)), &values(&expected));
}

#[test]
fn mistakes_are_refused_by_name() {
    let model = mlp();
    let groups = [(ParamGroup::from_predicate("weight"), group(adamw().build()))];
    let refused = Optimizer::new(setup(), &model, groups, Options::default()).map(drop).unwrap_err();
    let message =
        "tensor `layers.0.bias`: no group matches it, but each parameter needs one: begin with ParamGroup::all()";
    assert_eq!(refused.to_string(), message);

    let all = || [(ParamGroup::all(), group(adamw().build()))];
    let refused = Optimizer::new(setup(), &model, all(), Options { zero_grad: true, ..Options::default() });
    let message = "option zero_grad cannot be used with burn: burn makes new gradients in each step";
    assert_eq!(refused.map(drop).unwrap_err().to_string(), message);

    let clip = Options { clip: Clip::GlobalNorm(-1.0), ..Options::default() };
    assert!(matches!(Optimizer::new(setup(), &model, all(), clip).map(drop), Err(Error::Adam(_))));
    assert!(matches!(adamw().init(setup(), &model.no_grad()).map(drop), Err(Error::Adam(wgpu_adam::Error::NoTensors))));
}

#[test]
fn a_step_with_a_nan_is_skipped_and_its_tensor_named() {
    let model = mlp();
    let before = values(&model);
    let options = Options { skip_nonfinite: true, ..Options::default() };
    let mut optimizer = two_groups(&model, options);
    let mut grads = made_grads(&model, 0);
    grads.register(model.layers[1].weight.id, Tensor::<2>::full([16, 9], f32::NAN, &crate::scene::device()));
    let model = optimizer.step(LR, model, grads).unwrap();
    assert_same(&values(&model), &before);
    let report = pollster::block_on(optimizer.adam().unwrap().read_report()).unwrap();
    assert_eq!((report.t, report.skipped, report.nonfinite_tensor.as_deref()), (0, 1, Some("layers.1.weight")));
}

#[test]
fn a_step_is_measured_on_demand() {
    let model = mlp();
    let mut optimizer = optimizer(&model);
    assert!(pollster::block_on(optimizer.read_insight()).unwrap().is_none());
    optimizer.measure_next().unwrap();
    let model = train(&mut optimizer, model, 0, 1);
    let insight = pollster::block_on(optimizer.read_insight()).unwrap().unwrap();
    let names: Vec<&str> = insight.tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    assert_eq!(names[..2], ["layers.0.weight", "layers.0.bias"]);
    assert_same(&values(&model), &values(&train(&mut self::optimizer(&mlp()), mlp(), 0, 1)));
}

#[test]
fn schedule_free_parameters_change_for_evaluation_and_back() {
    let free = || group(Config { variant: Variant::ScheduleFree, lr: LR, ..Config::default() });
    let model = mlp();
    let mut optimizer = Optimizer::new(setup(), &model, [(ParamGroup::all(), free())], Options::default()).unwrap();
    let model = train(&mut optimizer, model, 0, 5);
    let training = model.clone();
    let before = values(&training);
    let model = optimizer.eval_mode(model).unwrap();
    assert!(largest(&values(&model), &before) > 1e-4);
    assert_same(&values(&training), &before);
    let model = optimizer.train_mode(model).unwrap();
    assert!(largest(&values(&model), &before) < 1e-6);
}

#[test]
fn a_schedule_on_the_device_multiplies_the_learning_rate() {
    let schedule = Schedule::Linear { from: 1.0, to: 0.0, steps: 4 };
    let model = mlp();
    let halved = Group::new(Config { decay: Decay::None, ..Config::default() }, vec![]).with_schedule(schedule.clone());
    let mut optimizer = Optimizer::new(setup(), &model, [(ParamGroup::all(), halved)], Options::default()).unwrap();
    let _model = train(&mut optimizer, model, 0, 3);
    let report = pollster::block_on(optimizer.adam().unwrap().read_report()).unwrap();
    assert_eq!(report.groups[0].lr, (LR * schedule.factor(3)) as f32);
}

#[test]
fn a_part_of_a_module_has_other_names_and_so_other_states() {
    let model = mlp();
    let mut optimizer = optimizer(&model);
    let layer = model.layers[0].clone();
    let mut grads = GradientsParams::new();
    grads.register(layer.weight.id, crate::scene::tensor::<2>(1, [7, 16]));
    let _layer = optimizer.step(LR, layer, grads).unwrap();
    assert!(optimizer.adam().unwrap().tensor_names().any(|name| name == "weight"));
}
