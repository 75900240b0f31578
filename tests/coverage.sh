#!/usr/bin/env bash
# Reports which lines of src/ the tests run. It prints one line per file, with the numbers of the lines that no test
# runs, and a total. Arguments are passed to `cargo test`, for example `tests/coverage.sh --test it files::`. Only this
# crate is instrumented. Requires `cargo install llvm_profparser`, which reads the profiles of current compilers.
# (LLVM's own tools must match the version of the compiler. If they do, `cargo llvm-cov` can be used instead.)
set -euo pipefail
cd "$(dirname "$0")/.."
source tests/environment.sh
folder=$PWD/target/coverage
rm -rf "$folder" && mkdir -p "$folder/profiles"
wrapper=$folder/rustc
printf '#!/bin/sh\nexec "$@" -C instrument-coverage\n' >"$wrapper"
chmod +x "$wrapper"
export RUSTC_WORKSPACE_WRAPPER=$wrapper LLVM_PROFILE_FILE=$folder/profiles/%m.profraw
cargo test --locked --tests "$@" 2>&1 | tee "$folder/log"
arguments=()
for profile in "$folder"/profiles/*; do arguments+=(--instr-profile "$profile"); done
while read -r binary; do arguments+=(--object "$binary"); done < <(sed -n 's/^ *Running .*(\(target[^)]*\))$/\1/p' "$folder/log")
cov show "${arguments[@]}" >"$folder/lines"
# The input has the name of each file, followed by its lines: number, count (only for code), text. Lines after `mod
# tests {` are left out.
awk -v src="$PWD/src/" '
    function close_file() { if (lines) printf "%-24s %4d of %4d  %s\n", name, run, lines, missed; all += lines; all_run += run; lines = run = 0; missed = "" }
    /^\// { close_file(); inside = index($0, src) == 1 && $0 !~ /tests\.rs|\.\./; name = substr($0, length(src) + 1); next }
    /\|mod tests \{/ { inside = 0 }
    inside && /^ *[0-9]+\| *[0-9]+\|/ { split($0, field, "|"); lines++; if (field[2] + 0) run++; else missed = missed " " field[1] + 0 }
    END { close_file(); printf "%-24s %4d of %4d, %.1f %%\n", "src", all_run, all, 100 * all_run / all }
' "$folder/lines"
