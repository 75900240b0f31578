"""The problem that all cases share: initial parameters and gradients, generated from integers.

`tests/it/golden/problem.rs` generates the same values. Each value is an integer below 2^24 times a power of two. It is
exact in float32, in both languages and on every machine, so no value needs to be stored.
"""

import numpy as np

ELEMENTS = 4096
STEPS = 256
LR_CHANGES_AFTER = 50
"""Number of steps with the first learning rate, in cases that change it."""

_u64 = np.uint64


def mix(x):
    """The finalizer of SplitMix64."""
    with np.errstate(over="ignore"):
        x = x + _u64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> _u64(30))) * _u64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> _u64(27))) * _u64(0x94D049BB133111EB)
        return x ^ (x >> _u64(31))


def bits(seed, stream):
    """Returns 64 bits for each element. Stream 0 describes it, 1 is its parameter, 1 + t its gradient at step t."""
    return mix(mix(_u64([stream + (seed << 32)])) ^ np.arange(ELEMENTS, dtype=_u64))


def signed(bits):
    """Returns the low 23 bits as integers centred on zero."""
    return (bits & _u64(0x7FFFFF)).astype(np.int64) - 0x400000


def scaled(integers, exponent):
    values = np.ldexp(integers.astype(np.float64), exponent)
    assert np.array_equal(values, values.astype(np.float32))
    return values.astype(np.float32)


def first_params(exponent, seed=0):
    """Returns initial parameters, uniform between -2^exponent and 2^exponent."""
    return scaled(signed(bits(seed, 1)), exponent - 22)


def grads(seed=0):
    """Returns the gradients of all steps.

    Each element has its own magnitude, from 2^-30 to 2^4 (ten decades), and its own mean, so it drifts. A tenth of all
    gradients is zero. Every eighth element has a gradient in only one of 16 steps.
    """
    kind = bits(seed, 0)
    exponent = (kind % _u64(35)).astype(np.int64) - 30
    sparse = (kind >> _u64(32)) % _u64(8) == 0
    mean = signed(kind >> _u64(41))
    steps = []
    for t in range(1, STEPS + 1):
        noise = bits(seed, 1 + t)
        zero = (noise >> _u64(32)) % _u64(10) == 0
        zero |= sparse & ((noise >> _u64(48)) % _u64(16) != 0)
        steps.append(scaled(np.where(zero, 0, mean + signed(noise)), exponent - 23))
    return np.stack(steps)
