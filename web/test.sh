#!/usr/bin/env bash
# The only test command of web/: builds the programs and runs their tests in headless Chromium. Arguments are those of
# the folders suite, page and npm to test; the default is all. It fails if Chromium is missing and cannot be installed.
set -euo pipefail
cd "$(dirname "$0")/.."
source tests/environment.sh
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target/web}
folders=("$@")
[ $# -gt 0 ] || folders=(suite page npm)

missing() { echo "web: FAILED, $1 is missing and cannot be installed" >&2; exit 1; }
apt() { command -v apt-get >/dev/null && debian "$@" >&2; }
command -v node >/dev/null && command -v npm >/dev/null || apt nodejs npm || missing "node"
node -e "process.exit(process.versions.node.split('.')[0] < 18 ? 1 : 0)" || missing "Node 18 or later"
[ -n "${CHROMIUM:-}" ] || command -v chromium chromium-browser google-chrome >/dev/null || apt chromium || missing "Chromium"
(cd web && npm ci --silent --no-audit --no-fund) || missing "playwright-core of npm"

(
    # A failure ends this script: `|| missing` would let the rest of the file run on after an error.
    source web/toolchain.sh
    RUSTFLAGS="-D warnings" cargo check --quiet --locked --lib "${wasm[@]}"
    echo "web: the library has no warning for wasm32"
)
# The tests of a folder run while the next one is built.
failed=0 running=
for folder in "${folders[@]}"; do
    web/build.sh "$folder" || { failed=1; break; }
    [ -z "$running" ] || wait "$running" || failed=1
    node web/drive.mjs "$folder" &
    running=$!
done
[ -z "$running" ] || wait "$running" || failed=1
exit "$failed"
