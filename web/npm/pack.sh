#!/usr/bin/env bash
# Packs the package that `web/build.sh npm` has built: `web/npm/pack.sh FOLDER` writes FOLDER/wgpu-adam-VERSION.tgz.
set -euo pipefail
folder=$(realpath "$1")
cd "$(dirname "$0")/../.."
cp LICENSE-* web/dist/npm
npm pack --silent --pack-destination "$folder" ./web/dist/npm
