//! Parameters that somebody else holds too keep their values there, whatever the step does to the module.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::scene::{
    LR, Mlp, assert_same, burn_adamw, device, floats, grads_of, largest, mlp, optimizer, tensor, train, values,
};

/// Steps a network three times, while something made of it before the second step lives on.
fn with_a_holder<T>(hold: impl FnOnce(&Mlp) -> T) -> (T, Vec<Vec<f32>>, Vec<Vec<f32>>) {
    let model = mlp();
    let alone = train(&mut optimizer(&model), mlp(), 0, 3);
    let mut optimizer = optimizer(&model);
    let model = train(&mut optimizer, model, 0, 1);
    let held = hold(&model);
    let before = values(&model);
    let model = train(&mut optimizer, model, 1, 2);
    assert_same(&values(&model), &values(&alone));
    (held, before, values(&model))
}

#[test]
fn a_clone_keeps_its_values_and_the_module_is_stepped() {
    let (clone, before, after) = with_a_holder(Mlp::clone);
    assert_same(&values(&clone), &before);
    assert!(largest(&before, &after) > 1e-3);
}

#[test]
fn a_module_for_validation_keeps_its_values() {
    let (valid, before, _) = with_a_holder(Module::valid);
    assert_same(&values(&valid), &before);
}

#[test]
fn a_fork_on_the_same_device_keeps_its_values() {
    let (fork, before, _) = with_a_holder(|model| model.clone().fork(&device().autodiff()));
    assert_same(&values(&fork), &before);
}

#[test]
fn one_tensor_that_is_held_keeps_its_values() {
    let (weight, before, _) = with_a_holder(|model| model.layers[1].weight.val());
    assert_same(&[floats(weight)], &before[2..3]);
}

#[test]
fn a_clone_for_each_step_costs_copies_and_no_values() {
    let mut model = mlp();
    let mut optimizer = optimizer(&model);
    let mut clones = Vec::new();
    for t in 0..4 {
        clones.push(model.clone());
        let grads = model.grads(t);
        model = optimizer.step(LR, model, grads).unwrap();
    }
    let mut again = mlp();
    for (t, clone) in clones.iter().enumerate() {
        assert_same(&values(clone), &values(&again));
        again = train(&mut self::optimizer(&again), mlp(), 0, t as u64 + 1);
    }
    assert_same(&values(&model), &values(&again));
}

#[test]
fn operations_queued_before_a_step_read_the_old_parameters_and_those_after_it_the_new_ones() {
    let model = mlp();
    let mut optimizer = optimizer(&model);
    let before = values(&model);
    let grads = model.grads(0);
    let twice = |model: &Mlp| model.layers[0].weight.val().inner() * 2.0;
    let old = twice(&model);
    let model = optimizer.step(LR, model, grads).unwrap();
    let new = twice(&model);
    let (old, new) = (floats(old), floats(new));
    let doubled = |values: &[f32]| values.iter().map(|x| 2.0 * x).collect::<Vec<_>>();
    assert_eq!(old, doubled(&before[0]));
    assert_eq!(new, doubled(&values(&model)[0]));
    assert_ne!(old, new);
}

/// A loss whose gradient with respect to `x` depends on all weights.
fn loss_of(model: &Mlp, x: &Tensor<2>) -> Tensor<1> {
    let out = model.forward(x.clone());
    (out.clone() * out).sum()
}

#[test]
fn a_graph_made_before_a_step_gives_the_gradients_of_its_own_parameters() {
    let x = tensor::<2>(9, [8, 7]).autodiff().require_grad();
    let expected = floats(x.grad(&loss_of(&mlp(), &x).backward()).unwrap());

    let model = mlp();
    let mut optimizer = optimizer(&model);
    let loss = loss_of(&model, &x);
    let grads = model.grads(0);
    let model = optimizer.step(LR, model, grads).unwrap();
    assert_same(&values(&model), &values(&train(&mut self::optimizer(&mlp()), mlp(), 0, 1)));
    assert_same(&[floats(x.grad(&loss.backward()).unwrap())], &[expected]);
}

#[test]
fn gradients_that_are_held_keep_their_values() {
    let model = mlp();
    let grads = model.grads(0);
    let before = grads_of(&model, &grads);
    let held: Vec<Tensor<2>> = model.layers.iter().map(|layer| grads.get(layer.weight.id).unwrap()).collect();
    let _model = optimizer(&model).step(LR, model, grads).unwrap();
    held.into_iter().enumerate().for_each(|(i, grad)| assert_same(&[floats(grad)], &before[2 * i..2 * i + 1]));
}

#[test]
fn an_exponential_average_of_the_parameters_is_right() {
    let average = |ours: bool| {
        let mut model = mlp();
        let (mut optimizer, mut burn_optimizer) = (optimizer(&model), burn_adamw());
        let mut average = model.layers[0].weight.val().inner();
        for t in 0..10 {
            let grads = model.grads(t);
            model =
                if ours { optimizer.step(LR, model, grads).unwrap() } else { burn_optimizer.step(LR, model, grads) };
            average = average * 0.9 + model.layers[0].weight.val().inner() * 0.1;
        }
        vec![floats(average)]
    };
    let off = largest(&average(true), &average(false));
    assert!(off < 1e-5, "off by {off:e}");
}
