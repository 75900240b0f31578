"""Tests of the converter with checkpoints that PyTorch writes. `test.sh` runs them.

The last class also runs this crate, by `cargo test`: runs move from PyTorch to it and back.
"""

import copy
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest
import warnings
from contextlib import redirect_stderr
from pathlib import Path
from unittest import mock

import numpy
import torch
from safetensors.torch import load_file, save_file
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR

import convert
import state_file

REPOSITORY = Path(__file__).parents[2]
# Optimizers with settings that change what is kept or how it is used.
CASES = {
    "adam": ("Adam", {}),
    "adam_l2": ("Adam", dict(weight_decay=0.01, maximize=True)),
    "adam_decoupled": ("Adam", dict(weight_decay=0.01, decoupled_weight_decay=True)),
    "adamw": ("AdamW", dict(betas=(0.8, 0.95), eps=1e-6)),
    "adamw_amsgrad": ("AdamW", dict(amsgrad=True)),
    "adamax": ("Adamax", dict(weight_decay=0.01)),
    "nadam": ("NAdam", dict(momentum_decay=0.01)),
    "nadam_decoupled": ("NAdam", dict(weight_decay=0.01, decoupled_weight_decay=True)),
    "radam_decoupled": ("RAdam", dict(weight_decay=0.01, decoupled_weight_decay=True)),
    "rmsprop": ("RMSprop", dict(weight_decay=0.01)),
    "rmsprop_momentum": ("RMSprop", dict(momentum=0.9, alpha=0.9)),
    "adagrad": ("Adagrad", dict(lr_decay=1e-3, initial_accumulator_value=0.1)),
    "sgd": ("SGD", dict(weight_decay=0.01)),
    "sgd_dampening": ("SGD", dict(momentum=0.9, dampening=0.1)),
    "sgd_nesterov": ("SGD", dict(momentum=0.9, nesterov=True)),
    "rmsprop_centered": ("RMSprop", dict(centered=True, momentum=0.9)),
}


