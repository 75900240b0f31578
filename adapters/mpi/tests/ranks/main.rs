//! The tests that run on several ranks, under `mpirun`: see test.sh. All ranks run all tests, in the same order. A rank that
//! panics ends the job.

mod agreement;
mod equality;
mod resume;
mod scene;

use std::time::Instant;

use mpi::topology::SimpleCommunicator;
use mpi::traits::Communicator;

type Test = (&'static str, fn(&SimpleCommunicator));

fn main() {
    let _ = env_logger::builder().is_test(true).try_init();
    // `cargo test` runs this program too, without mpirun: then there is one rank.
    let universe = mpi::initialize().expect("MPI is not initialized yet");
    let world = universe.world();
    let only = std::env::args().nth(1).filter(|argument| !argument.starts_with('-'));
    let tests: Vec<Test> = [agreement::TESTS, equality::TESTS, resume::TESTS].concat();
    for (name, test) in tests {
        if only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            continue;
        }
        let begun = Instant::now();
        test(&world);
        if world.rank() == 0 {
            println!("{} ranks: {name} ... ok ({:.1} s)", world.size(), begun.elapsed().as_secs_f64());
        }
    }
}
