"""PyTorch's optimizers to a state file of wgpu-adam and back.

    python convert.py to-file AdamW optimizer.pt state.safetensors [NAME...]
    python convert.py to-torch state.safetensors optimizer.pt MODEL.pt

`optimizer.pt` is what `torch.save(optimizer.state_dict(), ...)` wrote, `MODEL.pt` a state_dict of the model, of which the shapes
are taken. The names are those of the parameters in the optimizer's order; they may be left out where the optimizer was
made of `model.named_parameters()`. Needs torch and safetensors, as pinned in ../golden/requirements.txt.
"""

import json
import sys
import zlib

import torch
from safetensors import safe_open
from safetensors.torch import save_file

DTYPES = {
    torch.float32: "F32",
    torch.bfloat16: "BF16",
    torch.int16: "I16",
    torch.uint8: "U8",
    torch.int64: "I64",
}


def config_of(optimizer, group):
    """The configuration that this crate has for a group of `torch.optim.<optimizer>`."""
    if group.get("centered"):
        raise SystemExit(f"{optimizer}: centered has no counterpart")
    beta1, beta2 = group.get("betas", (0.9, group.get("alpha", 0.999)))
    weight_decay = group.get("weight_decay", 0.0)
    decoupled = optimizer == "AdamW" or group.get("decoupled_weight_decay", False)
    kind = "Decoupled" if decoupled else "L2"
    momentum = group.get("momentum", 0.0)
    amsgrad = {"AmsGrad": {"of_corrected": False}}
    variant = {
        "Adam": lambda: amsgrad if group["amsgrad"] else "Adam",
        "AdamW": lambda: amsgrad if group["amsgrad"] else "Adam",
        "Adamax": lambda: "AdaMax",
        "NAdam": lambda: {"NAdam": {"momentum_decay": group["momentum_decay"]}},
        "RAdam": lambda: {"RAdam": {"eps_on_raw": True}},
        "RMSprop": lambda: {
            "RmsProp": {"momentum": momentum, "nesterov": False, "lr_in_momentum": False, "initial": 0.0}
        },
        "Adagrad": lambda: {
            "AdaGrad": {"lr_decay": group["lr_decay"], "initial": group["initial_accumulator_value"]}
        },
        "SGD": lambda: {
            "Sgd": {"momentum": momentum, "dampening": group["dampening"], "nesterov": group["nesterov"]}
        },
    }
    if optimizer not in variant:
        raise SystemExit(f"{optimizer} has no counterpart: there are {', '.join(variant)}")
    return {
        "lr": float(group["lr"]),
        "beta1": float(beta1),
        "beta2": float(beta2),
        "eps": float(group.get("eps", 1e-8)),
        "eps_root": 0.0,
        "bias_correction": optimizer != "RMSprop",
        "variant": variant[optimizer](),
        "decay": {kind: float(weight_decay)} if weight_decay else "None",
        "maximize": bool(group.get("maximize", False)),
    }


def checksum(head, tensors):
    """CRC-32 of the JSON and, in the order of the names, of each tensor a line and its bytes."""
    crc = zlib.crc32(head.encode())
    for name in sorted(tensors, key=str.encode):
        tensor = tensors[name]
        crc = zlib.crc32(f"{name} {DTYPES[tensor.dtype]} {list(tensor.shape)}\n".encode(), crc)
        # NumPy has no bfloat16.
        bits = tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor
        crc = zlib.crc32(bits.numpy().tobytes(), crc)
    return f"{crc:08x}"


