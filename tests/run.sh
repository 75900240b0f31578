#!/usr/bin/env bash
# The one test command. Installs a software Vulkan driver where there is no adapter, and requires an adapter.
set -euo pipefail
cd "$(dirname "$0")/.."
source tests/environment.sh

step() { printf '\n== %s\n' "$*"; }

step "an adapter"
# The example `compare` chooses an adapter as the tests do. Its exit code is 3 if it finds none.
cargo build --locked --example compare
adapter() { local code=0; cargo run --quiet --locked --example compare -- --steps 1 >/dev/null 2>&1 || code=$?; [ "$code" -ne 3 ]; }
if ! adapter; then
    command -v apt-get >/dev/null || { echo "no adapter was found, and there is no apt-get to install a software adapter" >&2; exit 1; }
    debian libvulkan1 mesa-vulkan-drivers
    adapter || { echo "no adapter was found, even with Mesa's software driver" >&2; exit 1; }
fi

step "format"
cargo fmt --check

step "clippy"
cargo clippy --locked --all-targets -- -D warnings

step "docs"
RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

step "examples"
cargo run --quiet --locked --example headless
cargo run --quiet --locked --example compare
cargo run --quiet --locked --example train -- --epochs 2 --no-plot

step "tests"
cargo test --locked
