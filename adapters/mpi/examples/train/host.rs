//! A replica on the CPU.

use mpi::traits::Communicator;
use wgpu_adam::{Config, Schedule, cpu};
use wgpu_adam_mpi::cpu::Sharded;

use crate::cpu::Cpu;
use crate::storage::{Params, State, Storage};
use crate::trainer::{Result, Setup as TrainSetup};
use crate::{Replica, Setup};

/// The network of the example of wgpu-adam, whose gradients go into a sharded optimizer.
pub struct Host<'a> {
    cpu: Cpu<'a>,
    adam: Sharded,
    rows: usize,
}

impl<'a> Host<'a> {
    pub fn new(world: &impl Communicator, setup: Setup<'a>) -> Result<Self> {
        let Setup { cli, data, network, param, rows } = setup;
        let config = Config { lr: cli.lr, ..Config::default() };
        let group = cpu::Group::new(config, vec![cpu::Tensor::new("all", param.len())]);
        let adam = Sharded::new(world, &[group], &cli.options())?;
        let cpu = Cpu::new(TrainSetup {
            data,
            network,
            param,
            batch: rows,
            lr: cli.lr,
            schedule: Schedule::default(),
            weight_decay: 0.0,
            clip: None,
            storage: Storage { params: Params::F32, state: State::F32, state_min_len: 4096 },
            seed: 0,
        })?;
        Ok(Self { cpu, adam, rows })
    }
}

impl Replica for Host<'_> {
    fn epoch(&mut self, order: &[u32]) -> Result<[f64; 4]> {
        let mut scores = [0.0; 4];
        let mut add = |at: usize, (loss, correct): (f64, u32)| {
            scores[at] += loss;
            scores[at + 1] += f64::from(correct);
        };
        for rows in order.chunks(self.rows) {
            add(0, self.cpu.gradient(rows));
            let (param, grad) = (&mut self.cpu.setup.param, &mut self.cpu.grad);
            self.adam.step(&mut [cpu::TensorMut::new(param, grad)])?;
        }
        for rows in self.cpu.setup.data.held_out.chunks(self.rows) {
            add(2, self.cpu.gradient(rows));
        }
        Ok(scores)
    }

    fn bytes_sent(&self) -> u64 {
        self.adam.bytes_sent()
    }

    fn state_bytes(&self) -> u64 {
        let state = self.adam.optimizer().state();
        state.tensors.iter().flat_map(|tensor| &tensor.state).map(|state| state.bytes.len() as u64).sum()
    }

    fn steps(&self) -> Result<(u32, u32)> {
        let report = self.adam.optimizer().report();
        Ok((report.t, report.skipped))
    }
}
