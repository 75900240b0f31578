"""The optimizers of `torch.optim` and their counterparts in wgpu-adam: settings and names of the state tensors."""

from functools import cache

import torch
from state_file import Refusal

OPTIMIZERS = ("Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "Adagrad", "SGD")

# Settings that PyTorch added later, or that do not change the numbers. A checkpoint may be without.
OPTIONAL = {"maximize", "foreach", "capturable", "differentiable", "fused", "decoupled_weight_decay", "centered"}

# The defaults of `Config` in wgpu-adam.
DEFAULTS = {
    "lr": 1e-3,
    "beta1": 0.9,
    "beta2": 0.999,
    "eps": 1e-8,
    "eps_root": 0.0,
    "bias_correction": True,
    "variant": "Adam",
    "decay": "None",
    "maximize": False,
}


@cache
def defaults(optimizer):
    """Returns the settings of a group of a new `torch.optim.<optimizer>`: all that the installed PyTorch has."""
    group = getattr(torch.optim, optimizer)([torch.zeros(1)]).state_dict()["param_groups"][0]
    return {key: value for key, value in group.items() if key != "params"}


def check(optimizer, number, settings):
    """Refuses the settings of another optimizer."""
    own = defaults(optimizer).keys()
    others = set().union(*map(defaults, OPTIMIZERS)) - own
    missing, foreign = sorted(own - OPTIONAL - settings.keys()), sorted(others & settings.keys())
    if missing or foreign:
        what = f"no `{missing[0]}`" if missing else f"`{foreign[0]}`"
        raise Refusal(f"group {number} has {what}: it does not belong to torch.optim.{optimizer}")
    if optimizer == "AdamW" and not settings.get("decoupled_weight_decay", True):
        raise Refusal(f"group {number} has coupled weight decay: it belongs to torch.optim.Adam, not to AdamW")


def state_keys(optimizer, settings):
    """Returns the names of the state tensors of a group with these settings, without `step` and `mu_product`."""
    match optimizer:
        case "Adam" | "AdamW":
            return ["exp_avg", "exp_avg_sq"] + ["max_exp_avg_sq"] * bool(settings["amsgrad"])
        case "Adamax":
            return ["exp_avg", "exp_inf"]
        case "NAdam" | "RAdam":
            return ["exp_avg", "exp_avg_sq"]
        case "RMSprop":
            momentum, centered = settings["momentum"] > 0, settings.get("centered", False)
            return ["square_avg"] + ["momentum_buffer"] * momentum + ["grad_avg"] * bool(centered)
        case "Adagrad":
            return ["sum"]
        case "SGD":
            return ["momentum_buffer"] * (settings["momentum"] != 0)


def config_of(optimizer, settings, lr):
    """Returns the configuration in wgpu-adam of a group of `torch.optim.<optimizer>` with these settings."""
    config = dict(DEFAULTS, lr=float(lr), maximize=bool(settings.get("maximize", False)))
    config["bias_correction"] = optimizer != "RMSprop"
    if "betas" in settings:
        config["beta1"], config["beta2"] = (float(beta) for beta in settings["betas"])
    if "eps" in settings:
        config["eps"] = float(settings["eps"])
    weight_decay = float(settings.get("weight_decay", 0.0))
    if weight_decay:
        decoupled = optimizer == "AdamW" or settings.get("decoupled_weight_decay", False)
        config["decay"] = {"Decoupled" if decoupled else "L2": weight_decay}
    match optimizer:
        case "Adam" | "AdamW" if settings["amsgrad"]:
            config["variant"] = {"AmsGrad": {"of_corrected": False}}
        case "Adamax":
            config["variant"] = "AdaMax"
        case "NAdam":
            config["variant"] = {"NAdam": {"momentum_decay": float(settings["momentum_decay"])}}
        case "RAdam":
            config["variant"] = {"RAdam": {"eps_on_raw": True}}
        case "RMSprop":
            config["beta2"] = float(settings["alpha"])
            fields = {
                "momentum": float(settings["momentum"]),
                "nesterov": False,
                "lr_in_momentum": False,
                "initial": 0.0,
            }
            centered = {"centered": True} if settings.get("centered", False) else {}
            config["variant"] = {"RmsProp": fields | centered}
        case "Adagrad":
            fields = {
                "lr_decay": float(settings["lr_decay"]),
                "initial": float(settings["initial_accumulator_value"]),
            }
            config["variant"] = {"AdaGrad": fields}
        case "SGD":
            momentum = float(settings["momentum"])
            # PyTorch allows a dampening of no momentum, and does not use it.
            fields = {
                "momentum": momentum,
                "dampening": float(settings["dampening"]) if momentum else 0.0,
                "nesterov": bool(settings.get("nesterov", False)),
            }
            config["variant"] = {"Sgd": fields}
    return config


def optimizer_of(configs):
    """Returns the name in `torch.optim` of an optimizer with groups of these configurations, and their settings."""
    names, settings = zip(*(group_of(number, config) for number, config in enumerate(configs)))
    if len(set(names)) > 1:
        raise Refusal(f"the groups are {', '.join(names)}, but the groups of an optimizer in PyTorch have one rule")
    name = names[0]
    # AdamW decouples the decay of each group. Adam has it as a setting of the group.
    if name == "Adam" and any(group["decoupled_weight_decay"] for group in settings):
        if not any(group["weight_decay"] and not group["decoupled_weight_decay"] for group in settings):
            name = "AdamW"
            for group in settings:
                group["decoupled_weight_decay"] = True
    return name, list(settings)


def group_of(number, config):
    """Returns the name of an optimizer with a group of this configuration, and the group's settings."""

    def need(holds, what):
        if not holds:
            raise Refusal(f"group {number}: PyTorch has no counterpart of {what}")

    unknown = sorted(set(config) - set(DEFAULTS))
    need(not unknown, f"`{', '.join(unknown)}`")
    config = DEFAULTS | config
    variant, decay = config["variant"], config["decay"]
    kind, fields = (variant, {}) if isinstance(variant, str) else next(iter(variant.items()))
    fields = dict(fields)
    form, weight_decay = ("None", 0.0) if decay == "None" else next(iter(decay.items()))
    need(form in ("None", "L2", "Decoupled"), f"{form.lower()} weight decay")
    need(config["eps_root"] == 0, "`eps_root`")
    settings = {"lr": config["lr"], "weight_decay": weight_decay, "maximize": config["maximize"]}
    betas = {"betas": (config["beta1"], config["beta2"]), "eps": config["eps"]}
    decoupled = {"decoupled_weight_decay": form == "Decoupled"}
    corrected = True
    match kind:
        case "Adam":
            name, own = "Adam", betas | decoupled | {"amsgrad": False}
        case "AmsGrad":
            need(not fields.pop("of_corrected"), "AMSGrad with `of_corrected`")
            name, own = "Adam", betas | decoupled | {"amsgrad": True}
        case "AdaMax":
            name, own = "Adamax", betas
        case "NAdam":
            momentum_decay = fields.pop("momentum_decay")
            need(momentum_decay is not None, "NAdam without `momentum_decay`")
            name, own = "NAdam", betas | decoupled | {"momentum_decay": momentum_decay}
        case "RAdam":
            need(fields.pop("eps_on_raw"), "RAdam without `eps_on_raw`")
            name, own = "RAdam", betas | decoupled
        case "RmsProp":
            corrected = False
            need(not fields.pop("nesterov"), "RMSProp with `nesterov`")
            # Without momentum it makes no difference.
            in_momentum = fields.pop("lr_in_momentum") and fields["momentum"] != 0
            need(not in_momentum, "RMSProp with `lr_in_momentum`")
            # The state has it already.
            fields.pop("initial")
            own = {"alpha": config["beta2"], "eps": config["eps"]}
            name = "RMSprop"
            own |= {"momentum": fields.pop("momentum"), "centered": fields.pop("centered", False)}
        case "AdaGrad":
            own = {"eps": config["eps"], "lr_decay": fields.pop("lr_decay")}
            name, own = "Adagrad", own | {"initial_accumulator_value": fields.pop("initial")}
        case "Sgd":
            name, own = "SGD", {key: fields.pop(key) for key in ("momentum", "dampening", "nesterov")}
        case _:
            need(False, kind)
    need(not fields, f"{kind} with `{', '.join(fields)}`")
    need(config["bias_correction"] == corrected, f"{kind} with `bias_correction` = {config['bias_correction']}")
    need(form != "Decoupled" or "decoupled_weight_decay" in own, f"{kind} with decoupled weight decay")
    return name, settings | own
