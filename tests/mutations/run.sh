#!/usr/bin/env bash
# Runs the mutation tests: each changes one token of a shader, and a comparison of GPU and twin must notice. They run in
# a copy of the crate in which two lines are changed, so that the crate itself contains no hook for them. Arguments are
# passed to `cargo test`.
set -euo pipefail
cd "$(dirname "$0")/../.."
source tests/environment.sh
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
copy=target/mutations/copy
new=target/mutations/new

rm -rf "$new" && mkdir -p "$new"
cp -r src shaders README.md Cargo.lock "$new"
# The copy has the same dependencies, so that they are built once. Its only test target is the mutation tests. It has
# another name, since cargo would confuse two crates of the same name.
sed -i 's/^name = "wgpu-adam"$/name = "wgpu-adam-mutations"/' "$new/Cargo.lock"
awk '/^\[/ { other = /^\[(workspace|\[)/ } !other' Cargo.toml | sed 's/^name = "wgpu-adam"$/name = "wgpu-adam-mutations"/' \
    >"$new/Cargo.toml"
cat >>"$new/Cargo.toml" <<'END'

[lib]
name = "wgpu_adam"

[workspace]

[[test]]
name = "mutations"
path = "../../../tests/mutations/mutations.rs"
END
cp tests/mutations/mutate.rs "$new/src/mutate.rs"
printf '\npub mod mutate;\n' >>"$new/src/lib.rs"

# Replaces a text that must occur exactly once.
patch() {
    local file=$1 from=$2 to=$3 count text
    count=$(grep -cF -- "$from" "$file" || true)
    [ "$count" -eq 1 ] || { echo "$file has \`$from\` $count times, but must have it once" >&2; exit 1; }
    text=$(<"$file")
    printf '%s\n' "${text/"$from"/"$to"}" >"$file"
}
patch "$new/src/gpu/kernel.rs" 'ShaderSource::Wgsl(self.wgsl().into())' 'ShaderSource::Wgsl(crate::mutate::mutated(self.wgsl()).into())'
patch "$new/src/gpu/dispatch.rs" 'kernel.build(device)' 'crate::mutate::build(kernel, device)'

# An unchanged copy keeps its modification times, so that it is not compiled again.
diff -rq "$new" "$copy" >/dev/null 2>&1 || { rm -rf "$copy" && mv "$new" "$copy"; }
cargo test --locked --manifest-path "$copy/Cargo.toml" --test mutations "$@"
