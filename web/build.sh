#!/usr/bin/env bash
# Builds a crate of this folder for a browser: `web/build.sh CRATE` writes web/dist/CRATE with the files of CRATE/static,
# CRATE.js and CRATE_bg.wasm. esbuild and the wasm-opt of npm's binaryen make them smaller (Debian's wasm-opt is older and
# confuses its tables).
set -euo pipefail
cd "$(dirname "$0")/.."
crate=$1
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target/web}

cargo build --quiet --locked --manifest-path web/bindgen/Cargo.toml
bindgen=$CARGO_TARGET_DIR/debug/bindgen

source web/toolchain.sh
# Messages of panics contain paths of sources. Those of this machine are nobody's business.
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src= --remap-path-prefix=$PWD="
cargo build --quiet --locked --manifest-path web/Cargo.toml --package "$crate" --release "${wasm[@]}"

# Made beside the folder, so that an interrupted run leaves no half of one.
dist=web/dist/$crate
rm -rf "$dist.new" && mkdir -p "$dist.new"
"$bindgen" "$CARGO_TARGET_DIR/wasm32-unknown-unknown/release/$crate.wasm" "$dist.new"
[ -d web/node_modules/esbuild ] || (cd web && npm ci --silent --no-audit --no-fund)
if [ "$crate" != suite ]; then
    web/node_modules/.bin/wasm-opt --gufa --flatten --rereloop -Oz -Oz --strip-producers --strip-target-features "$dist.new/${crate}_bg.wasm" -o "$dist.new/small"
    mv "$dist.new/small" "$dist.new/${crate}_bg.wasm"
    web/node_modules/.bin/esbuild --log-level=warning --minify --format=esm --allow-overwrite "$dist.new/$crate.js" --outfile="$dist.new/$crate.js"
fi
[ ! -d "web/$crate/static" ] || cp -r "web/$crate/static/." "$dist.new"
if [ "$crate" = page ]; then
    cp examples/data/astronaut-256.png "$dist.new"
    mkdir "$dist.new/tfjs"
    cp web/node_modules/@tensorflow/tfjs-{core/dist/tf-core,backend-webgpu/dist/tf-backend-webgpu}.es2017.min.js "$dist.new/tfjs"
    cp LICENSE-APACHE "$dist.new/tfjs/LICENSE"
fi
rm -rf "$dist" && mv "$dist.new" "$dist"
echo "$dist: $(stat -c %s "$dist/${crate}_bg.wasm") bytes of wasm, $(gzip -9 <"$dist/${crate}_bg.wasm" | wc -c) with gzip"
