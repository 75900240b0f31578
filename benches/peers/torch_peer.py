"""A peer that runs PyTorch's AdamW. benches/README.md describes the protocol."""

import argparse
import sys
import time

import torch

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("kind", choices=["fused", "foreach"])
parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
parser.add_argument("--threads", type=int, help="number of CPU threads (default: all)")
arguments = parser.parse_args()
if arguments.threads:
    torch.set_num_threads(arguments.threads)
device = torch.device(arguments.device)


def synchronize():
    if device.type == "cuda":
        torch.cuda.synchronize()


def prepare(lens):
    tensors = []
    for length in lens:
        tensor = torch.full((length,), 0.75, device=device, requires_grad=True)
        tensor.grad = torch.full_like(tensor, 0.75)
        tensors.append(tensor)
    options = {"lr": 1e-3, "weight_decay": 0.01, arguments.kind: True}
    return torch.optim.AdamW(tensors, **options) if tensors else None


def answer(words):
    global adam
    if words[0] == "tensors":
        adam = None
        if device.type == "cuda" and not torch.cuda.is_available():
            return "no CUDA"
        adam = prepare([int(length) for length in words[1:]])
        synchronize()
        name = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
        return f"ready PyTorch {torch.__version__}, AdamW {arguments.kind}, {name}"
    if words[0] == "run" and adam is not None:
        start = time.perf_counter()
        for _ in range(int(words[1])):
            adam.step()
        synchronize()
        return str(1e3 * (time.perf_counter() - start))
    return f"no: {' '.join(words)}"


adam = None
for line in sys.stdin:
    try:
        print(answer(line.split()), flush=True)
    except RuntimeError as error:
        print("no:", str(error).splitlines()[0], flush=True)
