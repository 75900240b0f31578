"""Finds the names of an optimizer's parameters, in its order.

PyTorch numbers the parameters of an optimizer. Their names are in its `state_dict` only if the optimizer was created
from `model.named_parameters()`. Parameters of equal shape cannot be told apart, so nothing is guessed.
"""

from collections import Counter

import torch
from checkpoint import is_number
from state_file import Refusal

HOW = (
    "create the optimizer from model.named_parameters(), or give --names, or, if it was created from "
    "model.parameters(), give --model and --model-order"
)
# What PyTorch's normalization layers keep beside parameters.
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


def in_groups(groups, names, model_names, prefix):
    """Returns the names of the parameters in each of `param_groups`, without the prefix.

    They are `names`, which has them in the order of the optimizer, or else the optimizer's own, or else those of the
    model. Some checkpoints have names in place of the numbers.
    """
    own = [name for group in groups for name in group.get("param_names") or group["params"]]
    if names is None and all(isinstance(name, str) for name in own):
        names = own
    elif names is None and model_names is None:
        raise Refusal(f"the optimizer does not have the names of its parameters: {HOW}")
    elif names is None and len(groups) > 1:
        raise Refusal(f"the optimizer has {len(groups)} groups, which the order of a model does not have: give --names")
    names = without(prefix, names or model_names)
    if len(names) != len(own):
        raise Refusal(f"the optimizer has {len(own)} parameters, but there are {len(names)} names: {', '.join(names)}")
    names = iter(names)
    return [[next(names) for _ in group["params"]] for group in groups]


def without(prefix, names):
    """Returns the names without the prefix. They must differ."""
    names = [name.removeprefix(prefix) for name in names]
    name, count = Counter(names).most_common(1)[0] if names else ("", 1)
    if count > 1:
        raise Refusal(f"{count} parameters have the name `{name}`")
    return names


def tensors(model, prefix):
    """Returns the tensors of a model by name, buffers included."""
    found = {name: value for name, value in model.items() if isinstance(value, torch.Tensor)}
    return dict(zip(without(prefix, found), found.values()))


def parameters(model):
    """Returns the names in the order of `model.parameters()`: without buffers, and weights that are tied once."""
    names, seen = [], set()
    for name, value in model.items():
        if not isinstance(value, torch.Tensor) or not is_number(value) or name.split(".")[-1] in BUFFERS:
            continue
        # Tensors without elements have no place of their own.
        place = (value.data_ptr(), value.shape, value.stride()) if value.numel() else name
        if place not in seen:
            names.append(name)
        seen.add(place)
    return names
