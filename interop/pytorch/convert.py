"""Converts the state of PyTorch's optimizers to a state file of wgpu-adam and back. README.md explains it."""

import argparse

import torch
from checkpoint import is_model, is_optimizer, is_scaler, load
from optimizers import OPTIMIZERS
from state_file import Refusal, note, replacing
from to_file import to_file
from to_torch import to_torch

EPILOG = """\
A checkpoint is what torch.save wrote: a state_dict, or dictionaries and lists with one of them inside.
If there are several, FILE::KEY.KEY says which. --names @FILE reads a name from each line of a file."""


def arguments(argv):
    top = argparse.ArgumentParser(description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)

    def command(name, text):
        form = argparse.RawDescriptionHelpFormatter
        return commands.add_parser(
            name, help=text, description=text, epilog=EPILOG, formatter_class=form, fromfile_prefix_chars="@"
        )

    def naming(parser):
        add = parser.add_argument
        add("--names", nargs="+", help="names of the parameters, in the order of PyTorch's optimizer")
        add("--model-order", action="store_true", help="PyTorch's optimizer was created from model.parameters()")
        add("--strip-prefix", default="", metavar="PREFIX", help="left out of PyTorch's names, `module.` for example")

    parser = command("to-file", "From PyTorch to a state file.")
    add = parser.add_argument
    add("optimizer", choices=OPTIMIZERS, help="class in torch.optim")
    add("checkpoint", help="checkpoint of the optimizer")
    add("state", help="state file to write")
    add("--model", help="checkpoint of the model, or a safetensors file: gives the shapes")
    naming(parser)
    add("--scaler", help="checkpoint of a torch.amp.GradScaler")
    add("--position", type=int, metavar="STEPS", help="steps so far, for a schedule (default: the most of a parameter)")
    add("--current-lr", action="store_true", help="take the rate of now, even if PyTorch has a scheduler")

    parser = command("to-torch", "From a state file to PyTorch.")
    add = parser.add_argument
    add("state", help="state file")
    add("checkpoint", help="state_dict of the optimizer to write")
    add("--model", required=True, help="checkpoint of the model, or a safetensors file: gives the shapes")
    add("--optimizer", help="checkpoint of the optimizer that will load the result: gives order and other settings")
    naming(parser)
    add("--scaler", help="state_dict of a torch.amp.GradScaler to write")
    return top.parse_args(argv)


def main(argv=None):
    given = arguments(argv)
    try:
        model = given.model and load(given.model, "model", is_model)
        names = {"names": given.names, "model_order": given.model_order, "prefix": given.strip_prefix}
        if given.command == "to-file":
            state_dict = load(given.checkpoint, "optimizer", is_optimizer)
            scaler = given.scaler and load(given.scaler, "GradScaler", is_scaler)
            rest = {"scaler": scaler, "position": given.position, "current_lr": given.current_lr}
            to_file(given.optimizer, state_dict, given.state, model=model, **names, **rest)
            return
        optimizer = given.optimizer and load(given.optimizer, "optimizer", is_optimizer)
        kind, state_dict, scaler = to_torch(given.state, model, optimizer=optimizer, **names)
        if given.scaler and scaler is None:
            raise Refusal(f"{given.state} has no loss scale for --scaler")
        if scaler is not None and not given.scaler:
            note("the file has a loss scale: --scaler writes it")
        for path, value in ((given.checkpoint, state_dict), (given.scaler, scaler)):
            if path:
                with replacing(path) as part:
                    torch.save(value, part)
        note(f"{given.checkpoint} is for torch.optim.{kind}")
    except (Refusal, OSError) as error:
        raise SystemExit(f"convert.py: {error}") from None


if __name__ == "__main__":
    main()
