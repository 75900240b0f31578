"""The numbers beside this file: runs that change from PyTorch to this crate and back, on the problem of ../golden.

    cargo test --test pytorch -- --ignored     # writes <case>.ours.safetensors
    python generate.py                         # writes <case>.torch.safetensors and ends.safetensors

After HALF steps in float32 a run goes on for as many: here in float32 and in float64, and in `tests/it/pytorch.rs` by this
crate. `<case>.to_here.*` are of a run that began in PyTorch, `<case>.to_torch.*` of one that began in this crate.

    python generate.py --seeds 40 FOLDER

writes there what `chance_decides_on_the_miss_of_sgd` in `tests/it/pytorch.rs` reads: SGD from PyTorch to here with other
gradients and parameters, two files for each seed from 1 on.
"""

import argparse
import os
import sys
from pathlib import Path

os.environ["ATEN_CPU_CAPABILITY"] = "avx2"
HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "golden"))

import torch
from safetensors.torch import load_file, save_file

import convert
import problem

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


def goes_on(case, p, state_dict, dtype, grads):
    """The parameters after the second half, from this state."""
    name, kwargs = CASES[case]
    p = p.to(dtype).clone()
    optimizer = getattr(torch.optim, name)([p], **kwargs)
    state_dict = {
        "state": {0: {k: v.clone() for k, v in state_dict["state"][0].items()}},
        "param_groups": [dict(group) for group in state_dict["param_groups"]],
    }
    convert.load_into(optimizer, state_dict)
    steps(optimizer, p, grads[HALF:])
    return p


def to_here(case, seed, file):
    """What PyTorch leaves in `file` after the first half, and where it goes from there."""
    name, kwargs = CASES[case]
    p = torch.from_numpy(problem.first_params(0, seed)[:LEN].copy())
    optimizer = getattr(torch.optim, name)([p], **kwargs)
    steps(optimizer, p, grads(seed)[:HALF])
    convert.to_file(name, optimizer.state_dict(), file, ["w"])
    state_dict = convert.to_torch(file, {"w": (LEN,)})
    half = p.clone()
    f64 = goes_on(case, half, state_dict, torch.float64, grads(seed))
    steps(optimizer, p, grads(seed)[HALF:])
    # Through the file and back nothing is lost.
    assert torch.equal(p, goes_on(case, half, state_dict, torch.float32, grads(seed))), case
    return {f"{case}.to_here.half": half, f"{case}.to_here.f64": f64, f"{case}.to_here.f32": p}


def to_torch(case):
    """Where PyTorch goes from the first half of this crate's run."""
    half = load_file(HERE / f"{case}.ours.params.safetensors")["w"]
    state_dict = convert.to_torch(HERE / f"{case}.ours.safetensors", {"w": (LEN,)})
    dtypes = {"f32": torch.float32, "f64": torch.float64}
    return {f"{case}.to_torch.{key}": goes_on(case, half, state_dict, dtype, grads(0)) for key, dtype in dtypes.items()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int)
    parser.add_argument("folder", type=Path, nargs="?")
    arguments = parser.parse_args()
    if arguments.seeds is None:
        ends = {}
        for case in CASES:
            ends |= to_here(case, 0, HERE / f"{case}.torch.safetensors") | to_torch(case)
        save_file(ends, HERE / "ends.safetensors")
    for seed in range(1, (arguments.seeds or 0) + 1):
        ends = to_here("sgd", seed, arguments.folder / f"seed{seed}.torch.safetensors")
        save_file(ends, arguments.folder / f"seed{seed}.ends.safetensors")


if __name__ == "__main__":
    main()
