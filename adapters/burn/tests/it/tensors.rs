//! Tensors that lie otherwise than expected, or elsewhere than before, or have no gradient.

use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig, LinearLayout};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Tensor, TensorData};
use wgpu_adam_burn::Error;

use crate::scene::{
    LR, Mlp, adamw, assert_same, burn_adamw, computed, device, floats, grads_of, largest, made_grads, mlp, noise,
    optimizer, setup, tensor, train, values,
};

/// The same network with weights that lie transposed in memory.
fn transposed() -> Mlp {
    let layers = mlp().layers.into_iter().map(|layer| {
        let there = layer.weight.val().inner().transpose().into_data();
        let weight = Tensor::<2>::from_data(there, &device()).transpose().autodiff();
        Linear { weight: Param::from_tensor(weight), bias: layer.bias }
    });
    Mlp { layers: layers.collect() }
}

#[test]
fn weights_that_lie_transposed_are_stepped_as_others_are() {
    let expected = values(&train(&mut optimizer(&mlp()), mlp(), 0, 20));
    let off = largest(&values(&train(&mut optimizer(&transposed()), transposed(), 0, 20)), &expected);
    assert!(off < 1e-5, "off by {off:e}");
}

#[test]
fn gradients_in_any_layout_belong_to_their_parameters() {
    for model in [mlp, transposed] {
        let (mut straight, mut permuted) = (model(), model());
        let (mut first, mut second) = (optimizer(&straight), optimizer(&permuted));
        for t in 0..3 {
            let grads = made_grads(&straight, t);
            straight = first.step(LR, straight, grads).unwrap();
            let mut grads = made_grads(&permuted, t);
            for layer in &permuted.layers {
                let grad = grads.remove::<2>(layer.weight.id).unwrap();
                let there = Tensor::<2>::from_data(grad.transpose().into_data(), &device());
                grads.register(layer.weight.id, there.transpose());
            }
            permuted = second.step(LR, permuted, grads).unwrap();
        }
        assert_same(&values(&straight), &values(&permuted));
    }
}

#[test]
fn a_linear_layer_of_layout_col_is_saved_as_before_and_keeps_its_layout() {
    let layer = LinearConfig::new(5, 3).with_layout(LinearLayout::Col).init(&device().autodiff());
    let mut optimizer = adamw().init(setup(), &layer).unwrap();
    let grads = made_grads(&layer, 0);
    let stepped = optimizer.step(LR, layer, grads).unwrap();
    let expected = values(&stepped);
    // Its mapper transposes what is loaded, so that it must have transposed what was saved.
    let loaded = LinearConfig::new(5, 3).with_layout(LinearLayout::Col).init(&device().autodiff());
    assert_same(&values(&loaded.load_record(stepped.into_record())), &expected);
}

#[test]
fn parameters_of_which_all_elements_are_one_are_stepped_apart() {
    let weight = Tensor::<2>::ones([1, 1], &device()).expand([4, 6]).autodiff();
    let layer = Linear { weight: Param::from_tensor(weight), bias: None };
    let mut optimizer = adamw().init(setup(), &layer).unwrap();
    let grads = made_grads(&layer, 0);
    let of_weight = grads_of(&layer, &grads);
    let stepped = values(&optimizer.step(LR, layer, grads).unwrap());
    for (param, grad) in stepped[0].iter().zip(&of_weight[0]) {
        assert!((param - (1.0 - 1e-3 - 1e-2 * grad.signum())).abs() < 1e-5, "{param} after {grad}");
    }
}

/// The gradients of all tensors but the first two.
fn without_the_first_layer(model: &Mlp, t: u64) -> GradientsParams {
    let mut grads = made_grads(model, t);
    let first = &model.layers[0];
    grads.remove::<2>(first.weight.id).unwrap();
    grads.remove::<1>(first.bias.as_ref().unwrap().id).unwrap();
    grads
}

#[test]
fn a_parameter_without_a_gradient_stays_and_its_t_does_not_advance() {
    let (mut ours, mut burns) = (mlp(), mlp());
    let (mut optimizer, mut burn_optimizer) = (optimizer(&ours), burn_adamw());
    for t in 0..20 {
        let grads = |model: &Mlp| if t % 3 == 1 { without_the_first_layer(model, t) } else { made_grads(model, t) };
        let before = values(&ours);
        let of_step = grads(&ours);
        ours = optimizer.step(LR, ours, of_step).unwrap();
        if t % 3 == 1 {
            assert_same(&values(&ours)[..2], &before[..2]);
        }
        let of_step = grads(&burns);
        burns = burn_optimizer.step(LR, burns, of_step);
    }
    let off = largest(&values(&ours), &values(&burns));
    assert!(off < 2e-6, "off by {off:e}");
}

#[test]
fn a_step_without_gradients_changes_nothing() {
    let model = mlp();
    let before = values(&model);
    let mut optimizer = optimizer(&model);
    let model = optimizer.step(LR, model, GradientsParams::new()).unwrap();
    assert_same(&values(&model), &before);
    assert_eq!(pollster::block_on(optimizer.adam().unwrap().read_report()).unwrap().t, 0);
}

