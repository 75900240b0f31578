#!/usr/bin/env bash
# Trains networks with the parameters and the state in each format, and prints a table of held-out accuracies over
# several seeds. Arguments are passed to every run: `examples/train/formats.sh --data mnist --cpu`. SEEDS sets the
# number of seeds (default: 5).
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo build --release --locked --quiet --example train
printf '| params | state | held out, mean | lowest | highest | mean − f32 |\n|---|---|---:|---:|---:|---:|\n'
reference=
while read -r params state; do
    for ((seed = 0; seed < ${SEEDS:-5}; seed++)); do
        "${CARGO_TARGET_DIR:-target}/release/examples/train" --quiet --no-plot --seed "$seed" --params "$params" \
            --state "$state" --state-min-len 0 "$@" | sed -E 's/^held-out accuracy ([0-9.]+) .*/\1/'
    done | sort -n | awk -v params="$params" -v state="$state" -v reference="$reference" '
        { sum += $1; if (NR == 1) least = $1; most = $1 }
        END {
            mean = sum / NR; if (reference == "") reference = mean
            printf "| %s | %s | %.2f %% | %.2f | %.2f | %+.2f |\n", params, state, mean, least, most, mean - reference
            print mean > "/dev/stderr"
        }' 2>"${TMPDIR:-/tmp}/formats.$$"
    [ -n "$reference" ] || reference=$(cat "${TMPDIR:-/tmp}/formats.$$")
done <<'LIST'
f32 f32
f32 bf16
f32 block8
bf16-remainder f32
bf16-remainder block8
bf16-stochastic f32
bf16-stochastic block8
bf16 f32
LIST
rm -f "${TMPDIR:-/tmp}/formats.$$"
