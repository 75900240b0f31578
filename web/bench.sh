#!/usr/bin/env bash
# Measures the library against TensorFlow.js in headless Chromium: `web/bench.sh`. RUNS is the number of runs, by default 5.
set -euo pipefail
cd "$(dirname "$0")/.."
web/build.sh page
web/build.sh npm
node web/bench/bench.mjs