#[test]
fn parameters_that_burn_has_put_elsewhere_go_on() {
    let changes: [fn(Mlp) -> Mlp; 4] = [
        // The same values in new memory.
        computed,
        |model| mlp().load_record(model.into_record()),
        // Another layout.
        |mut model| {
            let first = model.layers.remove(0);
            let there = first.weight.val().inner().transpose().into_data();
            let weight = Tensor::<2>::from_data(there, &device()).transpose().autodiff().require_grad();
            let weight = Param::initialized(first.weight.id, weight);
            model.layers.insert(0, Linear { weight, ..first });
            model
        },
        // In memory that burn may move.
        |model| {
            let model = computed(model);
            drop(Tensor::<1>::ones([1 << 22], &device()));
            device().sync().unwrap();
            device().memory_cleanup();
            model
        },
    ];
    for change in changes {
        let (mut moved, mut stayed) = (mlp(), mlp());
        let (mut first, mut second) = (optimizer(&moved), optimizer(&stayed));
        for t in 0..8 {
            let grads = made_grads(&moved, t);
            moved = change(first.step(LR, moved, grads).unwrap());
            let grads = made_grads(&stayed, t);
            stayed = second.step(LR, stayed, grads).unwrap();
        }
        assert_same(&values(&moved), &values(&stayed));
    }
}

#[test]
fn rows_of_a_parameter_that_burn_has_selected_are_stepped_in_their_new_place() {
    let mut model = mlp();
    let mut optimizer = optimizer(&model);
    let indices = Tensor::from_data([2, 0, 1, 3, 4, 5, 6], &device());
    model.layers[0].weight =
        model.layers[0].weight.clone().map(|weight| weight.inner().select(0, indices).autodiff().require_grad());
    let before = values(&model);
    let mut twin = optimizer.adam().unwrap().to_cpu();
    let grads = made_grads(&model, 0);
    let (mut params, mut of_twin) = (before, grads_of(&model, &grads));
    twin.set_lr(0, LR).unwrap();
    let mut tensors: Vec<_> =
        params.iter_mut().zip(&mut of_twin).map(|(p, g)| wgpu_adam::cpu::TensorMut::new(p, g)).collect();
    twin.step(&mut tensors).unwrap();
    assert_same(&values(&optimizer.step(LR, model, grads).unwrap()), &params);
}

#[test]
fn two_parameters_that_share_their_memory_are_parted_by_the_first_step() {
    let shared = || {
        let mut model = Mlp::new(&[5, 5, 5]);
        model.layers[1].weight = Param::from_tensor(model.layers[0].weight.val());
        model
    };
    let (mut ours, mut burns) = (shared(), shared());
    let (mut optimizer, mut burn_optimizer) = (optimizer(&ours), burn_adamw());
    for t in 0..5 {
        let grads = made_grads(&ours, t);
        ours = optimizer.step(LR, ours, grads).unwrap();
        let grads = made_grads(&burns, t);
        burns = burn_optimizer.step(LR, burns, grads);
    }
    let off = largest(&values(&ours), &values(&burns));
    assert!(off < 1e-6, "off by {off:e}");
    assert_eq!(optimizer.adam().unwrap().tensor_names().count(), 4);
}

#[test]
fn a_parameter_that_is_trained_later_gets_a_state_of_its_own() {
    let mut model = mlp();
    model.layers[1] = model.layers[1].clone().no_grad();
    let (mut optimizer, mut burn_optimizer) = (optimizer(&model), burn_adamw());
    let mut burns = model.clone();
    let step = |model: &Mlp, t: u64| {
        let mut grads = made_grads(model, t);
        if t < 5 {
            grads.remove::<2>(model.layers[1].weight.id).unwrap();
            grads.remove::<1>(model.layers[1].bias.as_ref().unwrap().id).unwrap();
        }
        grads
    };
    for t in 0..12 {
        let grads = step(&model, t);
        model = optimizer.step(LR, model, grads).unwrap();
        let grads = step(&burns, t);
        burns = burn_optimizer.step(LR, burns, grads);
    }
    let names: Vec<String> = optimizer.adam().unwrap().tensor_names().map(str::to_owned).collect();
    assert_eq!(names.len(), 6);
    assert!(names.contains(&"layers.1.weight".to_owned()));
    let off = largest(&values(&model), &values(&burns));
    assert!(off < 2e-6, "off by {off:e}");
}

#[test]
fn sixteen_bit_parameters_are_stepped_where_burn_has_them() {
    for (dtype, tolerance) in [(DType::F16, 1e-3), (DType::BF16, 8e-3)] {
        if !device().supports_dtype(dtype) {
            println!("{dtype:?}: burn does not have it on this device");
            continue;
        }
        let data = TensorData::new(noise(1, 35), [5, 7]);
        let param = Tensor::<2>::from_data(data, (&device(), dtype)).autodiff();
        let layer = Linear { weight: Param::from_tensor(param), bias: None };
        let mut optimizer = adamw().init(setup(), &layer).unwrap();
        let mut grads = GradientsParams::new();
        grads.register(layer.weight.id, tensor::<2>(3, [5, 7]).cast(dtype));
        let before = values(&layer);
        let after = values(&optimizer.step(LR, layer, grads).unwrap());
        for ((after, before), grad) in after[0].iter().zip(&before[0]).zip(floats(tensor::<2>(3, [5, 7]))) {
            let expected = before - 1e-3 * before - 1e-2 * grad.signum();
            assert!((after - expected).abs() < tolerance, "{dtype:?}: {after}, {expected}");
        }
    }
}

#[test]
fn a_dtype_without_a_step_is_refused_by_name() {
    let layer = LinearConfig::new(3, 2).init(&device().autodiff());
    let mut optimizer = adamw().init(setup(), &layer).unwrap();
    let mut grads = made_grads(&layer, 0);
    let before = values(&layer);
    if device().supports_dtype(DType::F16) {
        grads.register(layer.weight.id, tensor::<2>(3, [3, 2]).cast(DType::F16));
        let refused = optimizer.step(LR, layer, grads).unwrap_err();
        let message = "tensor `weight`: its grad has dtype f16, but must have f32";
        assert_eq!(refused.error.to_string(), message);
        assert!(matches!(refused.error, Error::Dtype { .. }));
        assert_same(&values(&refused.module), &before);
    }
}
