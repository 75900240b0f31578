"""From a state file of wgpu-adam to PyTorch."""

import math

import names as naming
import optimizers
import state_file
import torch
from state_file import Refusal, note


def to_torch(path, model, *, optimizer=None, names=None, model_order=False, prefix=""):
    """Returns the name in `torch.optim`, the `state_dict` and that of a GradScaler, if the file has a loss scale.

    The arguments are those of --help.
    """
    head, tensors = state_file.read(path)
    other = sorted(key for key in tensors if key.endswith((".master", ".remainder", "_scale")))
    if other:
        raise Refusal(f"`{other[0]}`: PyTorch has no masters, remainders and 8-bit moments")
    for tensor in head["tensors"]:
        if head["clocks"][tensor["clock"]].get("active") is False:
            note(f"`{tensor['name']}` is inactive: PyTorch steps it unless it has no gradient")
    kind, settings = optimizers.optimizer_of([group["config"] for group in head["groups"]])
    in_model = naming.tensors(model, prefix)
    templates = None if optimizer is None else optimizer["param_groups"]
    grouped = order(head, in_model, templates, model, names, model_order, prefix)
    original = dict(zip(in_model, model))
    state, param_groups, index = {}, [], 0
    for number, (names, own) in enumerate(zip(grouped, settings)):
        if templates is None:
            base = optimizers.defaults(kind) | {"param_names": [original[name] for name in names]}
        else:
            # Settings that change no numbers, such as `fused`, stay as they are there.
            base = templates[number]
            optimizers.check(kind, number, base)
        group = base | own | rates(head, number)
        group["params"] = list(range(index, index + len(names)))
        index += len(names)
        param_groups.append(group)
        for i, name in zip(group["params"], names):
            value = state_of(name, tuple(in_model[name].shape), tensors, kind, group)
            if value:
                state[i] = value
    return kind, {"state": state, "param_groups": param_groups}, scaler(head)


def order(head, in_model, templates, model, names, model_order, prefix):
    """Returns the names of the parameters of each group, in the order of PyTorch's optimizer."""
    file = {tensor["name"]: head["clocks"][tensor["clock"]]["group"] for tensor in head["tensors"]}
    # The file has no tensors without elements, but PyTorch's optimizer may have.
    empty = {name for name, tensor in in_model.items() if name not in file and tensor.numel() == 0}
    in_order = naming.parameters(model) if model_order else None
    count = len(head["groups"])
    if templates is not None:
        grouped = naming.in_groups(templates, names, in_order, prefix)
        if len(grouped) != count:
            raise Refusal(f"PyTorch's optimizer has {len(grouped)} groups, but the file has {count}")
        for number, group in enumerate(grouped):
            for name in group:
                if file.get(name, number) != number:
                    raise Refusal(f"`{name}` is in group {number} in PyTorch, but in group {file[name]} of the file")
        flat = [name for group in grouped for name in group]
    elif names is None and in_order is None:
        raise Refusal("the order of the parameters in PyTorch is needed: give --optimizer, --names or --model-order")
    else:
        flat = naming.without(prefix, names or in_order)
        if names is None:
            # The model has also parameters that are not in the optimizer.
            flat = [name for name in flat if name in file or name in empty]
        grouped = [[name for name in flat if file.get(name, 0) == number] for number in range(count)]
        if count > 1 and empty.intersection(flat):
            raise Refusal(f"`{min(empty)}` is empty, and the file does not have its group: give --optimizer")
    for name in flat:
        if name not in file and name not in empty:
            raise Refusal(f"the file has no `{name}`; it has {', '.join(file)}")
        if name not in in_model:
            raise Refusal(f"the model has no `{name}`; it has {', '.join(in_model)}")
    for name in file:
        if name not in flat:
            raise Refusal(f"the file has `{name}`, but PyTorch's optimizer has only {', '.join(flat)}")
    return grouped


def rates(head, number):
    """Returns what a scheduler of PyTorch needs to go on, if the group has a schedule."""
    group = head["groups"][number]
    clocks = [clock for clock in head["clocks"] if clock["group"] == number]
    position = max((clock.get("position", clock["t"]) for clock in clocks), default=0)
    # The other form of no schedule is a constant factor of 1.
    if group.get("schedule") in (None, {"Constant": 1.0}) or position == 0:
        return {}
    note(
        f"group {number} has a schedule: create PyTorch's scheduler as at the start, load the state_dict, then set "
        f"scheduler.last_epoch = {position - 1} and call scheduler.step()"
    )
    # PyTorch's schedulers make the next rate from the last.
    latest = max(clocks, key=lambda clock: clock["t"])
    return {"initial_lr": group["config"]["lr"], "lr": latest["lr"]}


def state_of(name, shape, tensors, kind, group):
    """Returns the state of a parameter as PyTorch has it."""
    step, state = 0, {key: torch.zeros(shape) for key in optimizers.state_keys(kind, group)}
    if 0 not in shape:
        step = int(tensors[f"{name}.step"])
        own = {key: tensors.get(f"{name}.{key}") for key in [*state, "grad_var"]}
        if "grad_avg" in state:
            # Centered RMSProp: the file has the variance itself.
            own["square_avg"] = (own["grad_var"].double() + own["grad_avg"].double() ** 2).float()
        for key in state:
            value = own[key]
            if value.numel() != math.prod(shape):
                raise Refusal(f"`{name}` has {value.numel()} elements, but in the model it has the shape {shape}")
            state[key] = value.float().reshape(shape)
    if kind == "SGD":
        # PyTorch begins with the gradient of the first step, and not with zeros.
        return state if step else {}
    if kind == "NAdam":
        state["mu_product"] = mu_product(group["betas"], group["momentum_decay"], step)
    return {"step": torch.tensor(float(step))} | state


def mu_product(betas, momentum_decay, step):
    """Returns NAdam's product of momenta, rounded as PyTorch rounds it. A file has no such tensor."""
    product = torch.ones(())
    for t in range(1, step + 1):
        product *= betas[0] * (1.0 - 0.5 * (0.96 ** (t * momentum_decay)))
    return product


def scaler(head):
    """Returns the `state_dict` of a GradScaler."""
    if head.get("loss_scale") is None:
        return None
    state = head["loss_scale"]
    factors = {"growth_factor": 2.0, "backoff_factor": 0.5, "growth_interval": 2000}
    given = head["options"].get("loss_scale") or {}
    factors |= {key: given[key] for key in factors if key in given}
    return {"scale": state["scale"], **factors, "_growth_tracker": state["growth_tracker"]}
