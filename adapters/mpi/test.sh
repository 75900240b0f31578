#!/usr/bin/env bash
# The only test command of adapters/mpi. It installs Open MPI and libclang with apt if they are missing, runs the tests on
# 2 and 3 ranks, and looks at how jobs end in which a rank fails.
set -euo pipefail
cd "$(dirname "$0")/../.."
source tests/environment.sh
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
# Another name than that of the tests of the crate: the features of dependencies differ.
export CARGO_TARGET_DIR=$CARGO_TARGET_DIR/mpi
manifest=(--locked --manifest-path adapters/mpi/Cargo.toml)

has() { command -v mpirun >/dev/null && command -v mpicc >/dev/null && compgen -G '/usr/lib/*/libclang*.so*' >/dev/null; }
has || { command -v apt-get >/dev/null && debian openmpi-bin libopenmpi-dev libclang-dev; }
has || { echo "mpi: FAILED, Open MPI or libclang is missing and cannot be installed" >&2; exit 1; }

cargo fmt --check --manifest-path adapters/mpi/Cargo.toml
cargo clippy "${manifest[@]}" --all-targets -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc "${manifest[@]}" --no-deps
cargo test "${manifest[@]}" --lib
cargo test "${manifest[@]}" --doc

# The programs of the tests, which cargo names.
program() {
    cargo test "${manifest[@]}" --test "$1" --no-run --message-format json 2>/dev/null |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1
}
ranks=$(program ranks)
faults=$(program faults)

# More ranks than cores, as any user, on the loopback, and without a warning about shared memory in containers.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_btl_vader_single_copy_mechanism=none
export RAYON_NUM_THREADS=${RAYON_NUM_THREADS:-1}
run() { mpirun --oversubscribe -np "$@"; }
run 2 "$ranks"
run 3 "$ranks"

folder=$(mktemp -d)
# Runs a scenario on 3 ranks, which must end with that code within those seconds, and with that text.
scenario() {
    local code=$1 within=$2 text=$3 got=0 begun=$SECONDS
    shift 3
    timeout 60 mpirun --oversubscribe -np 3 "$faults" "$@" >"$folder/log" 2>&1 || got=$?
    if [ "$got" -ne "$code" ] || [ $((SECONDS - begun)) -gt "$within" ] || ! grep -q -- "$text" "$folder/log"; then
        cat "$folder/log"
        echo "mpi: FAILED, the scenario $1 ended with $got after $((SECONDS - begun)) s" >&2
        exit 1
    fi
    echo "scenario $1: ended with $got after $((SECONDS - begun)) s ... ok"
}
scenario 137 5 "Killed" kill "$folder/state"
scenario 0 5 "ends at step 8" resume "$folder/state"
scenario 75 6 "has waited 3 s" hang
scenario 0 10 "rank 0: rank 2: " memory
scenario 0 10 "rank 0: rank 2: " device
rm -r "$folder"
