"""From PyTorch to a state file of wgpu-adam."""

import math

import names as naming
import optimizers
import state_file
import torch
from state_file import Refusal, note


def to_file(
    optimizer,
    state_dict,
    path,
    *,
    model=None,
    names=None,
    model_order=False,
    prefix="",
    scaler=None,
    position=None,
    current_lr=False,
):
    """Writes the `state_dict` of a `torch.optim.<optimizer>` as a state file. The arguments are those of --help."""
    head = {"t": 0, "skipped": 0, "options": {}, "groups": [], "clocks": [], "tensors": []}
    tensors, groups = {}, state_dict["param_groups"]
    if model_order and model is None:
        raise Refusal("--model-order needs --model")
    grouped = naming.in_groups(groups, names, naming.parameters(model) if model_order else None, prefix)
    in_model = None if model is None else naming.tensors(model, prefix)
    for number, (settings, names) in enumerate(zip(groups, grouped)):
        optimizers.check(optimizer, number, settings)
        config = optimizers.config_of(optimizer, settings, rate(number, settings, current_lr))
        head["groups"].append({"config": config})
        keys, lens, steps = optimizers.state_keys(optimizer, settings), {}, {}
        for index, name in zip(settings["params"], names):
            state = dict(state_dict["state"].get(index, {}))
            state.pop("mu_product", None)
            step = int(state.pop("step", 0))
            state = {key: value for key, value in state.items() if value is not None}
            if state and state.keys() != set(keys):
                raise Refusal(f"`{name}` has the state {sorted(state)}, but {optimizer} must have {sorted(keys)}")
            if optimizer == "SGD":
                step = step_of_sgd(number, settings, state, position)
            shape = shape_of(name, state, in_model)
            if 0 in shape:
                note(f"`{name}` has no elements and is left out")
                continue
            lens[name], steps[name] = math.prod(shape), step
            tensors[f"{name}.step"] = torch.tensor(step, dtype=torch.int64)
            tensors |= moments(name, state, shape, keys)
        most = max(steps.values(), default=0)
        at = most if position is None else position
        if at < most:
            raise Refusal(f"--position is {at}, but group {number} has made {most} steps")
        head["t"] = max(head["t"], at)
        # A clock for each count of steps: a parameter makes no step without a gradient.
        clocks = {step: len(head["clocks"]) + i for i, step in enumerate(dict.fromkeys(steps.values()))}
        now = float(settings["lr"])
        head["clocks"] += [{"group": number, "t": step, "position": at, "lr": now} for step in clocks]
        head["tensors"] += [{"name": name, "clock": clocks[steps[name]], "len": lens[name]} for name in steps]
    if scaler is not None:
        factors = ("growth_factor", "backoff_factor", "growth_interval")
        head["options"]["loss_scale"] = {key: scaler[key] for key in factors}
        head["loss_scale"] = {"scale": float(scaler["scale"]), "growth_tracker": int(scaler["_growth_tracker"])}
    state_file.write(path, head, tensors)


def rate(number, settings, current):
    """Returns the learning rate that a schedule here multiplies: OneCycleLR's peak, or what a scheduler began with."""
    if "max_momentum" in settings or "base_momentum" in settings:
        note(f"group {number}: PyTorch's scheduler also moves the momentum, which stays as it is now")
    for key in [] if current else ["max_lr", "initial_lr"]:
        if key in settings:
            if float(settings[key]) != float(settings["lr"]):
                base, now = float(settings[key]), float(settings["lr"])
                note(f"group {number}: lr is {key} = {base}, for a schedule here; --current-lr takes {now}")
            return float(settings[key])
    return float(settings["lr"])


def step_of_sgd(number, settings, state, position):
    """Returns a step count for a parameter of SGD. PyTorch has none: it only matters whether there was a first step."""
    if "initial_lr" in settings and position is None:
        raise Refusal(f"group {number} has a scheduler, but SGD does not count the steps: give --position")
    stepped = bool(state) or settings["momentum"] == 0
    return stepped * (1 if position is None else position)


def shape_of(name, state, in_model):
    """Returns the shape of a parameter, which its state and the model must agree about."""
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    if in_model is None:
        if not state:
            raise Refusal(f"the optimizer has no state for `{name}` yet, which would have its shape: give --model")
        need = next(iter(shapes.values()))
    else:
        if name not in in_model:
            raise Refusal(f"the model has no `{name}`; it has {', '.join(in_model)}")
        need = tuple(in_model[name].shape)
    for key, shape in shapes.items():
        if shape != need:
            raise Refusal(
                f"`{name}` has the shape {need}, but its `{key}` {shape}: the names are not in the order of the "
                f"optimizer; {naming.HOW}"
            )
    if any(value.is_complex() for value in [*state.values(), *([in_model[name]] if in_model else [])]):
        raise Refusal(f"`{name}` is complex: wgpu-adam has no complex parameters")
    return need


def moments(name, state, shape, keys):
    """Returns the state tensors of a parameter as the file has them. Before its first step they are zero."""
    for key, value in state.items():
        if value.dtype == torch.float64:
            note(f"`{name}.{key}` is rounded from float64 to float32")
    state = dict(state or {key: torch.zeros(shape) for key in keys})
    if "grad_avg" in state:
        # Centered RMSprop: the file has the variance itself.
        square, mean = state.pop("square_avg").double(), state["grad_avg"].double()
        state["grad_var"] = (square - mean * mean).clamp(min=0).float()
    return {f"{name}.{key}": value.detach().float().flatten().contiguous() for key, value in state.items()}
