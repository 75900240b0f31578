"""Generates the golden learning rates: the schedulers of PyTorch and the schedules of optax, in float64, step by step.

    pip install -r requirements.txt
    python schedules.py

writes `schedules.json` beside this file. `rates[n]` is the learning rate of the step that follows n steps.
"""

import json
import os
from pathlib import Path

os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import numpy as np
import optax
import torch
from torch.optim import lr_scheduler

jax.config.update("jax_enable_x64", True)

STEPS = 260
LR = 0.1
"""The base rate of PyTorch. A schedule of optax is itself a learning rate, here with a peak of 1."""


def by_torch(name, make, steps=STEPS):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    scheduler = make(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return {"name": f"torch {name}", "lr": LR, "rates": rates}


def by_optax(name, schedule):
    rates = [float(np.float64(schedule(np.int64(n)))) for n in range(STEPS)]
    return {"name": f"optax {name}", "lr": 1.0, "rates": rates}


def warm_up_then_cosine(optimizer):
    warm_up = lr_scheduler.LinearLR(optimizer, start_factor=0.02, total_iters=50)
    return lr_scheduler.SequentialLR(
        optimizer, [warm_up, lr_scheduler.CosineAnnealingLR(optimizer, 200, eta_min=1e-3)], milestones=[50]
    )


CASES = [
    by_torch("linear", lambda o: lr_scheduler.LinearLR(o, start_factor=0.1, end_factor=0.8, total_iters=50)),
    # After T_max it rises again, unlike this crate's schedule.
    by_torch("cosine", lambda o: lr_scheduler.CosineAnnealingLR(o, 200, eta_min=1e-3), steps=201),
    by_torch("restarts", lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 20, eta_min=1e-3)),
    by_torch("growing restarts", lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 20, T_mult=2)),
    by_torch("exponential", lambda o: lr_scheduler.ExponentialLR(o, 0.97)),
    by_torch("step", lambda o: lr_scheduler.StepLR(o, 30, 0.5)),
    by_torch("multi-step", lambda o: lr_scheduler.MultiStepLR(o, [40, 90], 0.1)),
    by_torch("polynomial", lambda o: lr_scheduler.PolynomialLR(o, 150, power=0.9)),
    by_torch("one-cycle", lambda o: lr_scheduler.OneCycleLR(o, LR, 200, cycle_momentum=False), steps=200),
    by_torch("inverse square root", lambda o: lr_scheduler.LambdaLR(o, lambda n: (n + 1) ** -0.5)),
    by_torch("warm-up, then cosine", warm_up_then_cosine, steps=251),
    by_optax("linear", optax.linear_schedule(0.0, 1.0, 50)),
    by_optax("cosine", optax.cosine_decay_schedule(1.0, 200, alpha=0.1)),
    by_optax("warm-up, then cosine", optax.warmup_cosine_decay_schedule(0.0, 1.0, 50, 250, 0.1)),
    by_optax("exponential", optax.exponential_decay(1.0, 25, 0.5)),
    by_optax("staircase", optax.exponential_decay(1.0, 25, 0.5, staircase=True)),
    by_optax("polynomial", optax.polynomial_schedule(1.0, 0.1, 2.5, 150)),
    by_optax("one-cycle", optax.cosine_onecycle_schedule(200, 1.0)),
    by_optax("one-cycle of lines", optax.linear_onecycle_schedule(200, 1.0)),
    by_optax("piecewise constant", optax.piecewise_constant_schedule(1.0, {40: 0.1, 90: 0.1})),
    by_optax("joined", optax.join_schedules([optax.constant_schedule(1.0), optax.linear_schedule(1.0, 0.0, 70)], [100])),
]


def main():
    described = {"made with": f"torch {torch.__version__}, optax {optax.__version__}", "cases": CASES}
    described["made with"] = described["made with"].replace("+cu132", "").replace("+cpu", "")
    (Path(__file__).parent / "schedules.json").write_text(json.dumps(described) + "\n")


if __name__ == "__main__":
    main()