class Net(torch.nn.Module):
    """A model with what real ones have: equal shapes, buffers, a number, a frozen layer."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(6, 6)
        self.norm = torch.nn.BatchNorm1d(6)
        self.second = torch.nn.Linear(6, 6)
        self.temperature = torch.nn.Parameter(torch.tensor(0.5))
        self.frozen = torch.nn.Linear(3, 2).requires_grad_(False)


def gradients(model, seed, steps):
    """Returns a list of gradients for each step, None for what is frozen."""
    generator = torch.Generator().manual_seed(seed)
    make = lambda p: torch.randn(p.shape, generator=generator, dtype=p.dtype) if p.requires_grad else None
    return [[make(p) for p in model.parameters()] for _ in range(steps)]


def steps(model, optimizer, grads, scheduler=None):
    for step in grads:
        for p, grad in zip(model.parameters(), step):
            p.grad = None if grad is None else grad.clone()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()


def make(case, model=None, named=True):
    """Returns a model and an optimizer of all its parameters."""
    torch.manual_seed(7)
    model = model or Net()
    kind, settings = CASES[case]
    parameters = model.named_parameters() if named else model.parameters()
    return model, getattr(torch.optim, kind)(list(parameters), **settings)


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def path(self, name):
        return str(self.folder / name)

    def save(self, name, value):
        torch.save(value, self.path(name))
        return self.path(name)

    def convert(self, *arguments):
        """Runs the program and returns what it printed to stderr."""
        with redirect_stderr(io.StringIO()) as printed:
            convert.main([str(argument) for argument in arguments])
        return printed.getvalue()

    def refused(self, *arguments):
        """Returns the error with which the program ends."""
        with self.assertRaises(SystemExit) as end, redirect_stderr(io.StringIO()):
            convert.main([str(argument) for argument in arguments])
        return str(end.exception)

    def to_file(self, kind, optimizer, *arguments):
        """Returns the head and the tensors of the state file."""
        source = self.save("optimizer.pt", optimizer.state_dict())
        self.convert("to-file", kind, source, self.path("state.safetensors"), *arguments)
        return state_file.read(self.path("state.safetensors"))

    def edit(self, change, case="adam"):
        """Writes a state file with another configuration, as this crate could, and returns its path."""
        model, optimizer = make(case)
        steps(model, optimizer, gradients(model, 1, 2))
        self.save("model.pt", model.state_dict())
        head, tensors = self.to_file(CASES[case][0], optimizer, "--model", self.path("model.pt"))
        change(head, tensors)
        state_file.write(self.path("state.safetensors"), head, tensors)
        return self.path("state.safetensors")

    def assert_equal(self, got, want):
        torch.testing.assert_close(got, want, rtol=0, atol=0)


class Names(Case):
    def test_each_of_several_parameters_gets_its_own_moments(self):
        model, optimizer = make("adam", named=False)
        steps(model, optimizer, gradients(model, 1, 3))
        names = [name for name, _ in model.named_parameters()]
        model_file = self.save("model.pt", model.state_dict())
        head, tensors = self.to_file("Adam", optimizer, "--model", model_file, "--names", *names)
        self.assertEqual([tensor["name"] for tensor in head["tensors"]], names)
        for name, p in model.named_parameters():
            if p.requires_grad:
                self.assert_equal(tensors[f"{name}.exp_avg"], optimizer.state[p]["exp_avg"].flatten())

    def test_names_may_come_from_a_file(self):
        model, optimizer = make("adam", named=False)
        model_file = self.save("model.pt", model.state_dict())
        names = [name for name, _ in model.named_parameters()]
        Path(self.path("names.txt")).write_text("\n".join(names))
        head, _ = self.to_file("Adam", optimizer, "--model", model_file, "--names", "@" + self.path("names.txt"))
        self.assertEqual([tensor["name"] for tensor in head["tensors"]], names)

    def test_too_few_or_too_many_names_are_an_error(self):
        model, optimizer = make("adam", torch.nn.Linear(2, 2), named=False)
        steps(model, optimizer, gradients(model, 1, 1))
        source = self.save("optimizer.pt", optimizer.state_dict())
        for names in (["a"], ["a", "b", "c"]):
            error = self.refused("to-file", "Adam", source, self.path("state"), "--names", *names)
            self.assertIn(f"has 2 parameters, but there are {len(names)} names", error)
        self.assertIn(
            "2 parameters have the name `a`",
            self.refused("to-file", "Adam", source, self.path("state"), "--names", "a", "a"),
        )
        self.assertFalse(Path(self.path("state")).exists())

    def test_an_order_that_is_not_the_models_is_never_guessed(self):
        torch.manual_seed(1)
        model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
        named = list(model.named_parameters())[::-1]
        for given in (named, [p for _, p in named]):
            optimizer = torch.optim.Adam(given)
            steps(model, optimizer, gradients(model, 1, 3))
            source = self.save("optimizer.pt", optimizer.state_dict())
            model_file = self.save("model.pt", model.state_dict())
            names = []
            if given is not named:
                error = self.refused("to-file", "Adam", source, self.path("state"), "--model", model_file)
                self.assertIn("create the optimizer from model.named_parameters(), or give --names", error)
                by_model = ["--model", model_file, "--model-order"]
                error = self.refused("to-file", "Adam", source, self.path("state"), *by_model)
                self.assertIn("the names are not in the order of the optimizer", error)
                names = ["--names", *(name for name, _ in named)]
            _, tensors = self.to_file("Adam", optimizer, *names)
            for name, p in model.named_parameters():
                self.assert_equal(tensors[f"{name}.exp_avg"], optimizer.state[p]["exp_avg"].flatten())
            # And back.
            back = ["to-torch", self.path("state.safetensors"), self.path("back.pt"), "--model", model_file]
            self.assertIn("the order of the parameters in PyTorch is needed", self.refused(*back))
            self.convert(*back, "--optimizer", source, *names)
            back = torch.load(self.path("back.pt"))
            self.assert_equal(back["state"], optimizer.state_dict()["state"])

    def test_the_order_of_a_model_fits_only_one_group(self):
        model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
        weights, biases = [model[0].weight, model[1].weight], [model[0].bias, model[1].bias]
        optimizer = torch.optim.AdamW([{"params": weights}, {"params": biases, "weight_decay": 0.0}])
        source, model_file = self.save("o.pt", optimizer.state_dict()), self.save("m.pt", model.state_dict())
        error = self.refused("to-file", "AdamW", source, self.path("state"), "--model", model_file, "--model-order")
        self.assertIn("2 groups", error)
        error = self.refused("to-file", "AdamW", source, self.path("state"), "--model-order")
        self.assertIn("--model-order needs --model", error)

    def test_a_prefix_is_left_out_and_put_back(self):
        model, optimizer = make("adam", torch.nn.DataParallel(Net()))
        steps(model, optimizer, gradients(model, 1, 2))
        model_file = self.save("model.pt", model.state_dict())
        arguments = ["--model", model_file, "--strip-prefix", "module."]
        head, _ = self.to_file("Adam", optimizer, *arguments)
        self.assertEqual(head["tensors"][0]["name"], "temperature")
        arguments += ["--model-order"]
        self.convert("to-torch", self.path("state.safetensors"), self.path("back.pt"), *arguments)
        back = torch.load(self.path("back.pt"))
        self.assertEqual(back["param_groups"], optimizer.state_dict()["param_groups"])

    def test_names_in_place_of_numbers_are_names(self):
        # As torch.distributed.checkpoint gathers the state of a sharded optimizer.
        model, optimizer = make("adam", torch.nn.Linear(2, 2))
        steps(model, optimizer, gradients(model, 1, 2))
        names = dict(enumerate(name for name, _ in model.named_parameters()))
        state_dict = optimizer.state_dict()
        state_dict["state"] = {names[index]: state for index, state in state_dict["state"].items()}
        state_dict["param_groups"][0]["params"] = list(names.values())
        del state_dict["param_groups"][0]["param_names"]
        self.convert("to-file", "Adam", self.save("o.pt", state_dict), self.path("state"))
        head, _ = state_file.read(self.path("state"))
        self.assertEqual([tensor["name"] for tensor in head["tensors"]], ["weight", "bias"])


class Models(Case):
    def test_a_parameter_without_state_has_step_0_and_zero_moments(self):
        model, optimizer = make("adamw_amsgrad")
        steps(model, optimizer, gradients(model, 1, 3))
        source = self.save("optimizer.pt", optimizer.state_dict())
        error = self.refused("to-file", "AdamW", source, self.path("state"))
        self.assertIn("no state for `frozen.weight` yet, which would have its shape: give --model", error)
        head, tensors = self.to_file("AdamW", optimizer, "--model", self.save("model.pt", model.state_dict()))
        frozen = next(tensor for tensor in head["tensors"] if tensor["name"] == "frozen.weight")
        self.assertEqual(head["clocks"][frozen["clock"]], {"group": 0, "t": 0, "position": 3, "lr": 1e-3})
        self.assert_equal(tensors["frozen.weight.max_exp_avg_sq"], torch.zeros(6))
        self.assertEqual(tensors["frozen.weight.step"], 0)

    def test_buffers_are_not_parameters(self):
        model, optimizer = make("adam", named=False)
        steps(model, optimizer, gradients(model, 1, 2))
        head, _ = self.to_file("Adam", optimizer, "--model", self.save("model.pt", model.state_dict()), "--model-order")
        self.assertEqual([tensor["name"] for tensor in head["tensors"]], [name for name, _ in model.named_parameters()])

    def test_tied_weights_are_one_parameter_with_the_first_name(self):
        for named in (True, False):
            tied = torch.nn.Linear(3, 4, bias=False)
            model = torch.nn.Sequential(torch.nn.Embedding(4, 3), tied, torch.nn.Linear(4, 2))
            model[1].weight = model[0].weight
            model, optimizer = make("adam", model, named)
            steps(model, optimizer, gradients(model, 1, 2))
            order = [] if named else ["--model-order"]
            head, _ = self.to_file("Adam", optimizer, "--model", self.save("model.pt", model.state_dict()), *order)
            self.assertEqual([tensor["name"] for tensor in head["tensors"]], ["0.weight", "2.weight", "2.bias"])

    def test_an_empty_parameter_is_left_out_with_a_line_on_stderr(self):
        for case in ("adam", "sgd_nesterov", "adagrad"):
            model = torch.nn.ParameterDict({"a": torch.ones(2), "empty": torch.ones(0, 4), "z": torch.ones(3)})
            model, optimizer = make(case, model)
            steps(model, optimizer, gradients(model, 1, 2))
            source = self.save("optimizer.pt", optimizer.state_dict())
            model_file = self.save("model.pt", model.state_dict())
            printed = self.convert("to-file", CASES[case][0], source, self.path("state"))
            self.assertIn("`empty` has no elements and is left out", printed)
            head, _ = state_file.read(self.path("state"))
            self.assertEqual([tensor["name"] for tensor in head["tensors"]], ["a", "z"])
            # PyTorch's optimizer has it, so it has a place there.
            self.convert("to-torch", self.path("state"), self.path("back.pt"), "--model", model_file, "--model-order")
            again, resumed = make(case, copy.deepcopy(model))
            resumed.load_state_dict(torch.load(self.path("back.pt")))
            for run in ((model, optimizer), (again, resumed)):
                steps(*run, gradients(model, 2, 2))
            self.assert_equal(again.state_dict(), model.state_dict())

    def test_a_complex_parameter_is_refused_by_name(self):
        for count in (0, 1):
            model = torch.nn.ParameterDict({"a": torch.ones(2), "phase": torch.ones(2, dtype=torch.complex64)})
            model, optimizer = make("adam", model)
            steps(model, optimizer, gradients(model, 1, count))
            source, model_file = self.save("o.pt", optimizer.state_dict()), self.save("m.pt", model.state_dict())
            error = self.refused("to-file", "Adam", source, self.path("state"), "--model", model_file)
            self.assertIn("`phase` is complex", error)

    def test_float64_is_rounded_with_a_line_on_stderr(self):
        model, optimizer = make("adam", torch.nn.Linear(2, 2).double())
        steps(model, optimizer, gradients(model, 1, 1))
        printed = self.convert("to-file", "Adam", self.save("o.pt", optimizer.state_dict()), self.path("state"))
        self.assertIn("`weight.exp_avg` is rounded from float64 to float32", printed)

    def test_what_the_model_lacks_is_named(self):
        model, optimizer = make("adam", torch.nn.Linear(2, 2))
        source = self.save("o.pt", optimizer.state_dict())
        model_file = self.save("m.pt", {"other": torch.ones(2, 2)})
        error = self.refused("to-file", "Adam", source, self.path("state"), "--model", model_file)
        self.assertIn("the model has no `weight`; it has other", error)


class Rates(Case):
    def test_a_schedule_here_multiplies_the_rate_that_pytorchs_scheduler_began_with(self):
        model, optimizer = make("adam", torch.nn.Linear(2, 2))
        optimizer.param_groups[0]["lr"] = 0.01
        scheduler = CosineAnnealingLR(optimizer, 20)
        steps(model, optimizer, gradients(model, 1, 10), scheduler)
        self.assertAlmostEqual(optimizer.param_groups[0]["lr"], 0.005)
        head, _ = self.to_file("Adam", optimizer)
        self.assertEqual(head["groups"][0]["config"]["lr"], 0.01)
        head, _ = self.to_file("Adam", optimizer, "--current-lr")
        self.assertAlmostEqual(head["groups"][0]["config"]["lr"], 0.005)

    def test_a_schedule_here_multiplies_the_peak_of_one_cycle(self):
        model, optimizer = make("adam", torch.nn.Linear(2, 2))
        steps(model, optimizer, gradients(model, 1, 4), OneCycleLR(optimizer, 0.1, total_steps=20))
        printed = self.convert("to-file", "Adam", self.save("o.pt", optimizer.state_dict()), self.path("state"))
        self.assertIn("group 0: lr is max_lr = 0.1", printed)
        self.assertIn("moves the momentum", printed)
        self.assertEqual(state_file.read(self.path("state"))[0]["groups"][0]["config"]["lr"], 0.1)

    def test_all_clocks_of_a_group_have_its_position(self):
        model, optimizer = make("adam", torch.nn.Linear(2, 2))
        grads = gradients(model, 1, 15)
        for step in grads[:5]:
            step[1] = None
        steps(model, optimizer, grads)
        head, tensors = self.to_file("Adam", optimizer)
        lr = 1e-3
        self.assertEqual(head["clocks"], [{"group": 0, "t": t, "position": 15, "lr": lr} for t in (15, 10)])
        self.assertEqual((head["t"], tensors["bias.step"]), (15, 10))
        head, _ = self.to_file("Adam", optimizer, "--position", 40)
        self.assertEqual([(clock["t"], clock["position"]) for clock in head["clocks"]], [(15, 40), (10, 40)])
        error = self.refused("to-file", "Adam", self.path("optimizer.pt"), self.path("state"), "--position", 14)
        self.assertIn("--position is 14, but group 0 has made 15 steps", error)

    def test_sgd_with_a_scheduler_needs_a_position(self):
        model, optimizer = make("sgd_nesterov", torch.nn.Linear(2, 2))
        steps(model, optimizer, gradients(model, 1, 10), CosineAnnealingLR(optimizer, 20))
        source = self.save("optimizer.pt", optimizer.state_dict())
        error = self.refused("to-file", "SGD", source, self.path("state"))
        self.assertIn("SGD does not count the steps: give --position", error)
        head, _ = self.to_file("SGD", optimizer, "--position", 10)
        self.assertEqual(head["clocks"][0] | {"lr": 0}, {"group": 0, "t": 10, "position": 10, "lr": 0})


class RoundTrips(Case):
    def round_trip(self, case, count):
        """Checks that a run that moves to a file and back after `count` steps goes on exactly."""
        model, optimizer = make(case)
        kind = type(optimizer).__name__
        steps(model, optimizer, gradients(model, 1, count))
        model_file = self.save("model.pt", model.state_dict())
        self.to_file(kind, optimizer, "--model", model_file)
        order = ["--model", model_file, "--model-order"]
        self.convert("to-torch", self.path("state.safetensors"), self.path("back.pt"), *order)
        back = torch.load(self.path("back.pt"))
        self.assertEqual(back["param_groups"], optimizer.state_dict()["param_groups"])
        # The settings of this one are the defaults.
        again = Net()
        again.load_state_dict(model.state_dict())
        resumed = getattr(torch.optim, kind)(again.named_parameters())
        resumed.load_state_dict(back)
        for run in ((model, optimizer), (again, resumed)):
            steps(*run, gradients(model, 2, 5))
        self.assert_equal(again.state_dict(), model.state_dict())
        first = [run.state_dict()["state"].get(0) for run in (resumed, optimizer)]
        self.assert_equal(*first)

    def test_load_state_dict_alone_is_enough_to_go_on_bit_for_bit(self):
        for case in CASES:
            for count in (0, 4):
                with self.subTest(case, steps=count):
                    self.round_trip(case, count)

    def test_concurrent_conversions_do_not_damage_each_other(self):
        model, optimizer = make("adam")
        steps(model, optimizer, gradients(model, 1, 3))
        source, target = self.save("optimizer.pt", optimizer.state_dict()), self.path("state.safetensors")
        link = self.path("link.safetensors")
        os.symlink(target, link)
        command = [sys.executable, str(REPOSITORY / "interop/pytorch/convert.py"), "to-file", "Adam", source, link]
        command += ["--model", self.save("model.pt", model.state_dict())]
        command += ["--names", *(name for name, _ in model.named_parameters())]
        runs = [subprocess.Popen(command) for _ in range(4)]
        self.assertEqual([run.wait() for run in runs], [0] * 4, "each exits without an error")
        self.assertTrue(os.path.islink(link))
        state_file.read(target)
        self.assertEqual([name for name in os.listdir(self.path(".")) if name.endswith(".partial")], [])

    def test_moments_in_16_bits_lose_nothing(self):
        for dtype in (torch.bfloat16, torch.float16):
            model, optimizer = make("adamw", torch.nn.Linear(4, 4).to(dtype))
            steps(model, optimizer, gradients(model, 1, 3))
            head, tensors = self.to_file("AdamW", optimizer)
            self.assertEqual(tensors["weight.exp_avg"].dtype, torch.float32)
            model_file = self.save("model.pt", model.state_dict())
            order = ["--model", model_file, "--model-order"]
            self.convert("to-torch", self.path("state.safetensors"), self.path("back.pt"), *order)
            again, resumed = make("adamw", copy.deepcopy(model))
            resumed.load_state_dict(torch.load(self.path("back.pt")))
            for run in ((model, optimizer), (again, resumed)):
                steps(*run, gradients(model, 2, 3))
            self.assert_equal(again.state_dict(), model.state_dict())

    def test_centered_rmsprop_has_the_variance_in_the_file(self):
        model, optimizer = make("rmsprop_centered", torch.nn.Linear(2, 2))
        steps(model, optimizer, gradients(model, 1, 2))
        head, tensors = self.to_file("RMSprop", optimizer)
        self.assertTrue(head["groups"][0]["config"]["variant"]["RmsProp"]["centered"])
        state = optimizer.state_dict()["state"][0]
        variance = state["square_avg"].double() - state["grad_avg"].double() ** 2
        torch.testing.assert_close(tensors["weight.grad_var"], variance.float().flatten())
        self.assertNotIn("weight.square_avg", tensors)
        model, optimizer = make("rmsprop", torch.nn.Linear(2, 2))
        steps(model, optimizer, gradients(model, 1, 2))
        self.assertNotIn("centered", self.to_file("RMSprop", optimizer)[0]["groups"][0]["config"]["variant"]["RmsProp"])

    def test_the_optimizer_that_loads_the_result_keeps_its_other_settings(self):
        model, optimizer = make("adam")
        other = torch.optim.Adam(list(model.named_parameters())[::-1], fused=True, lr=0.5)
        steps(model, optimizer, gradients(model, 1, 2))
        model_file = self.save("model.pt", model.state_dict())
        self.to_file("Adam", optimizer, "--model", model_file)
        order = ["--optimizer", self.save("other.pt", other.state_dict())]
        self.convert("to-torch", self.path("state.safetensors"), self.path("back.pt"), "--model", model_file, *order)
        other.load_state_dict(torch.load(self.path("back.pt")))
        self.assertEqual((other.param_groups[0]["fused"], other.param_groups[0]["lr"]), (True, 1e-3))
        for p in model.parameters():
            if p.requires_grad:
                self.assert_equal(other.state[p]["exp_avg"], optimizer.state[p]["exp_avg"])

    def test_groups_keep_their_settings(self):
        model = torch.nn.Linear(3, 3)
        for decay, kind in ((True, "AdamW"), (False, "Adam")):
            groups = [{"params": [model.weight]}, {"params": [model.bias], "weight_decay": 0.0}]
            optimizer = torch.optim.Adam(groups, weight_decay=0.1, decoupled_weight_decay=decay)
            steps(model, optimizer, gradients(model, 1, 2))
            model_file = self.save("model.pt", model.state_dict())
            self.to_file("Adam", optimizer, "--names", "weight", "bias")
            order = ["--model", model_file, "--model-order"]
            printed = self.convert("to-torch", self.path("state.safetensors"), self.path("back.pt"), *order)
            self.assertIn(f"is for torch.optim.{kind}\n", printed)
            back = torch.load(self.path("back.pt"))["param_groups"]
            decays = [(group["weight_decay"], group["decoupled_weight_decay"]) for group in back]
            self.assertEqual(decays, [(0.1, decay), (0.0, decay)])


class Files(Case):
    def trained(self, case="adam", **settings):
        model, optimizer = make(case, torch.nn.Linear(2, 2))
        optimizer.param_groups[0] |= settings
        steps(model, optimizer, gradients(model, 1, 2))
        return model, optimizer

    def test_a_checkpoint_that_was_saved_on_cuda_is_opened(self):
        # There is no GPU here. PyTorch writes the device into the file as this text, and `torch.load` reads it.
        model, optimizer = self.trained()
        with mock.patch("torch.serialization.location_tag", return_value="cuda:0"):
            source = self.save("cuda.pt", optimizer.state_dict())
            model_file = self.save("model.pt", model.state_dict())
        if not torch.cuda.is_available():
            with self.assertRaisesRegex(RuntimeError, "CUDA"):
                torch.load(source)
        self.convert("to-file", "Adam", source, self.path("state"), "--model", model_file)
        self.assert_equal(
            state_file.read(self.path("state"))[1]["weight.exp_avg"], optimizer.state[model.weight]["exp_avg"].flatten()
        )

    def test_the_rate_may_be_a_number_of_numpy_or_a_tensor(self):
        for lr in (numpy.float64(0.25), numpy.float32(0.25), torch.tensor(0.25), torch.tensor([0.25])):
            _, optimizer = self.trained()
            optimizer.param_groups[0]["lr"] = lr
            head, _ = self.to_file("Adam", optimizer)
            self.assertEqual(head["groups"][0]["config"]["lr"], 0.25)

    def test_a_checkpoint_of_an_old_pytorch_is_opened(self):
        _, optimizer = self.trained("adamw_amsgrad")
        state_dict = optimizer.state_dict()
        for state in state_dict["state"].values():
            state["step"] = int(state["step"])
        old = ("params", "lr", "betas", "eps", "weight_decay", "amsgrad", "param_names")
        state_dict["param_groups"] = [{key: group[key] for key in old} for group in state_dict["param_groups"]]
        self.convert("to-file", "AdamW", self.save("o.pt", state_dict), self.path("state"))
        head, _ = state_file.read(self.path("state"))
        self.assertEqual((head["t"], head["groups"][0]["config"]["decay"]), (2, {"Decoupled": 0.01}))

    def test_state_dicts_are_found_inside_of_a_checkpoint(self):
        model, optimizer = self.trained()
        both = {"epoch": 3, "model": model.state_dict(), "optimizer": optimizer.state_dict(), "best": 0.5}
        lightning = {"state_dict": model.state_dict(), "optimizer_states": [optimizer.state_dict()]}
        for checkpoint in (both, lightning):
            source = self.save("checkpoint.pt", checkpoint)
            self.convert("to-file", "Adam", source, self.path("state"), "--model", source)
        other = torch.optim.SGD(model.parameters())
        two = [other.state_dict(), optimizer.state_dict()]
        source = self.save("checkpoint.pt", lightning | {"optimizer_states": two})
        error = self.refused("to-file", "Adam", source, self.path("state"))
        self.assertIn(f"it has `{source}::optimizer_states.0` and `{source}::optimizer_states.1`", error)
        model_place = ["--model", f"{source}::state_dict"]
        self.convert("to-file", "Adam", f"{source}::optimizer_states.1", self.path("state"), *model_place)
        error = self.refused("to-file", "Adam", f"{source}::optimizer", self.path("state"))
        self.assertIn("has no optimizer at `optimizer`", error)

    def test_a_model_may_be_a_safetensors_file(self):
        model, optimizer = self.trained()
        save_file(model.state_dict(), self.path("model.safetensors"))
        head, _ = self.to_file("Adam", optimizer, "--model", self.path("model.safetensors"))
        self.assertEqual(head["tensors"][0]["name"], "weight")

    def test_nothing_in_a_checkpoint_is_run(self):
        source = self.save("o.pt", {"optimizer": torch.optim.Adam([torch.ones(2)]), "loss": Files})
        self.assertIn("not without running code in it", self.refused("to-file", "Adam", source, self.path("state")))

    def test_files_that_are_no_checkpoints_are_refused(self):
        Path(self.path("text")).write_text("no checkpoint")
        self.assertIn("cannot be opened", self.refused("to-file", "Adam", self.path("text"), self.path("state")))
        self.assertIn("is not a file", self.refused("to-file", "Adam", self.path("absent"), self.path("state")))

    def test_the_name_of_another_optimizer_is_refused(self):
        kinds = {"Adam": "SGD", "SGD": "RMSprop", "RAdam": "Adam", "RMSprop": "Adagrad", "Adamax": "NAdam"}
        for own, given in (kinds | {given: own for own, given in kinds.items()}).items():
            model = torch.nn.Linear(2, 2)
            optimizer = getattr(torch.optim, own)(model.named_parameters())
            source = self.save("o.pt", optimizer.state_dict())
            model_file = self.save("m.pt", model.state_dict())
            error = self.refused("to-file", given, source, self.path("state"), "--model", model_file)
            self.assertIn(f"does not belong to torch.optim.{given}", error)
        source = self.save("o.pt", torch.optim.Adam(model.named_parameters(), weight_decay=0.1).state_dict())
        self.assertIn(
            "belongs to torch.optim.Adam, not to AdamW",
            self.refused("to-file", "AdamW", source, self.path("state"), "--model", model_file),
        )

    def test_a_state_of_other_tensors_is_refused(self):
        _, optimizer = self.trained()
        state_dict = optimizer.state_dict()
        state_dict["state"][0]["absmax"] = torch.ones(1)
        error = self.refused("to-file", "Adam", self.save("o.pt", state_dict), self.path("state"))
        self.assertIn("`weight` has the state ['absmax', 'exp_avg', 'exp_avg_sq']", error)

    def test_a_damaged_or_foreign_state_file_is_refused(self):
        model, optimizer = self.trained()
        model_file = self.save("m.pt", model.state_dict())
        self.to_file("Adam", optimizer)
        path = Path(self.path("state.safetensors"))
        damaged = bytearray(path.read_bytes())
        damaged[-1] ^= 1
        path.write_bytes(damaged)
        arguments = [self.path("back.pt"), "--model", model_file, "--model-order"]
        self.assertIn("is damaged", self.refused("to-torch", path, *arguments))
        path.write_bytes(b"nothing")
        self.assertIn("is not a safetensors file", self.refused("to-torch", path, *arguments))
        save_file({"a": torch.ones(1)}, path)
        self.assertIn("is not a state file of wgpu-adam", self.refused("to-torch", path, *arguments))
        self.assertFalse(Path(self.path("back.pt")).exists())


class Refusals(Case):
    def test_what_pytorch_lacks_is_named(self):
        def config(**fields):
            return lambda head, _: head["groups"][0]["config"].update(fields)

        rmsprop = {"momentum": 0.9, "nesterov": False, "lr_in_momentum": False, "initial": 0.0}
        for case, change, what in (
            ("adam", config(variant="AdaBelief"), "AdaBelief"),
            ("adam", config(variant="Lion"), "Lion"),
            ("adam", config(variant={"AmsGrad": {"of_corrected": True}}), "`of_corrected`"),
            ("adam", config(variant={"NAdam": {"momentum_decay": None}}), "without `momentum_decay`"),
            ("adam", config(variant={"RAdam": {"eps_on_raw": False}}), "without `eps_on_raw`"),
            ("adam", config(eps_root=1e-8), "`eps_root`"),
            ("adam", config(bias_correction=False), "`bias_correction` = False"),
            ("adam", config(future=1), "`future`"),
            ("adamax", config(decay={"Decoupled": 0.1}), "decoupled weight decay"),
            ("rmsprop", config(variant={"RmsProp": rmsprop | {"nesterov": True}}), "`nesterov`"),
            ("rmsprop", config(variant={"RmsProp": rmsprop | {"lr_in_momentum": True}}), "`lr_in_momentum`"),
            ("rmsprop", config(bias_correction=True), "`bias_correction` = True"),
        ):
            with self.subTest(what):
                path = self.edit(change, case)
                error = self.refused(
                    "to-torch", path, self.path("b"), "--model", self.path("model.pt"), "--model-order"
                )
                self.assertIn("PyTorch has no counterpart of", error)
                self.assertIn(what, error)

    def test_state_that_pytorch_lacks_is_named(self):
        path = self.edit(lambda _, tensors: tensors.update({"first.weight.master": torch.ones(36)}))
        error = self.refused("to-torch", path, self.path("b"), "--model", self.path("model.pt"), "--model-order")
        self.assertIn("`first.weight.master`: PyTorch has no masters", error)

    def test_parameters_must_be_the_same_on_both_sides(self):
        model, optimizer = make("adam", torch.nn.Linear(2, 2))
        steps(model, optimizer, gradients(model, 1, 1))
        self.to_file("Adam", optimizer)
        back = [self.path("state.safetensors"), self.path("back.pt"), "--model"]
        model_file = self.save("m.pt", model.state_dict())
        error = self.refused("to-torch", *back, model_file, "--names", "weight", "bias", "c")
        self.assertIn("the file has no `c`", error)
        self.assertIn("the file has `bias`", self.refused("to-torch", *back, model_file, "--names", "weight"))
        other = self.save("other.pt", {"weight": torch.ones(3, 2), "bias": torch.ones(2)})
        error = self.refused("to-torch", *back, other, "--model-order")
        self.assertIn("`weight` has 4 elements, but in the model it has the shape (3, 2)", error)
        other = self.save("other.pt", {"weight": torch.ones(2, 2)})
        self.assertIn("the model has no `bias`", self.refused("to-torch", *back, other, "--names", "weight", "bias"))
        groups = [{"params": [("weight", model.weight)]}, {"params": [("bias", model.bias)]}]
        other = self.save("o.pt", torch.optim.Adam(groups).state_dict())
        error = self.refused("to-torch", *back, model_file, "--optimizer", other)
        self.assertIn("PyTorch's optimizer has 2 groups, but the file has 1", error)
        other = self.save("o.pt", torch.optim.SGD(model.named_parameters()).state_dict())
        error = self.refused("to-torch", *back, model_file, "--optimizer", other)
        self.assertIn("does not belong to torch.optim.Adam", error)

    def test_groups_must_be_the_same_on_both_sides(self):
        model = torch.nn.ParameterDict({"a": torch.ones(2), "b": torch.ones(2), "empty": torch.ones(0)})
        groups = lambda one, other: [{"params": [(name, model[name]) for name in names]} for names in (one, other)]
        optimizer = torch.optim.Adam(groups(["a", "empty"], ["b"]))
        steps(model, optimizer, gradients(model, 1, 1))
        head, tensors = self.to_file("Adam", optimizer)
        model_file = self.save("m.pt", model.state_dict())
        back = ["to-torch", self.path("state.safetensors"), self.path("back.pt"), "--model", model_file]
        other = self.save("o.pt", torch.optim.Adam(groups(["b", "empty"], ["a"])).state_dict())
        error = self.refused(*back, "--optimizer", other)
        self.assertIn("`b` is in group 0 in PyTorch, but in group 1 of the file", error)
        self.assertIn("`empty` is empty, and the file does not have its group", self.refused(*back, "--model-order"))
        self.convert(*back, "--optimizer", self.path("optimizer.pt"))
        self.assert_equal(torch.load(self.path("back.pt"))["state"][0], optimizer.state_dict()["state"][0])
        head["groups"][1]["config"]["variant"] = "AdaMax"
        state_file.write(self.path("state.safetensors"), head, tensors)
        error = self.refused(*back, "--optimizer", self.path("optimizer.pt"))
        self.assertIn("the groups are Adam, Adamax, but the groups of an optimizer in PyTorch have one rule", error)

    def test_what_pytorch_ignores_is_left_out(self):
        # This crate refuses a dampening of no momentum.
        optimizer = torch.optim.SGD(torch.nn.Linear(2, 2).named_parameters(), dampening=0.1)
        head, _ = self.to_file("SGD", optimizer, "--model", self.save("m.pt", torch.nn.Linear(2, 2).state_dict()))
        self.assertEqual(head["groups"][0]["config"]["variant"]["Sgd"]["dampening"], 0.0)


class Scalers(Case):
    def test_a_loss_scale_comes_in_and_goes_out(self):
        model, optimizer = make("adam", torch.nn.Linear(2, 2))
        steps(model, optimizer, gradients(model, 1, 1))
        scaler = torch.amp.GradScaler("cpu", init_scale=8.0, growth_factor=4.0, backoff_factor=0.25, growth_interval=7)
        state = scaler.state_dict() | {"scale": 32.0, "_growth_tracker": 3}
        all_three = {"model": model.state_dict(), "scaler": state, "optimizer": optimizer.state_dict()}
        checkpoint = self.save("c.pt", all_three)
        path = self.path("state")
        self.convert("to-file", "Adam", checkpoint, path, "--scaler", checkpoint)
        head, _ = state_file.read(path)
        self.assertEqual(head["loss_scale"], {"scale": 32.0, "growth_tracker": 3})
        self.assertEqual(
            head["options"]["loss_scale"], {"growth_factor": 4.0, "backoff_factor": 0.25, "growth_interval": 7}
        )
        back = ["to-torch", path, self.path("back.pt"), "--model", checkpoint, "--model-order"]
        self.assertIn("the file has a loss scale: --scaler writes it", self.convert(*back))
        self.convert(*back, "--scaler", self.path("scaler.pt"))
        self.assertEqual(torch.load(self.path("scaler.pt")), state)

    def test_a_file_without_a_loss_scale_has_none_to_write(self):
        path = self.edit(lambda *_: None)
        back = ["to-torch", path, self.path("b"), "--model", self.path("model.pt"), "--model-order"]
        self.assertIn("has no loss scale", self.refused(*back, "--scaler", self.path("scaler.pt")))
        self.assertFalse(Path(self.path("b")).exists())

    def test_a_scaler_that_is_off_is_refused(self):
        model, optimizer = make("adam", torch.nn.Linear(2, 2))
        scaler = self.save("s.pt", torch.amp.GradScaler("cpu", enabled=False).state_dict())
        model_file = self.save("m.pt", model.state_dict())
        source = self.save("o.pt", optimizer.state_dict())
        error = self.refused("to-file", "Adam", source, self.path("state"), "--model", model_file, "--scaler", scaler)
        self.assertIn("must have one GradScaler", error)


class Run:
    """A run that begins in PyTorch, goes on in this crate, and ends in PyTorch. The other run stays in PyTorch."""

    LEN = 6

    def __init__(self, folder, case, *, groups=False, schedule=False, scaled=False):
        self.folder, self.case, self.schedule = folder, case, schedule
        self.kind, self.settings = CASES[case]
        self.name = "_".join([case, *(["groups"] * groups + ["schedule"] * schedule + ["scaled"] * scaled)])
        self.groups = groups
        torch.manual_seed(3)
        self.model = Net()
        self.optimizer = self.new_optimizer(self.model)
        for group in self.optimizer.param_groups:
            group["lr"] = 0.02
        self.scheduler = CosineAnnealingLR(self.optimizer, 30) if schedule else None
        self.scaler = torch.amp.GradScaler("cpu", init_scale=16.0, growth_interval=4) if scaled else None
        grads = gradients(self.model, 5, self.LEN)
        for step in grads[:2]:
            # The first parameter is the temperature.
            step[0] = None
        self.steps(grads)
        # From here on, all have gradients.
        self.model.requires_grad_(True)
        self.middle, self.end = (gradients(self.model, seed, self.LEN) for seed in (6, 7))
        if scaled:
            self.middle[2][1].fill_(torch.inf)

    def new_optimizer(self, model):
        named = list(model.named_parameters())
        if self.groups:
            weights, rest = ([(n, p) for n, p in named if (p.dim() == 2) == two] for two in (True, False))
            named = [{"params": weights}, {"params": rest, "weight_decay": 0.0}]
        return getattr(torch.optim, self.kind)(named, **self.settings)

    def file(self, what):
        return str(self.folder / f"{self.name}.{what}")

    def steps(self, grads):
        """Makes steps and returns the gradients as an optimizer with a loss scale gets them."""
        given = []
        for step in grads:
            if self.scaler is not None:
                scale = self.scaler.scale(torch.ones(())).item()
                step = [grad if grad is None else grad * scale for grad in step]
            given.append(step)
            for p, grad in zip(self.model.parameters(), step):
                p.grad = None if grad is None else grad.clone()
            if self.scaler is None:
                self.optimizer.step()
            else:
                self.scaler.step(self.optimizer)
                self.scaler.update()
            if self.scheduler is not None:
                self.scheduler.step()
        return given

    def begin(self, convert):
        """Writes what the crate needs for the middle of the run, and makes the middle in PyTorch."""
        model = {name: p.detach().clone() for name, p in self.model.named_parameters()}
        torch.save(model, self.file("model.pt"))
        torch.save(self.optimizer.state_dict(), self.file("optimizer.pt"))
        more = ["--model", self.file("model.pt")]
        if self.kind == "SGD":
            more += ["--position", self.LEN]
        if self.scaler is not None:
            torch.save(self.scaler.state_dict(), self.file("scaler.pt"))
            more += ["--scaler", self.file("scaler.pt")]
        convert("to-file", self.kind, self.file("optimizer.pt"), self.file("state.safetensors"), *more)
        self.before = model
        run = {f"param.{name}": p for name, p in model.items()}
        for number, step in enumerate(self.steps(self.middle)):
            run |= {f"grad.{number}.{name}": grad.clone() for name, grad in zip(model, step)}
        metadata = {"schedule": json.dumps({"Cosine": {"from": 1.0, "to": 0.0, "steps": 30}})} if self.schedule else {}
        save_file(run, self.file("run.safetensors"), metadata)
        self.after = {name: p.detach().clone() for name, p in self.model.named_parameters()}

    def finish(self, convert, close):
        """Compares what the crate did with what PyTorch did, and goes on in PyTorch from there."""
        ours = load_file(self.file("params.safetensors"))
        ours = {name: ours[name].reshape(p.shape) for name, p in self.after.items()}
        close(ours, self.after, self.before)
        order = ["--model", self.file("model.pt"), "--optimizer", self.file("optimizer.pt")]
        if self.scaler is not None:
            order += ["--scaler", self.file("scaler.pt")]
        convert("to-torch", self.file("ours.safetensors"), self.file("back.pt"), *order)
        self.steps(self.end)
        there = copy.copy(self)
        there.model = Net()
        there.model.load_state_dict(ours, strict=False)
        there.optimizer = there.new_optimizer(there.model)
        if self.schedule:
            for group in there.optimizer.param_groups:
                group["lr"] = 0.02
            there.scheduler = CosineAnnealingLR(there.optimizer, 30)
        there.optimizer.load_state_dict(torch.load(self.file("back.pt")))
        if self.schedule:
            # As the converter says on stderr. PyTorch would warn about the order.
            there.scheduler.last_epoch = 2 * self.LEN - 1
            with warnings.catch_warnings(action="ignore"):
                there.scheduler.step()
        if self.scaler is not None:
            there.scaler = torch.amp.GradScaler("cpu")
            there.scaler.load_state_dict(torch.load(self.file("scaler.pt")))
        there.steps(self.end)
        close(dict(there.model.named_parameters()), dict(self.model.named_parameters()), self.after)
        if self.scaler is not None:
            return there.scaler.state_dict(), self.scaler.state_dict()
        rates = [[group["lr"] for group in run.optimizer.param_groups] for run in (there, self)]
        return tuple([round(rate, 8) for rate in of_groups] for of_groups in rates)


class WithThisCrate(Case):
    def close(self, got, want, start):
        """Notes the largest error, in units of the way from the start."""
        for name in want:
            moved = (want[name] - start[name]).abs().max().item()
            error = (got[name] - want[name]).abs().max().item()
            self.assertGreater(moved, 0.0, name)
            self.worst = max(self.worst, error / moved)

    def test_runs_go_from_pytorch_to_this_crate_and_back(self):
        runs = [Run(self.folder, case) for case in CASES]
        runs += [Run(self.folder, "adamw", groups=True), Run(self.folder, "adamw_amsgrad", schedule=True)]
        runs += [Run(self.folder, "sgd_nesterov", schedule=True), Run(self.folder, "adam", scaled=True)]
        for run in runs:
            run.begin(self.convert)
        command = ["cargo", "test", "--quiet", "--locked", "--test", "it", "pytorch::continue_runs_of_pytorch"]
        command += ["--", "--ignored", "--exact", "--nocapture"]
        done = subprocess.run(
            command, cwd=REPOSITORY, env=os.environ | {"PYTORCH_RUNS": str(self.folder)}, capture_output=True, text=True
        )
        self.assertIn(f"{len(runs)} runs were continued", done.stdout, done.stdout + done.stderr)
        for run in runs:
            with self.subTest(run.name):
                self.worst = 0.0
                self.assertEqual(*run.finish(self.convert, self.close))
                self.assertLess(self.worst, 1e-3)


if __name__ == "__main__":
    unittest.main()
