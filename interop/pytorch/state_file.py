"""Reads and writes the state files of wgpu-adam. `src/state/safetensors.rs` describes the format."""

import json
import os
import sys
import tempfile
import zlib
from contextlib import contextmanager

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

FORMAT, VERSION = "wgpu-adam", "1"
DTYPES = {
    torch.float32: "F32",
    torch.bfloat16: "BF16",
    torch.int16: "I16",
    torch.uint8: "U8",
    torch.int64: "I64",
}


class Refusal(Exception):
    """An input that cannot be converted. The message says which, and what is needed."""


def note(text):
    """Says what was done that the caller may not expect."""
    print(f"convert.py: {text}", file=sys.stderr)


@contextmanager
def replacing(path):
    """Yields a path to write to, a file of its own. It replaces `path`, or what a link leads to, once all is on disk."""
    path = os.path.realpath(path)
    if os.path.exists(path) and not os.path.isfile(path):
        raise Refusal(f"{path} is not a file that can be replaced")
    file, part = tempfile.mkstemp(prefix="wgpu-adam-", suffix=".partial", dir=os.path.dirname(path))
    try:
        umask = os.umask(0)
        os.umask(umask)
        os.fchmod(file, os.stat(path).st_mode & 0o777 if os.path.exists(path) else 0o666 & ~umask)
        yield part
        # The content may be in another file of that name, which the writer has put there.
        with open(part, "rb") as written:
            os.fsync(written.fileno())
        os.replace(part, path)
    finally:
        os.close(file)
        if os.path.exists(part):
            os.remove(part)


def checksum(head, tensors):
    """Returns the CRC-32 of the JSON and, in the order of names, a description and the bytes of each tensor."""
    crc = zlib.crc32(head.encode())
    for name in sorted(tensors, key=str.encode):
        tensor = tensors[name]
        if tensor.dtype not in DTYPES:
            raise Refusal(f"`{name}` is {tensor.dtype}, which no state tensor can be")
        crc = zlib.crc32(f"{name} {DTYPES[tensor.dtype]} {list(tensor.shape)}\n".encode(), crc)
        # NumPy does not support bfloat16.
        bits = tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor
        crc = zlib.crc32(bits.numpy().tobytes(), crc)
    return f"{crc:08x}"


def write(path, head, tensors):
    """Writes a state file. `head` is the struct `Head` of the format."""
    head = json.dumps(head, allow_nan=False)
    metadata = {"format": FORMAT, "version": VERSION, "state": head, "crc32": checksum(head, tensors)}
    with replacing(path) as part:
        save_file(tensors, part, metadata)


def read(path):
    """Returns the head and the tensors of a state file."""
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError as error:
        raise Refusal(f"{path} is not a safetensors file: {error}") from error
    if metadata.get("format") != FORMAT:
        raise Refusal(f"{path} is not a state file of {FORMAT}")
    if metadata.get("version") != VERSION:
        raise Refusal(f"{path} has version {metadata.get('version')} of the format, but must have {VERSION}")
    if checksum(metadata["state"], tensors) != metadata["crc32"]:
        raise Refusal(f"{path} is damaged: its checksum is not that of its contents")
    return json.loads(metadata["state"]), tensors
