#!/usr/bin/env bash
# The mutation tests: one token of a shader is changed, and a comparison of GPU and twin must notice. They run in a copy of the
# crate with two lines changed, so that the crate itself has no hook for them. Arguments go to `cargo test`.
set -euo pipefail
cd "$(dirname "$0")/../.."
source tests/environment.sh
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
copy=target/mutations/copy
new=target/mutations/new

rm -rf "$new" && mkdir -p "$new"
cp -r src shaders README.md Cargo.lock "$new"
# With the same dependencies, so that those are built once; and in the place of all other targets the tests that are here. Under
# the crate's own name cargo would take one for the other.
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

# Puts one text in the place of another, which must be there exactly once.
patch() {
    local file=$1 from=$2 to=$3 count text
    count=$(grep -cF -- "$from" "$file" || true)
    [ "$count" -eq 1 ] || { echo "$file has \`$from\` $count times, but must have it once" >&2; exit 1; }
    text=$(<"$file")
    printf '%s\n' "${text/"$from"/"$to"}" >"$file"
}
patch "$new/src/gpu/kernel.rs" 'ShaderSource::Wgsl(self.wgsl().into())' 'ShaderSource::Wgsl(crate::mutate::mutated(self.wgsl()).into())'
patch "$new/src/gpu/pipelines.rs" 'kernel.build(device)' 'crate::mutate::build(kernel, device)'

# A copy that is the same keeps its times, so that it is not compiled again.
diff -rq "$new" "$copy" >/dev/null 2>&1 || { rm -rf "$copy" && mv "$new" "$copy"; }
cargo test --locked --manifest-path "$copy/Cargo.toml" --test mutations "$@"
