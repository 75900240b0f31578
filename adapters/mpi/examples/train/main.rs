//! Trains the network of the example `train` of wgpu-adam on several ranks: `mpirun -np 2 train`. Each rank computes the
//! gradient of its share of each minibatch, on the GPU or on the CPU. The calls of this crate are in `gpu.rs` and `host.rs`.

#[path = "../../../../examples/adapter/mod.rs"]
mod adapter;
#[path = "../../../../examples/train/buffer.rs"]
mod buffer;
mod cli;
#[allow(dead_code, reason = "its own optimizer is not used")]
#[path = "../../../../examples/train/cpu.rs"]
mod cpu;
#[allow(dead_code, reason = "titles are not printed")]
#[path = "../../../../examples/train/data.rs"]
mod data;
#[path = "../../../../examples/train/device.rs"]
mod device;
mod gpu;
mod host;
#[path = "../../../../examples/train/idx.rs"]
mod idx;
#[path = "../../../../examples/train/kernel.rs"]
mod kernel;
#[allow(dead_code, reason = "one network trains here, without softplus")]
#[path = "../../../../examples/train/matrix.rs"]
mod matrix;
#[path = "../../../../examples/train/minibatch.rs"]
mod minibatch;
#[path = "../../../../examples/train/network.rs"]
mod network;
#[path = "../../../../examples/train/passes.rs"]
mod passes;
#[path = "../../../../examples/train/product.rs"]
mod product;
#[path = "../../../../examples/train/random.rs"]
mod random;
#[path = "../../../../examples/train/resident.rs"]
mod resident;
#[allow(dead_code, reason = "all is in f32 here")]
#[path = "../../../../examples/train/storage.rs"]
mod storage;
#[allow(dead_code, reason = "no step is measured here")]
#[path = "../../../../examples/train/trainer.rs"]
mod trainer;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use cli::Cli;
use data::Data;
use gpu::Gpu;
use host::Host;
use mpi::collective::SystemOperation;
use mpi::traits::{Communicator, CommunicatorCollectives};
use network::Network;
use random::Random;
use trainer::Result;

/// A replica of the network on one rank.
trait Replica {
    /// Trains on this rank's rows of all minibatches, and scores its held-out rows. Returns the losses and the numbers of correct
    /// predictions, summed over the rows: of the training and of the held-out ones.
    fn epoch(&mut self, order: &[u32]) -> Result<[f64; 4]>;
    /// The bytes that this rank has sent.
    fn bytes_sent(&self) -> u64;
    /// The bytes of this rank's moments.
    fn state_bytes(&self) -> u64;
    /// The applied and the skipped steps.
    fn steps(&self) -> Result<(u32, u32)>;
}

/// What a replica is made of.
struct Setup<'a> {
    cli: &'a Cli,
    /// With the rows of this rank only.
    data: &'a Data,
    network: Network,
    param: Vec<f32>,
    /// This rank's rows of a minibatch.
    rows: usize,
}

fn main() -> ExitCode {
    adapter::log();
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("train: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    let universe = mpi::initialize().ok_or("MPI is running already")?;
    let world = universe.world();
    let (rank, ranks) = (world.rank() as usize, world.size() as usize);
    let say = |line: &str| (rank == 0).then(|| println!("{line}"));
    let data = match &cli.data {
        Some(folder) => Data::idx(folder, 10)?,
        None => Data::digits(),
    };
    let batch = cli.batch as usize;
    if !batch.is_multiple_of(ranks) {
        return Err(format!("a minibatch of {batch} rows cannot be divided among {ranks} ranks").into());
    }
    let rows = batch / ranks;
    // A partial last minibatch is left out.
    let batches = data.train.len() / batch;
    let network = Network { features: data.features, hidden: cli.hidden as usize, classes: data.classes };
    let mut random = Random::new(cli.seed);
    let param = network.init(&mut random);
    let held_out = data.held_out.iter().copied().skip(rank).step_by(ranks).collect();
    let mut order = data.train.clone();
    let train = order[..batches * rows].to_vec();
    let counts = [(batches * batch) as f64, data.held_out.len() as f64];
    let own = Data { train, held_out, ..data };
    let setup = Setup { cli, data: &own, network, param, rows };
    let (mut replica, place): (Box<dyn Replica>, String) = if cli.cpu {
        (Box::new(Host::new(&world, setup)?), "the CPU".to_owned())
    } else {
        let (device, queue, name) = device::open()?;
        (Box::new(Gpu::new(&world, device, queue, setup)?), name)
    };
    let shape = format!("{}-{}-{}", network.features, network.hidden, network.classes);
    let parameters = network.len();
    say(&format!("{ranks} ranks on {place}; network {shape}, {parameters} parameters; batch {batch}, {rows} a rank"));
    let (begun, mut sent) = (Instant::now(), 0);
    for epoch in 1..=cli.epochs {
        let begun = Instant::now();
        // All ranks shuffle alike.
        random.shuffle(&mut order);
        let of_rank = order.chunks_exact(batch).flat_map(|batch| &batch[rank * rows..][..rows]);
        let scores = replica.epoch(&of_rank.copied().collect::<Vec<u32>>())?;
        let mut all = [0.0; 4];
        world.all_reduce_into(&scores[..], &mut all[..], SystemOperation::sum());
        let seconds = begun.elapsed().as_secs_f64();
        say(&format!(
            "epoch {epoch:>3}   loss {:.4}   accuracy {:6.2} %   held out {:6.2} %   {:.0} steps/s",
            all[0] / counts[0],
            100.0 * all[1] / counts[0],
            100.0 * all[3] / counts[1],
            batches as f64 / seconds,
        ));
        sent = replica.bytes_sent();
    }
    let (t, skipped) = replica.steps()?;
    say(&format!(
        "{t} steps ({skipped} skipped) in {:.1} s; each rank sends {:.0} bytes a step, and has {} bytes of moments",
        begun.elapsed().as_secs_f64(),
        sent as f64 / f64::from((t + skipped).max(1)),
        replica.state_bytes(),
    ));
    Ok(())
}