def to_file(optimizer, state_dict, path, names=()):
    """Writes `state_dict` of `torch.optim.<optimizer>` as a state file."""
    head = {"t": 0, "skipped": 0, "options": {}, "groups": [], "clocks": [], "tensors": []}
    tensors, names = {}, list(names)
    for number, group in enumerate(state_dict["param_groups"]):
        head["groups"].append({"config": config_of(optimizer, group)})
        clocks = {}
        for index, name in zip(group["params"], group.get("param_names") or names):
            state = dict(state_dict["state"].get(index, {}))
            if not group.get("param_names"):
                names.pop(0)
            # SGD counts no steps; all that matters of them is whether there was a first one.
            step = int(state.pop("step", 1))
            if step not in clocks:
                clocks[step] = len(head["clocks"])
                head["clocks"].append({"group": number, "t": step, "lr": 0.0})
            state.pop("mu_product", None)
            memories = {key: value.detach().float().flatten().contiguous() for key, value in state.items() if value is not None}
            if not memories:
                raise SystemExit(f"{name}: nothing is remembered of it; make a step first")
            length = next(iter(memories.values())).numel()
            head["tensors"].append({"name": name, "clock": clocks[step], "len": length})
            tensors[f"{name}.step"] = torch.tensor(step, dtype=torch.int64)
            tensors.update({f"{name}.{key}": value for key, value in memories.items()})
            head["t"] = max(head["t"], step)
    head = json.dumps(head)
    metadata = {"format": "wgpu-adam", "version": "1", "state": head, "crc32": checksum(head, tensors)}
    save_file(tensors, path, metadata)


def to_torch(path, shapes):
    """The `state_dict` for `load_state_dict` of the optimizer of these parameters: a shape for each name, in its order.

    It has PyTorch's param_groups with the values that the file has; all else of them is the optimizer's own.
    """
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    if metadata.get("format") != "wgpu-adam" or metadata.get("version") != "1":
        raise SystemExit(f"{path} is no state file that this script can read")
    if checksum(metadata["state"], tensors) != metadata["crc32"]:
        raise SystemExit(f"{path} is damaged")
    head = json.loads(metadata["state"])
    ours = [name for name in tensors if name.endswith((".master", ".remainder", "_scale"))]
    if ours:
        raise SystemExit(f"{min(ours)}: PyTorch has no blocks of 8 bits, masters or remainders")
    group_of = {tensor["name"]: head["clocks"][tensor["clock"]]["group"] for tensor in head["tensors"]}
    order = list(shapes)
    if sorted(order) != sorted(group_of):
        raise SystemExit(f"the file has {sorted(group_of)}, but the model {sorted(order)}")
    state = {}
    for index, name in enumerate(order):
        own = {key.rpartition(".")[2]: value for key, value in tensors.items() if key.rpartition(".")[0] == name}
        step = own.pop("step").to(torch.float32)
        state[index] = {"step": step} | {key: value.reshape(shapes[name]) for key, value in own.items()}
    groups = []
    for number, group in enumerate(head["groups"]):
        config = group["config"]
        decay = config["decay"]
        groups.append(
            {
                "lr": config["lr"],
                "betas": (config["beta1"], config["beta2"]),
                "eps": config["eps"],
                "weight_decay": 0.0 if decay == "None" else next(iter(decay.values())),
                "maximize": config["maximize"],
                "params": [index for index, name in enumerate(order) if group_of[name] == number],
            }
        )
    return {"state": state, "param_groups": groups}


def load_into(optimizer, state_dict):
    """`optimizer.load_state_dict`, for what `to_torch` gave: fields that are not in it keep the optimizer's values."""
    own = optimizer.state_dict()["param_groups"]
    for group, theirs in zip(state_dict["param_groups"], own):
        for key, value in theirs.items():
            group.setdefault(key, value)
    if isinstance(optimizer, torch.optim.NAdam):
        # In the file it is made of t.
        for group in state_dict["param_groups"]:
            for index in group["params"]:
                state, product = state_dict["state"][index], 1.0
                for t in range(1, int(state["step"]) + 1):
                    product *= group["betas"][0] * (1.0 - 0.5 * 0.96 ** (t * group["momentum_decay"]))
                state["mu_product"] = torch.tensor(product, dtype=torch.float32)
    if isinstance(optimizer, torch.optim.SGD):
        for state in state_dict["state"].values():
            state.pop("step")
    optimizer.load_state_dict(state_dict)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["to-file", optimizer, source, target, *names]:
            to_file(optimizer, torch.load(source), target, names)
        case ["to-torch", source, target, model]:
            shapes = {name: tuple(value.shape) for name, value in torch.load(model).items()}
            torch.save(to_torch(source, shapes), target)
        case _:
            raise SystemExit(__doc__)
