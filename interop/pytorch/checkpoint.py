"""Opens PyTorch's checkpoints and finds the dictionary that is needed."""

import pickle
from pathlib import Path

import numpy
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from state_file import Refusal

# What a number of NumPy is made of, a learning rate for example. NumPy before 2.0 named the function differently.
SCALARS = [
    numpy.dtype,
    *{type(numpy.dtype(kind)) for kind in ("f2", "f4", "f8", "i4", "i8", "?")},
    numpy._core.multiarray.scalar,
    (numpy._core.multiarray.scalar, "numpy.core.multiarray.scalar"),
]


def load(place, what, fits):
    """Returns the dictionary at `FILE` or `FILE::KEY.KEY` that fits. Without keys, it must be the only one there."""
    path, _, keys = str(place).partition("::")
    found = dict(search(open_file(path), fits))
    has = " and ".join(f"`{path}::{key}`" if key else f"`{path}` itself" for key in found) or "none"
    if keys:
        if keys not in found:
            raise Refusal(f"{path} has no {what} at `{keys}`; it has {has}")
        return found[keys]
    if len(found) != 1:
        raise Refusal(f"{path} must have one {what}, or `::` and its keys must follow; it has {has}")
    return next(iter(found.values()))


def open_file(path):
    """Returns what `torch.save` wrote, on the CPU, or the tensors of a safetensors file."""
    if not Path(path).is_file():
        raise Refusal(f"{path} is not a file")
    try:
        if path.endswith(".safetensors"):
            return load_file(path)
        with torch.serialization.safe_globals(SCALARS):
            return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, SafetensorError) as error:
        raise Refusal(
            f"{path} cannot be opened, or not without running code in it: it must hold state_dicts, tensors, numbers "
            f"and strings only ({str(error).splitlines()[0]})"
        ) from error


def search(tree, fits, keys=""):
    """Yields the dictionaries that fit, each with its keys joined by dots, but none that is inside of another."""
    if isinstance(tree, dict) and fits(tree):
        yield keys, tree
        return
    # The moments in an optimizer look like a model.
    if isinstance(tree, dict) and not is_optimizer(tree):
        items = tree.items()
    else:
        items = enumerate(tree) if isinstance(tree, (list, tuple)) else ()
    for key, value in items:
        yield from search(value, fits, f"{keys}.{key}" if keys else str(key))


def is_optimizer(tree):
    return {"state", "param_groups"} <= tree.keys()


def is_scaler(tree):
    return {"scale", "_growth_tracker"} <= tree.keys()


def is_model(tree):
    tensors = [value for key, value in tree.items() if not str(key).endswith("_extra_state")]
    return all(isinstance(value, torch.Tensor) for value in tensors) and any(map(is_number, tensors))


def is_number(tensor):
    """Whether it can be a parameter."""
    return tensor.is_floating_point() or tensor.is_complex()
