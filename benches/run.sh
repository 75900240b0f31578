#!/usr/bin/env bash
# Measures this crate and its peers side by side, prints the tables, and writes benches/BENCHMARKS.md with its plot.
# Arguments are passed to the benchmark program: see `benches/run.sh --help`. PEERS=no leaves out the peers, which take
# long to build.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$*" >&2; }

peers=()
if [ "${PEERS:-yes}" != no ]; then
    step "build the Rust peers"
    cargo build --locked --release --manifest-path benches/peers/Cargo.toml
    peers+=(--peer "burn=benches/peers/target/release/peer-burn")
    peers+=(--peer "candle=benches/peers/target/release/peer-candle")

    step "install PyTorch"
    venv="${BENCH_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/wgpu-adam-bench}"
    if ! "$venv/bin/python" -c "import torch" 2>/dev/null; then
        python3 -m venv "$venv"
        "$venv/bin/pip" install --quiet --requirement benches/peers/requirements.txt
    fi
    torch="$venv/bin/python benches/peers/torch_peer.py"
    peers+=(--peer "torch-fused=$torch fused" --peer "torch-foreach=$torch foreach")
    if "$venv/bin/python" -c "import torch; raise SystemExit(not torch.cuda.is_available())"; then
        peers+=(--peer "torch-cuda=$torch fused --device cuda")
    fi
fi

step "run the benchmarks"
cargo bench --locked --bench speed -- --write benches "${peers[@]}" "$@"
