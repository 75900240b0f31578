#!/usr/bin/env bash
# The one test command of this crate. It needs an adapter, as tests/run.sh does. burn is built twice, with its fusion and without.
set -euo pipefail
cd "$(dirname "$0")"

step() { printf '\n== %s\n' "$*"; }

step "format"
cargo fmt --check

# All in the release profile: burn is what takes the time, and two profiles would take twice as much.
for features in "" "--no-default-features"; do
    step "clippy $features"
    cargo clippy --locked --release --all-targets $features -- -D warnings
    step "tests $features"
    cargo test --locked --release $features
done

step "docs"
RUSTDOCFLAGS="-D warnings" cargo doc --locked --release --no-deps

step "examples"
cargo run --locked --release --quiet --example overhead -- --rounds 3 --layers 3 --small 20
if [ -n "${MNIST:-}" ]; then
    cargo run --locked --release --quiet --example mnist -- "$MNIST" --images 6000 --epochs 1 --plot "$(mktemp -d)/mnist.svg"
else
    echo "mnist: not run, since MNIST is not set to the folder of its files"
fi
