#!/usr/bin/env bash
# Runs the tests on each driver that is available on a Debian machine without a GPU: Mesa's lavapipe and SwiftShader
# (Vulkan), and wgpu's GL backend on Mesa's llvmpipe. Arguments are passed to `cargo test`, for example
# `tests/drivers.sh --test it parity::`; without any, the mutation tests run too. It prints one line per driver at the
# end. The library of SwiftShader is taken from Debian's package chromium-common; nothing else of that package is used.
set -euo pipefail
cd "$(dirname "$0")/.."
source tests/environment.sh
folder=$PWD/target/drivers
mkdir -p "$folder"

installed() { dpkg-query --show --showformat='${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }
missing=()
for package in libvulkan1 mesa-vulkan-drivers libegl1 libgles2 libgl1-mesa-dri; do installed "$package" || missing+=("$package"); done
[ ${#missing[@]} -eq 0 ] || debian "${missing[@]}"
if [ ! -e "$folder/libvk_swiftshader.so" ]; then
    (cd "$folder" && apt-get download -qq chromium-common)
    dpkg-deb --fsys-tarfile "$folder"/chromium-common_*.deb | tar --extract --directory "$folder" --strip-components=4 \
        ./usr/lib/chromium/libvk_swiftshader.so ./usr/lib/chromium/vk_swiftshader_icd.json
    rm "$folder"/chromium-common_*.deb
fi

lavapipe=$(find /usr/share/vulkan/icd.d -name 'lvp_icd*.json' | head -n 1)
summary=()
failed=0
on() {
    local name=$1 log=$folder/${1// /-}.log
    shift
    printf '\n== %s\n' "$name"
    local code=0
    env "$@" cargo test --locked --no-fail-fast "${arguments[@]}" 2>&1 | tee "$log" || code=$?
    [ ${#arguments[@]} -gt 0 ] || env "$@" tests/mutations/run.sh 2>&1 | tee -a "$log" || code=$?
    local passed not
    passed=$(awk '/^test result:/ { n += $4 } END { print n + 0 }' "$log")
    not=$(awk '/^test result:/ { n += $6 } END { print n + 0 }' "$log")
    summary+=("$(printf '%-22s %4s passed, %s failed' "$name" "$passed" "$not")")
    [ "$code" -eq 0 ] || failed=1
}
arguments=("$@")
on "lavapipe Vulkan" WGPU_BACKEND=vulkan VK_ICD_FILENAMES="$lavapipe"
on "SwiftShader Vulkan" WGPU_BACKEND=vulkan VK_ICD_FILENAMES="$folder/vk_swiftshader_icd.json"
on "llvmpipe GL" WGPU_BACKEND=gl LIBGL_ALWAYS_SOFTWARE=1
printf '\n== summary\n'
printf '%s\n' "${summary[@]}"
exit "$failed"
