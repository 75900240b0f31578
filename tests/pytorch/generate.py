"""The numbers beside this file: runs that change from PyTorch to this crate and back, on the problem of ../golden.

    cargo test --test pytorch -- --ignored     # writes <case>.ours.safetensors
    python generate.py                         # writes <case>.torch.safetensors and ends.safetensors

After HALF steps in float32 a run goes on for as many: here in float32 and in float64, and in `tests/pytorch.rs` by this
crate. `<case>.to_here.*` are of a run that began in PyTorch, `<case>.to_torch.*` of one that began in this crate.
"""

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
GRADS = [torch.from_numpy(g[:LEN].copy()) for g in list(problem.grads())[: 2 * HALF]]


def steps(optimizer, p, grads):
    for g in grads:
        p.grad = g.to(p.dtype)
        optimizer.step()


def goes_on(name, kwargs, p, state_dict, dtype):
    """The parameters after the second half, from this state."""
    p = p.to(dtype).clone()
    optimizer = getattr(torch.optim, name)([p], **kwargs)
    state_dict = {
        "state": {0: {k: v.clone() for k, v in state_dict["state"][0].items()}},
        "param_groups": [dict(group) for group in state_dict["param_groups"]],
    }
    convert.load_into(optimizer, state_dict)
    steps(optimizer, p, GRADS[HALF:])
    return p


ends = {}
for case, (name, kwargs) in CASES.items():
    p = torch.from_numpy(problem.first_params(0)[:LEN].copy())
    optimizer = getattr(torch.optim, name)([p], **kwargs)
    steps(optimizer, p, GRADS[:HALF])
    file = HERE / f"{case}.torch.safetensors"
    convert.to_file(name, optimizer.state_dict(), file, ["w"])
    state_dict = convert.to_torch(file, {"w": (LEN,)})
    ends[f"{case}.to_here.half"] = p.clone()
    ends[f"{case}.to_here.f64"] = goes_on(name, kwargs, p, state_dict, torch.float64)
    steps(optimizer, p, GRADS[HALF:])
    ends[f"{case}.to_here.f32"] = p
    # Through the file and back nothing is lost.
    assert torch.equal(p, goes_on(name, kwargs, ends[f"{case}.to_here.half"], state_dict, torch.float32)), case

    ours = load_file(HERE / f"{case}.ours.params.safetensors")["w"]
    state_dict = convert.to_torch(HERE / f"{case}.ours.safetensors", {"w": (LEN,)})
    for dtype, key in [(torch.float32, "f32"), (torch.float64, "f64")]:
        ends[f"{case}.to_torch.{key}"] = goes_on(name, kwargs, ours, state_dict, dtype)
save_file(ends, HERE / "ends.safetensors")
