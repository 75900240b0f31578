# Sourced from the root of the repository. Sets what cargo needs to build for wasm32: the arguments `wasm`, and, if
# rustc has no such target, a toolchain of Debian packages in the folder WASM_TOOLCHAIN (850 MB). The toolchain of the
# machine stays as it is. If the caller sets WASM_TOOLCHAIN, the one in that folder is used in any case.
wasm=(--target wasm32-unknown-unknown)

# Unpacks the packages beside the folder, and renames last: an interrupted run leaves nothing that looks complete.
debian_toolchain() (
    set -euo pipefail
    command -v apt-get dpkg >/dev/null || { echo "rustc has no target wasm32-unknown-unknown, and there is no apt-get" >&2; exit 1; }
    folder=$1 sudo=""
    [ "$(id -u)" -eq 0 ] || sudo=sudo
    mkdir -p "$(dirname "$folder")"
    new=$(mktemp -d "$folder.XXXXXX")
    trap 'rm -rf "$new"' EXIT
    mkdir "$new/debs"
    $sudo apt-get update -qq
    # The package `libstd-rust-web-dev` names the one with the libraries of its version, and rustc-web its LLVM.
    depends() { apt-cache depends "$1" | sed -nE "s/ *Depends: ($2)\$/\\1/p" | head -n 1; }
    std=$(depends rustc-web 'libstd-rust-web-[0-9.]+') || true
    [ -n "$std" ] || std=$(depends libstd-rust-web-dev 'libstd-rust-web-[0-9.]+')
    llvm=$(depends "$std" 'libllvm[0-9]+')
    packages=(rustc-web libstd-rust-web-dev "$std" rust-web-src "$llvm" "lld-${llvm#libllvm}")
    (cd "$new/debs" && apt-get download -qq -o APT::Sandbox::User=root "${packages[@]}")
    for package in "$new"/debs/*.deb; do dpkg -x "$package" "$new"; done
    rm -r "$new/debs"
    # rustc finds its library by its own path, and the loader LLVM by LD_LIBRARY_PATH.
    for program in rustc:rustc wasm-ld:wasm-ld-${llvm#libllvm}; do
        printf '#!/bin/sh\nhere=$(dirname "$(readlink -f "$0")")\nexport LD_LIBRARY_PATH="$here/usr/lib/%s"\nexec "$here/usr/bin/%s" "$@"\n' \
            "$(uname -m)-linux-gnu" "${program#*:}" >"$new/${program%:*}"
        chmod +x "$new/${program%:*}"
    done
    "$new/rustc" --version >&2 || exit 1
    chmod 755 "$new"
    mv -T "$new" "$folder" 2>/dev/null || [ -x "$folder/rustc" ]
)

if [ -n "${WASM_TOOLCHAIN:-}" ] || ! [ -d "$(rustc --print target-libdir "${wasm[@]}")" ]; then
    WASM_TOOLCHAIN=${WASM_TOOLCHAIN:-$PWD/target/wasm-toolchain}
    [ -x "$WASM_TOOLCHAIN/rustc" ] || debian_toolchain "$WASM_TOOLCHAIN"
    # std is built from its source, which needs a feature of a nightly cargo.
    wasm+=(-Zbuild-std=std,panic_abort)
    export RUSTC=$WASM_TOOLCHAIN/rustc RUSTC_BOOTSTRAP=1
    export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$WASM_TOOLCHAIN/wasm-ld
fi
