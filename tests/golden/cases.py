"""The table of cases: optimizers, hyperparameters and conditions."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    name: str
    optimizer: str
    hyper: dict | list[dict]
    """Keyword arguments of the framework. A list if there are two groups."""
    p0: int = -10
    """The initial parameters are uniform between -2^p0 and 2^p0."""
    lr_then: float | list[float] | None = None
    """The learning rate of each group after `LR_CHANGES_AFTER` steps."""
    clip: float | None = None
    """Clip the global norm of the gradients to this, with `torch.nn.utils.clip_grad_norm_`."""

    @property
    def groups(self):
        return self.hyper if isinstance(self.hyper, list) else [self.hyper]


def torch(name, optimizer, hyper, **conditions):
    return Case(name, f"torch.optim.{optimizer}", hyper, **conditions)


def optax(name, optimizer, hyper, **conditions):
    return Case(name, f"optax.{optimizer}", hyper, **conditions)


def timm(name, optimizer, hyper, **conditions):
    return Case(name, f"timm.optim.{optimizer}", hyper, **conditions)


def optimi(name, optimizer, hyper, **conditions):
    return Case(name, f"optimi.{optimizer}", hyper, **conditions)


def betas(beta1, beta2):
    return dict(lr=1e-3, betas=(beta1, beta2))


# Cases of Adam and AdamW.
ADAM = [
    torch("adam", "Adam", dict(lr=1e-3)),
    torch("adam lr changes", "Adam", dict(lr=1e-2), lr_then=[1e-3]),
    torch("adam params 1", "Adam", dict(lr=1e-3), p0=0),
    torch("adam params 1 lr changes", "Adam", dict(lr=1e-2), p0=0, lr_then=[1e-3]),
    torch("adam l2", "Adam", dict(lr=1e-3, weight_decay=1e-2), lr_then=[3e-4]),
    torch("adam l2 params 1", "Adam", dict(lr=1e-3, weight_decay=1e-2), p0=0),
    torch("adam maximize", "Adam", dict(lr=1e-3, maximize=True), lr_then=[3e-4]),
    torch("adamw", "AdamW", dict(lr=1e-3, weight_decay=1e-2), p0=0),
    torch("adamw lr changes", "AdamW", dict(lr=3e-3, weight_decay=1e-2), p0=0, lr_then=[3e-4]),
    torch("adamw strong", "AdamW", dict(lr=1e-2, weight_decay=1e-1), p0=0),
    torch("adamw strong lr changes", "AdamW", dict(lr=1e-2, weight_decay=1e-1), p0=0, lr_then=[1e-3]),
    torch("betas 0 .99", "Adam", betas(0.0, 0.99)),
    torch("betas .5 .9", "Adam", betas(0.5, 0.9), lr_then=[1e-4]),
    torch("betas .9 .95", "Adam", betas(0.9, 0.95)),
    torch("betas .9 .9999", "Adam", betas(0.9, 0.9999), lr_then=[1e-4]),
    torch("eps 1e-15", "Adam", dict(lr=1e-3, eps=1e-15)),
    torch("eps 1e-5", "Adam", dict(lr=1e-3, eps=1e-5), lr_then=[1e-4]),
    torch("adam clip", "Adam", [dict(lr=1e-3), dict(lr=3e-3, betas=(0.8, 0.99))], lr_then=[1e-4, 3e-4], clip=1.0),
    torch("adamw clip", "AdamW", [dict(lr=1e-3, weight_decay=1e-2), dict(lr=1e-3, weight_decay=1e-1)], p0=0, clip=1.0),
    optax("optax adam", "adam", dict(lr=1e-3), lr_then=[1e-4]),
    optax("optax adamw", "adamw", dict(lr=1e-3, weight_decay=1e-2), p0=0),
]

# Cases of the other variants.
FAMILY = [
    torch("amsgrad", "Adam", dict(lr=1e-3, amsgrad=True), lr_then=[1e-4]),
    torch("amsgrad l2", "Adam", dict(lr=1e-3, amsgrad=True, weight_decay=1e-2), p0=0),
    torch("amsgradw", "AdamW", dict(lr=1e-3, amsgrad=True, weight_decay=1e-2), p0=0),
    torch("adamax", "Adamax", dict(lr=2e-3), lr_then=[2e-4]),
    torch("adamax l2", "Adamax", dict(lr=2e-3, weight_decay=1e-2), p0=0),
    torch("nadam", "NAdam", dict(lr=2e-3), lr_then=[2e-4]),
    torch("nadam l2", "NAdam", dict(lr=2e-3, weight_decay=1e-2), p0=0),
    torch("nadamw", "NAdam", dict(lr=2e-3, weight_decay=1e-2, decoupled_weight_decay=True), p0=0),
    torch("radam", "RAdam", dict(lr=1e-3), lr_then=[1e-4]),
    torch("radam l2", "RAdam", dict(lr=1e-3, weight_decay=1e-2)),
    torch("radamw", "RAdam", dict(lr=1e-3, weight_decay=1e-2, decoupled_weight_decay=True), p0=0),
    torch("rmsprop", "RMSprop", dict(lr=1e-3), lr_then=[1e-4]),
    torch("rmsprop l2", "RMSprop", dict(lr=1e-3, alpha=0.9, eps=1e-6, weight_decay=1e-2)),
    torch("rmsprop momentum", "RMSprop", dict(lr=1e-3, momentum=0.9)),
    torch("rmsprop centered", "RMSprop", dict(lr=1e-3, centered=True), lr_then=[1e-4]),
    torch("rmsprop centered momentum", "RMSprop", dict(lr=1e-3, centered=True, momentum=0.9)),
    torch("adagrad", "Adagrad", dict(lr=1e-2), lr_then=[1e-3]),
    torch("adagrad lr decay", "Adagrad", dict(lr=1e-2, lr_decay=1e-2)),
    torch("adagrad l2", "Adagrad", dict(lr=1e-2, weight_decay=1e-2, initial_accumulator_value=0.1), p0=0),
    torch("sgd", "SGD", dict(lr=1e-3), lr_then=[1e-4]),
    torch("sgd l2", "SGD", dict(lr=1e-3, weight_decay=1e-2), p0=0),
    torch("sgd momentum", "SGD", dict(lr=1e-3, momentum=0.9), lr_then=[1e-4]),
    torch("sgd nesterov", "SGD", dict(lr=1e-3, momentum=0.9, nesterov=True)),
    torch("sgd dampening", "SGD", dict(lr=1e-3, momentum=0.9, dampening=0.5, weight_decay=1e-2)),
    optax("optax adam eps_root", "adam", dict(lr=1e-3, eps_root=1e-8), lr_then=[1e-4]),
    optax("optax amsgrad", "amsgrad", dict(lr=1e-3), lr_then=[1e-4]),
    optax("optax adamax", "adamax", dict(lr=2e-3)),
    optax("optax nadam", "nadam", dict(lr=2e-3), lr_then=[2e-4]),
    optax("optax nadamw", "nadamw", dict(lr=2e-3, weight_decay=1e-2), p0=0),
    optax("optax radam", "radam", dict(lr=1e-3), lr_then=[1e-4]),
    optax("optax adabelief", "adabelief", dict(lr=1e-3)),
    optax("optax adabelief eps", "adabelief", dict(lr=1e-3, eps=1e-8, eps_root=1e-12), lr_then=[1e-4]),
    optax("optax adopt", "contrib.adopt", dict(lr=1e-3), lr_then=[1e-4]),
    optax("optax ademamix", "contrib.ademamix", dict(lr=1e-3), lr_then=[1e-4]),
    optax("optax ademamix b3", "contrib.ademamix", dict(lr=1e-3, b3=0.999, alpha=4.0, weight_decay=1e-2), p0=0),
    optax("optax lamb", "lamb", dict(lr=1e-3), lr_then=[1e-4]),
    optax("optax lamb decay", "lamb", dict(lr=1e-2, weight_decay=1e-1), p0=0),
    optimi("optimi stable", "StableAdamW", dict(lr=1e-3, weight_decay=0.0), lr_then=[1e-4]),
    optimi("optimi stable decay", "StableAdamW", dict(lr=1e-2, betas=(0.9, 0.9), weight_decay=1e-1), p0=0),
    timm("timm cautious", "AdamWLegacy", dict(lr=1e-3, weight_decay=0.0), lr_then=[1e-4]),
    timm("timm cautious decay", "AdamWLegacy", dict(lr=1e-2, betas=(0.8, 0.99), weight_decay=1e-1), p0=0),
    optax("optax schedule-free", "contrib.schedule_free_adamw", dict(lr=2.5e-3), lr_then=[2.5e-4]),
    optax("optax schedule-free decay", "contrib.schedule_free_adamw", dict(lr=1e-3, b1=0.95, weight_decay=1e-2), p0=0),
    optax("optax lion", "lion", dict(lr=1e-4), lr_then=[1e-5]),
    optax("optax lion decay", "lion", dict(lr=1e-3, b1=0.95, b2=0.98, weight_decay=1e-1), p0=0),
    optax("optax rmsprop", "rmsprop", dict(lr=1e-3), lr_then=[1e-4]),
    optax("optax rmsprop momentum", "rmsprop", dict(lr=1e-3, momentum=0.9)),
    optax("optax rmsprop nesterov", "rmsprop", dict(lr=1e-3, momentum=0.9, nesterov=True)),
    optax("optax rmsprop initial scale", "rmsprop", dict(lr=1e-3, decay=0.99, initial_scale=1.0, eps_in_sqrt=False)),
    optax("optax rmsprop bias correction", "rmsprop", dict(lr=1e-3, decay=0.99, bias_correction=True)),
    optax("optax rmsprop centered", "rmsprop", dict(lr=1e-3, centered=True), lr_then=[1e-4]),
    optax("optax rmsprop centered momentum", "rmsprop", dict(lr=1e-3, centered=True, momentum=0.9)),
    optax("optax adagrad", "adagrad", dict(lr=1e-2), lr_then=[1e-3]),
    optax("optax sgd", "sgd", dict(lr=1e-3), lr_then=[1e-4]),
    optax("optax sgd momentum", "sgd", dict(lr=1e-3, momentum=0.9)),
    optax("optax sgd nesterov", "sgd", dict(lr=1e-3, momentum=0.9, nesterov=True)),
]
