"""Converts the state of PyTorch's optimizers to a state file of wgpu-adam and back.

    python convert.py to-file AdamW optimizer.pt state.safetensors [NAME...]
    python convert.py to-torch state.safetensors optimizer.pt MODEL.pt

`optimizer.pt` was written by `torch.save(optimizer.state_dict(), ...)`. `MODEL.pt` is a state_dict of the model, which
provides the shapes. NAME... are the names of the parameters, in the order of the optimizer. They may be left out if the
optimizer was created from `model.named_parameters()`. Requires torch and safetensors, as pinned in
../golden/requirements.txt.
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
    """Returns this crate's configuration of a group of `torch.optim.<optimizer>`."""
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
            | ({"centered": True} if group["centered"] else {})
        },
        "Adagrad": lambda: {
            "AdaGrad": {"lr_decay": group["lr_decay"], "initial": group["initial_accumulator_value"]}
        },
        "SGD": lambda: {
            "Sgd": {"momentum": momentum, "dampening": group["dampening"], "nesterov": group["nesterov"]}
        },
    }
    if optimizer not in variant:
        raise SystemExit(f"{optimizer} has no counterpart in wgpu-adam; supported: {', '.join(variant)}")
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
    """Returns the CRC-32 of the JSON and, in the order of names, a description and the bytes of each tensor."""
    crc = zlib.crc32(head.encode())
    for name in sorted(tensors, key=str.encode):
        tensor = tensors[name]
        crc = zlib.crc32(f"{name} {DTYPES[tensor.dtype]} {list(tensor.shape)}\n".encode(), crc)
        # NumPy does not support bfloat16.
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
            # SGD does not count steps. It only matters whether there was a first step.
            step = int(state.pop("step", 1))
            if step not in clocks:
                clocks[step] = len(head["clocks"])
                head["clocks"].append({"group": number, "t": step, "lr": 0.0})
            state.pop("mu_product", None)
            state = {key: value for key, value in state.items() if value is not None}
            state = {key: value.detach().float().flatten().contiguous() for key, value in state.items()}
            if group.get("centered"):
                # wgpu-adam keeps the variance itself, which PyTorch gets as a difference.
                square, mean = state.pop("square_avg").double(), state["grad_avg"].double()
                state["grad_var"] = (square - mean * mean).clamp(min=0).float()
            if not state:
                raise SystemExit(f"{name}: the optimizer has no state for it; make a step first")
            length = next(iter(state.values())).numel()
            head["tensors"].append({"name": name, "clock": clocks[step], "len": length})
            tensors[f"{name}.step"] = torch.tensor(step, dtype=torch.int64)
            tensors.update({f"{name}.{key}": value for key, value in state.items()})
            head["t"] = max(head["t"], step)
    head = json.dumps(head)
    metadata = {"format": "wgpu-adam", "version": "1", "state": head, "crc32": checksum(head, tensors)}
    save_file(tensors, path, metadata)


def to_torch(path, shapes):
    """Returns a `state_dict` for the optimizer of these parameters. `shapes` maps names to shapes, in its order.

    Its param_groups hold only the values in the file. `load_into` takes the other values from the optimizer.
    """
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    if metadata.get("format") != "wgpu-adam" or metadata.get("version") != "1":
        raise SystemExit(f"{path} is not a state file that this script can read")
    if checksum(metadata["state"], tensors) != metadata["crc32"]:
        raise SystemExit(f"{path} is damaged")
    head = json.loads(metadata["state"])
    unsupported = [name for name in tensors if name.endswith((".master", ".remainder", "_scale"))]
    if unsupported:
        raise SystemExit(f"{min(unsupported)}: PyTorch has no 8-bit blocks, masters or remainders")
    group_of = {tensor["name"]: head["clocks"][tensor["clock"]]["group"] for tensor in head["tensors"]}
    order = list(shapes)
    if sorted(order) != sorted(group_of):
        raise SystemExit(f"the file has {sorted(group_of)}, but the model has {sorted(order)}")
    state = {}
    for index, name in enumerate(order):
        own = {key.rpartition(".")[2]: value for key, value in tensors.items() if key.rpartition(".")[0] == name}
        step = own.pop("step").to(torch.float32)
        if "grad_var" in own:
            own["square_avg"] = (own.pop("grad_var").double() + own["grad_avg"].double() ** 2).float()
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
    """Loads the result of `to_torch` into the optimizer. Missing fields keep the values of the optimizer."""
    own = optimizer.state_dict()["param_groups"]
    for group, theirs in zip(state_dict["param_groups"], own):
        for key, value in theirs.items():
            group.setdefault(key, value)
    if isinstance(optimizer, torch.optim.NAdam):
        # The file does not hold mu_product. It is computed from t.
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
