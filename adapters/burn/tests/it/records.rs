//! A run that is saved and loaded goes on exactly.

use burn::module::Module;
use burn::optim::OptimizerRecord;
use burn::store::ModuleRecord;
use wgpu_adam::State;
use wgpu_adam_burn::{Error, Optimizer};

use crate::scene::{LR, Mlp, assert_same, burn_adamw, made_grads, mlp, optimizer, train, values};

/// Five steps, the first of which leave out a tensor, so that the state has two clocks.
fn begin() -> (Optimizer, Mlp) {
    let mut model = mlp();
    let mut optimizer = optimizer(&model);
    for t in 0..5 {
        let mut grads = made_grads(&model, t);
        if t < 2 {
            grads.remove::<2>(model.layers[2].weight.id).unwrap();
        }
        model = optimizer.step(LR, model, grads).unwrap();
    }
    (optimizer, model)
}

fn goes_on(save: impl FnOnce(&Optimizer) -> Vec<u8>, load: impl FnOnce(&mut Optimizer, Vec<u8>)) {
    let (mut optimizer, model) = begin();
    let bytes = save(&optimizer);
    let module = model.clone().into_record().into_bytes().unwrap();
    let expected = train(&mut optimizer, model, 5, 6);

    // Another module with other parameters and other ids.
    let other = Mlp::new(&[7, 16, 9, 4]).load_record(ModuleRecord::from_bytes(module).unwrap());
    let mut optimizer = self::optimizer(&other);
    load(&mut optimizer, bytes);
    assert_same(&values(&train(&mut optimizer, other, 5, 6)), &values(&expected));
}

#[test]
fn a_run_goes_on_exactly_from_a_record_of_burn() {
    goes_on(
        |optimizer| pollster::block_on(optimizer.read_record()).unwrap().into_bytes().unwrap().to_vec(),
        |optimizer, bytes| {
            let record = OptimizerRecord::from_bytes(burn::tensor::Bytes::from_bytes_vec(bytes)).unwrap();
            pollster::block_on(optimizer.load_record(record)).unwrap();
        },
    );
}

#[test]
fn a_run_goes_on_exactly_from_a_file_of_burn() {
    let path = std::env::temp_dir().join(format!("wgpu-adam-burn-{}.bpk", std::process::id()));
    goes_on(
        |optimizer| {
            pollster::block_on(optimizer.read_record()).unwrap().save(&path).unwrap();
            Vec::new()
        },
        |optimizer, _| pollster::block_on(optimizer.load_record(OptimizerRecord::load(&path).unwrap())).unwrap(),
    );
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_run_goes_on_exactly_from_safetensors() {
    goes_on(
        |optimizer| pollster::block_on(optimizer.adam().unwrap().read_state()).unwrap().to_bytes().unwrap(),
        |optimizer, bytes| pollster::block_on(optimizer.load_state(&State::from_bytes(&bytes).unwrap())).unwrap(),
    );
}

#[test]
fn a_record_of_another_optimizer_is_refused_and_burns_optimizer_finds_nothing_in_ours() {
    let model = mlp();
    let mut burn_optimizer = burn_adamw();
    let grads = made_grads(&model, 0);
    let model = burn_optimizer.step(LR, model, grads);
    let (mut optimizer, _) = begin();
    let refused = pollster::block_on(optimizer.load_record(burn_optimizer.to_record()));
    assert!(matches!(refused, Err(Error::Record { .. })), "{refused:?}");

    let burn_optimizer = burn_adamw().load_record(pollster::block_on(optimizer.read_record()).unwrap());
    assert!(burn_optimizer.to_record().is_empty());
    drop(model);
}
