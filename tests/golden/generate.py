"""Generates the golden numbers: each case in float64, as the reference, and in the framework's own float32.

    pip install -r requirements.txt
    python generate.py

writes four files beside this one, with the same bytes each time. `adam.safetensors` and `family.safetensors` hold the
final values of the float64 runs. `adam.json` and `family.json` hold the conditions of each case and the errors of the
framework's float32 runs.

    python generate.py --seeds 20 FOLDER

writes the input of the test `the_largest_misses_vary_with_the_seed` in `tests/it/golden` to FOLDER: the cases of
`BY_SEED` with other gradients and parameters, as a pair of files for each seed, starting at 1.

A miss is an error against float64 with the same float32 gradients and initial parameters:

- The miss of p is measured in units of the distance moved, which is the root mean square of p_T - p_0 over the
  elements.
- The miss of a state tensor (m, v, ...) is measured element by element, in units of that element's root mean square
  over the steps of the float64 run. An element that was always zero must be exactly zero, because it has no unit.

`tests/it/golden` measures the crate in the same way. Only every eighth element of a state tensor is stored and
compared. Some optimizers of PyTorch have two implementations ("for-loop" and "fused"). Both are listed.
"""

import argparse
import json
from importlib.metadata import version
from pathlib import Path

import frameworks
import jax
import numpy as np
import optax
import problem
import torch
from cases import ADAM, FAMILY
from safetensors.numpy import save_file

EVERY = 8

BY_SEED = [
    "sgd nesterov",
    "sgd dampening",
    "optax rmsprop initial scale",
    "optax rmsprop centered",
    "optax sgd nesterov",
]
"""The cases whose largest miss with seed 0 exceeds that of the framework."""


def miss(got, want, unit):
    error = got.astype(np.float64) - want
    assert np.all(error[unit == 0] == 0)
    error = np.abs(error) / np.where(unit == 0, 1, unit)
    return {"rms": number(np.sqrt(np.mean(error**2))), "max": number(error.max())}


def number(x):
    return float(f"{x:.6g}")


def generate(case, seed, grads, tensors):
    p0 = problem.first_params(case.p0, seed)
    reference = frameworks.run(case, p0, grads, np.float64)
    moved = np.sqrt(np.mean((reference.p - p0) ** 2))
    units = {name: np.sqrt(x[::EVERY] / problem.STEPS).astype(np.float32) for name, x in reference.squares.items()}

    tensors[f"{case.name}/p"] = reference.p
    for name, unit in units.items():
        tensors[f"{case.name}/{name}"] = np.ascontiguousarray(reference.states[name][::EVERY])
        tensors[f"{case.name}/{name} unit"] = unit

    float32 = {}
    fused = case.optimizer.rpartition(".")[2] in frameworks.HAS_FUSED and case.optimizer.startswith("torch")
    for how in ["for-loop", "fused"] if fused else ["for-loop"]:
        run = frameworks.run(case, p0, grads, np.float32, how == "fused")
        misses = {"p": miss(run.p, reference.p, moved)}
        for name, unit in units.items():
            misses[name] = miss(run.states[name][::EVERY], reference.states[name][::EVERY], unit.astype(np.float64))
        float32[how] = misses
        print(f"{case.name:30} {how:9}", *(f"{k} {x['rms']:.2e} {x['max']:.2e}" for k, x in misses.items()), sep="  ")

    return {
        "name": case.name,
        "optimizer": case.optimizer,
        "groups": case.groups,
        "p0": case.p0,
        "lr_then": case.lr_then,
        "clip": case.clip,
        "moved": number(moved),
        "float32": float32,
    }


def write(path, cases, seed=0):
    """Writes the two files of `cases`. `path` has no extension."""
    grads = problem.grads(seed)
    tensors = {}
    described = {
        "made with": f"torch {torch.__version__}, optax {optax.__version__}, jax {jax.__version__}, "
        f"timm {version('timm')}, torch-optimi {version('torch-optimi')}",
        "elements": problem.ELEMENTS,
        "steps": problem.STEPS,
        "lr_changes_after": problem.LR_CHANGES_AFTER,
        "state_every": EVERY,
        # A test uses this to check that its own generator gives the same gradients.
        "sum_of_bits": int(grads.view(np.uint32).sum(dtype=np.uint64)),
        "cases": [generate(case, seed, grads, tensors) for case in cases],
    }
    save_file(tensors, f"{path}.safetensors")
    Path(f"{path}.json").write_text(json.dumps(described, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int)
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).parent)
    arguments = parser.parse_args()
    if arguments.seeds is None:
        write(arguments.folder / "adam", ADAM)
        write(arguments.folder / "family", FAMILY)
    for seed in range(1, (arguments.seeds or 0) + 1):
        write(arguments.folder / f"seed{seed}", [case for case in FAMILY if case.name in BY_SEED], seed)


if __name__ == "__main__":
    main()
