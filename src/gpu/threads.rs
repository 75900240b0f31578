//! A compile-time check that optimizers, probes and what they return can be sent to other threads, natively.

use crate::config::group::Group;
use crate::config::options::Options;
use crate::cpu::adam::Adam as CpuAdam;
use crate::gpu::adam::Adam;
use crate::gpu::probe::Probe;
use crate::state::contents::State;
use crate::state::transfer::Transfer;

const fn send_sync<T: Send + Sync>() {}

fn send(_: impl Send) {}

const _: () = {
    send_sync::<Adam>();
    send_sync::<Probe>();
    send_sync::<CpuAdam>();
    send_sync::<State>();
};

#[expect(dead_code, reason = "it is compiled and never called")]
fn futures(adam: &mut Adam, probe: &Probe, state: &State, groups: &[Group]) {
    send(Adam::new_async(&adam.device.clone(), &adam.queue.clone(), groups, Options::default()));
    send(Probe::new_async(adam));
    send(adam.read_report());
    send(adam.read_state());
    send(probe.read(adam));
    send(adam.load_state(state));
    send(adam.load_state_with(state, Transfer::default()));
}
