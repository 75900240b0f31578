"""Runs a case in PyTorch, in a package of its optimizers or in optax, in float32 or float64, on the CPU."""

import importlib
import os
from operator import attrgetter

# The last bits of float32 depend on the instruction set, so it must be the same on every machine.
os.environ["ATEN_CPU_CAPABILITY"] = "avx2"
os.environ["XLA_FLAGS"] = "--xla_cpu_max_isa=AVX2"
os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import numpy as np
import optax
import torch

import problem

torch.set_num_threads(1)

HAS_FUSED = {"Adam", "AdamW", "Adagrad", "SGD"}
"""Optimizers of PyTorch with a second CPU implementation, a single kernel for the whole step."""

NAMES = {
    # PyTorch
    "exp_avg": "m",
    "exp_avg_sq": "v",
    "max_exp_avg_sq": "v_max",
    "exp_inf": "v",
    "momentum_buffer": "m",
    "square_avg": "v",
    "sum": "v",
    # optax
    "mu": "m",
    "nu": "v",
    "nu_max": "v_max",
    "trace": "m",
    "sum_of_squares": "v",
    "m1": "m",
    "m2": "grad_avg",
}
"""This crate's names of the frameworks' state tensors."""


class Run:
    """The current parameters and state tensors of a run, and the sums of squares of the latter over the steps."""

    def __init__(self):
        self.p, self.states, self.squares = None, {}, {}

    def record(self, p, states):
        self.p = p
        for name, value in states.items():
            assert value.dtype == p.dtype
            self.states[NAMES[name]] = value
            self.squares[NAMES[name]] = self.squares.get(NAMES[name], 0) + value.astype(np.float64) ** 2


def run(case, p0, grads, dtype, fused=False):
    library, _, optimizer = case.optimizer.partition(".")
    run = run_optax if library == "optax" else run_torch
    run = run(case.optimizer if library != "optax" else optimizer, case, p0.astype(dtype), grads.astype(dtype), fused)
    if library == "optimi":
        # It keeps moments whose bias is corrected, so only p can be compared.
        run.states, run.squares = {}, {}
    if case.groups[0].get("centered"):
        # This crate keeps the variance in place of the second moment, so only p can be compared.
        run.states, run.squares = {}, {}
    return run


def run_torch(optimizer, case, p0, grads, fused):
    """Runs PyTorch. Each group has an equal share of the elements."""
    parts = len(case.groups)
    params = [torch.nn.Parameter(torch.from_numpy(part.copy())) for part in np.split(p0, parts)]
    groups = [{"params": [param], **hyper} for param, hyper in zip(params, case.groups, strict=True)]
    which = {"fused": True} if fused else {"foreach": False}
    # Adagrad reads this value from its own arguments, not from the groups.
    name = "initial_accumulator_value"
    which.update({name: case.groups[0][name]} if name in case.groups[0] else {})
    if optimizer.startswith("timm"):
        which["caution"] = True
    if optimizer.startswith("optimi"):
        # It reads the betas from its own arguments, not from the groups.
        which.update(case.groups[0])
        groups = [{"params": params}]
    module, _, name = optimizer.rpartition(".")
    optimizer = getattr(importlib.import_module(module), name)(groups, **which)
    run = Run()
    for t, grad in enumerate(grads):
        if case.lr_then and t == problem.LR_CHANGES_AFTER:
            for group, lr in zip(optimizer.param_groups, case.lr_then, strict=True):
                group["lr"] = lr
        for param, part in zip(params, np.split(grad, parts), strict=True):
            param.grad = torch.from_numpy(part.copy())
        if case.clip:
            torch.nn.utils.clip_grad_norm_(params, case.clip, foreach=False)
        optimizer.step()

        def joined(tensors):
            return np.concatenate([tensor.detach().numpy() for tensor in tensors])

        states = [optimizer.state[param] for param in params]
        names = [name for name in states[0] if name in NAMES and states[0][name] is not None]
        run.record(joined(params), {name: joined(state[name] for state in states) for name in names})
    return run


def run_optax(optimizer, case, p0, grads, fused):
    assert not fused and not case.clip
    [hyper] = case.groups
    lrs = [hyper["lr"], *(case.lr_then or [])]
    rest = {key: value for key, value in hyper.items() if key != "lr"}
    # The learning rate is not part of the state, so two transformations can share the state.
    transformations = [attrgetter(optimizer)(optax)(lr, **rest) for lr in lrs]
    # If 64 bits were always enabled, optax would compute bias corrections in float64 even for float32 parameters.
    with jax.enable_x64(p0.dtype == np.float64):

        def compiled(transformation):
            @jax.jit
            def step(grad, state, params):
                updates, state = transformation.update(grad, state, params)
                return optax.apply_updates(params, updates), state

            return step

        steps = [compiled(transformation) for transformation in transformations]
        params = jax.numpy.asarray(p0)
        state = transformations[0].init(params)
        run = Run()
        for t, grad in enumerate(grads):
            step = steps[min(t // problem.LR_CHANGES_AFTER, len(steps) - 1)]
            params, state = step(jax.numpy.asarray(grad), state, params)
            run.record(np.asarray(params), {name: np.asarray(value) for name, value in fields(state)})
    return run


def fields(state):
    """Yields the named state tensors of nested tuples."""
    if isinstance(state, tuple):
        names = getattr(state, "_fields", [None] * len(state))
        for name, value in zip(names, state, strict=True):
            if name in NAMES:
                yield name, value
            else:
                yield from fields(value)
