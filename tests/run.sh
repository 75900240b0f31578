#!/usr/bin/env bash
# The one test command. Without an argument it is what CI runs. `quick` is for the loop of changing one file: no examples, no
# mutations, and of each grid of cases a small part. `full` is everything: whole grids, and the tests that are otherwise ignored.
# `SAMPLE` and `PROPTEST_CASES` (tests/it/sampling.rs) may be given by the caller.
set -euo pipefail
cd "$(dirname "$0")/.."
source tests/environment.sh

stage=${1:-default}
case $stage in
quick) sample=16 cases=4 ;;
default) sample=2 cases= ;;
full) sample=1 cases=600 ;;
*) echo "usage: tests/run.sh [quick | full]" >&2 && exit 2 ;;
esac
export SAMPLE=${SAMPLE:-$sample}
[ -z "${PROPTEST_CASES:-$cases}" ] || export PROPTEST_CASES=${PROPTEST_CASES:-$cases}

# Prints how long the step before took, and begins one.
step() {
    [ -z "${name:-}" ] || printf '== %s: %s s\n' "$name" $((SECONDS - begun))
    name=$* begun=$SECONDS
    printf '\n== %s\n' "$name"
}

step "format"
cargo fmt --check
cargo fmt --check --manifest-path benches/isa/Cargo.toml
cargo fmt --check --manifest-path adapters/burn/Cargo.toml
rustfmt --check --edition 2024 tests/mutations/mutations.rs tests/mutations/mutate.rs

if [ "$stage" = quick ]; then
    step "clippy"
    cargo clippy --locked --lib -- -D warnings
    step "tests"
    cargo test --locked --lib --test it
    step "done"
    exit
fi

step "an adapter"
# The example `compare` chooses an adapter as the tests do. Its exit code is 3 if it finds none.
cargo build --locked --example compare
adapter() { local code=0; cargo run --quiet --locked --example compare -- --steps 1 >/dev/null 2>&1 || code=$?; [ "$code" -ne 3 ]; }
if ! adapter; then
    command -v apt-get >/dev/null || { echo "no adapter was found, and there is no apt-get to install a software adapter" >&2; exit 1; }
    debian libvulkan1 mesa-vulkan-drivers
    adapter || { echo "no adapter was found, even with Mesa's software driver" >&2; exit 1; }
fi

step "clippy"
cargo clippy --locked --all-targets -- -D warnings

step "docs"
RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

step "package"
# What is published: the library, small. `full` also builds it from the package.
verify=--no-verify
[ "$stage" != full ] || verify=
cargo package --locked --offline --allow-dirty --quiet $verify
package=$(ls -t "${CARGO_TARGET_DIR:-target}"/package/*.crate | head -n 1)
known='^[^/]*/(src/.*|shaders/.*|README\.md|CHANGELOG\.md|LICENSE-[A-Z]*|Cargo\.(toml|lock|toml\.orig)|\.cargo_vcs_info\.json)$'
if tar --list --file "$package" | grep -vE "$known"; then echo "the package has other files" >&2; exit 1; fi
size=$(stat -c %s "$package")
[ "$size" -lt 500000 ] || { echo "the package has $size bytes" >&2; exit 1; }

step "examples"
cargo run --quiet --locked --example headless
cargo run --quiet --locked --example compare
cargo run --quiet --locked --example train -- --epochs 2 --no-plot
cargo run --quiet --locked --example splats -- --splats 500 --steps 200 --output "$(mktemp -d)/splats.png"
cargo run --quiet --locked --example embeddings -- --steps 100
cargo run --quiet --locked --example paper -- --epochs 1 --out "$(mktemp -d)"
cargo run --quiet --locked --example race -- --steps 20 --seeds 1 --plot "$(mktemp -d)/race.svg"

step "tests"
cargo test --locked

step "pytorch"
interop/pytorch/test.sh

step "instructions"
# Mesa's driver for AMD's cards compiles without a card.
if compgen -G '/usr/share/vulkan/icd.d/radeon_icd*.json' >/dev/null; then
    cargo run --quiet --locked --manifest-path benches/isa/Cargo.toml -- --check
else
    echo "not checked: RADV is not installed"
fi

step "ranks"
adapters/mpi/test.sh

step "browser"
web/test.sh

step "mutations"
tests/mutations/run.sh

if [ "$stage" = full ]; then
    step "100,000 damaged files"
    PROPTEST_CASES=100000 cargo test --locked --test it files::a_damaged_file_is_an_error
    step "every kernel"
    cargo test --locked --release --lib every_kernel -- --ignored
    step "a million steps"
    cargo test --locked --release --test it soak:: -- --ignored --nocapture
    step "burn"
    # Not in CI: burn takes 23 minutes to build on two cores, and is built twice.
    adapters/burn/test.sh
fi
step "done"
