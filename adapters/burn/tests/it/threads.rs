//! Several threads.

use std::sync::mpsc;
use std::thread;

use crate::scene::{LR, assert_same, floats, mlp, optimizer, train, values};

#[test]
fn steps_on_another_thread_are_the_same() {
    let expected = values(&train(&mut optimizer(&mlp()), mlp(), 0, 10));
    let model = mlp();
    let mut optimizer = optimizer(&model);
    let model = train(&mut optimizer, model, 0, 4);
    let (mut optimizer, model) = thread::spawn(move || {
        let model = train(&mut optimizer, model, 4, 3);
        (optimizer, model)
    })
    .join()
    .unwrap();
    assert_same(&values(&train(&mut optimizer, model, 7, 3)), &expected);
}

#[test]
fn two_trainings_at_once_do_not_disturb_each_other() {
    let expected = values(&train(&mut optimizer(&mlp()), mlp(), 0, 30));
    let training = || {
        thread::spawn(|| {
            let model = mlp();
            values(&train(&mut optimizer(&model), model, 0, 30))
        })
    };
    for result in [training(), training()].map(|thread| thread.join().unwrap()) {
        assert_same(&result, &expected);
    }
}

#[test]
fn an_operation_that_another_thread_queued_before_a_step_reads_the_old_parameters() {
    let model = mlp();
    let mut optimizer = optimizer(&model);
    let before = values(&model);
    let weight = model.layers[0].weight.val().inner();
    let (go, may_go) = mpsc::channel::<()>();
    let (ready, is_ready) = mpsc::channel::<()>();
    let other = thread::spawn(move || {
        let queued = weight * 2.0;
        ready.send(()).unwrap();
        may_go.recv().unwrap();
        floats(queued)
    });
    is_ready.recv().unwrap();
    let grads = model.grads(0);
    let model = optimizer.step(LR, model, grads).unwrap();
    let after = values(&model);
    go.send(()).unwrap();
    let queued = other.join().unwrap();
    assert_eq!(queued, before[0].iter().map(|x| 2.0 * x).collect::<Vec<_>>());
    assert_ne!(before, after);
}
