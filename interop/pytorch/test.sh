#!/usr/bin/env bash
# Tests the converter with PyTorch, in a virtual environment that it makes under target/ if there is none. Arguments are
# those of `python -m unittest`.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=$PWD/interop/pytorch
target=${CARGO_TARGET_DIR:-target}
# Other requirements make another environment.
venv=$target/pytorch-$(cksum <"$here/requirements.txt" | cut -d ' ' -f 1)
[[ $venv = /* ]] || venv=$PWD/$venv
export CUDA_VISIBLE_DEVICES="" TORCH_USE_RTLD_GLOBAL=1 PYTHONDONTWRITEBYTECODE=1

pip() { "$venv/bin/pip" --quiet --disable-pip-version-check install --no-warn-conflicts "$@"; }
works() { "$venv/bin/python" -c "import torch, numpy, safetensors" 2>/dev/null; }

# PyPI's torch for Linux on x86-64 needs another 2.4 GB of packages of CUDA, which a run on the CPU loads and never
# calls. Empty libraries take the place of most: 1.5 GB on the disk in place of 5.4. TORCH_USE_RTLD_GLOBAL makes torch
# look for a function when it calls it.
small() {
    [ "$(uname -sm)" = "Linux x86_64" ] &&
        pip --no-deps --requirement "$here/requirements.txt" nvidia-cuda-runtime==13.2.86 nvidia-cuda-cupti==13.2.86 &&
        pip typing-extensions filelock sympy networkx jinja2 fsspec || return 1
    local site lib name
    site=$("$venv/bin/python" -c "import sysconfig; print(sysconfig.get_path('purelib'))")
    lib=$site/nvidia/cu13/lib
    for name in libcublas.so.13 libcublasLt.so.13 libcudnn.so.9 libcufft.so.12 libcufile.so.0 libcusparse.so.12 \
        libcusparseLt.so.0 libnccl.so.2 libnvrtc.so.13; do
        echo "" | cc -shared -x c - -Wl,-soname,$name -o "$lib/$name"
    done
    # This one has a variable, which is looked for at once.
    echo "NVSHMEM { global: *; };" >"$lib/nvshmem.map"
    echo "int nvshmem_selected_device_transport;" |
        cc -shared -x c - -Wl,-soname,libnvshmem_host.so.3 -Wl,--version-script="$lib/nvshmem.map" \
            -o "$lib/libnvshmem_host.so.3"
}

if ! works; then
    rm -rf "$venv"
    python3 -m venv "$venv" && { small && works || pip --requirement "$here/requirements.txt"; } >&2 || true
    if ! works; then
        echo "pytorch: SKIPPED, torch is not installed and cannot be installed"
        exit
    fi
fi
cd "$here"
exec "$venv/bin/python" -m unittest "${@:-test_convert}"
