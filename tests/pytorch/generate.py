"""Generates the numbers beside this file: runs that move from PyTorch to this crate and back.

    cargo test --test it write_first_halves -- --ignored  # writes <case>.ours.safetensors, <case>.ours.params.safetensors
    python generate.py                                    # writes <case>.torch.safetensors, ends.safetensors

The runs use the problem of ../golden and the converter in ../../interop/pytorch. A run makes HALF steps in float32 and
then as many again: here in float32 and in float64, and with this crate in `tests/it/pytorch.rs`. `<case>.to_here.*`
belong to a run that started in PyTorch, `<case>.to_torch.*` to a run that started in this crate.

    python generate.py --seeds 40 FOLDER

writes the input of the test `the_miss_of_sgd_varies_with_the_seed` in `tests/it/pytorch.rs` to FOLDER: runs of SGD from
PyTorch to this crate with other gradients and parameters, as two files for each seed, starting at 1.
"""

import argparse
import copy
import os
import sys
from pathlib import Path

os.environ["ATEN_CPU_CAPABILITY"] = "avx2"
HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "golden"), str(HERE.parents[1] / "interop/pytorch")]

import torch
from safetensors.torch import load_file, save_file

import problem
from to_file import to_file
from to_torch import to_torch

torch.set_num_threads(1)
HALF = 50
LEN = 512

CASES = {
    "adamw_amsgrad": ("AdamW", dict(amsgrad=True)),
    "adam_l2": ("Adam", dict(weight_decay=1e-2)),
    "nadam": ("NAdam", {}),
    "radam": ("RAdam", {}),
    "adamax": ("Adamax", {}),
    "rmsprop": ("RMSprop", dict(momentum=0.9)),
    "adagrad": ("Adagrad", dict(lr_decay=1e-3)),
    "sgd": ("SGD", dict(momentum=0.9, nesterov=True)),
}


def grads(seed):
    return [torch.from_numpy(g[:LEN].copy()) for g in list(problem.grads(seed))[: 2 * HALF]]


def steps(optimizer, p, grads):
    for g in grads:
        p.grad = g.to(p.dtype)
        optimizer.step()


def second_half(case, p, state_dict, dtype, grads):
    """Returns the parameters after the second half, starting from this state."""
    name, kwargs = CASES[case]
    p = p.to(dtype).clone()
    optimizer = getattr(torch.optim, name)([p], **kwargs)
    optimizer.load_state_dict(copy.deepcopy(state_dict))
    steps(optimizer, p, grads[HALF:])
    return p


def to_here(case, seed, file):
    """Writes the state of PyTorch after the first half to `file`, and returns the ends of both halves."""
    name, kwargs = CASES[case]
    p = torch.from_numpy(problem.first_params(0, seed)[:LEN].copy())
    optimizer = getattr(torch.optim, name)([p], **kwargs)
    steps(optimizer, p, grads(seed)[:HALF])
    to_file(name, optimizer.state_dict(), file, names=["w"])
    half = p.clone()
    _, state_dict, _ = to_torch(file, {"w": p}, names=["w"])
    f64 = second_half(case, half, state_dict, torch.float64, grads(seed))
    steps(optimizer, p, grads(seed)[HALF:])
    # The round trip through the file loses nothing.
    assert torch.equal(p, second_half(case, half, state_dict, torch.float32, grads(seed))), case
    return {f"{case}.to_here.half": half, f"{case}.to_here.f64": f64, f"{case}.to_here.f32": p}


def from_here(case):
    """Continues this crate's first half in PyTorch, and returns the ends."""
    model = load_file(HERE / f"{case}.ours.params.safetensors")
    _, state_dict, _ = to_torch(HERE / f"{case}.ours.safetensors", model, names=["w"])
    half = model["w"]
    dtypes = {"f32": torch.float32, "f64": torch.float64}
    ends = {key: second_half(case, half, state_dict, dtype, grads(0)) for key, dtype in dtypes.items()}
    return {f"{case}.to_torch.{key}": end for key, end in ends.items()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int)
    parser.add_argument("folder", type=Path, nargs="?")
    arguments = parser.parse_args()
    if arguments.seeds is None:
        ends = {}
        for case in CASES:
            ends |= to_here(case, 0, HERE / f"{case}.torch.safetensors") | from_here(case)
        save_file(ends, HERE / "ends.safetensors")
    for seed in range(1, (arguments.seeds or 0) + 1):
        ends = to_here("sgd", seed, arguments.folder / f"seed{seed}.torch.safetensors")
        save_file(ends, arguments.folder / f"seed{seed}.ends.safetensors")


if __name__ == "__main__":
    main()
