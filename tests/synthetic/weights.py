"""Random weights, written as ggml's blocks directly: random bytes whose scales keep every activation of order one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from app.models.ggml_types import TENSOR_TYPES
from tests.fakes.tiny_gguf import TensorData

_CHUNK_BLOCKS = 1 << 18


@dataclass(frozen=True)
class Quant:
    """How one ggml type is filled."""

    kind: int
    """The number of the tensor type."""
    file_type: int
    """`general.file_type` of a file made of it."""
    fields: tuple[tuple[str, str, int], ...]
    """Of one block: name, numpy type, length."""
    scales: dict[str, float]
    """Value of each scale field that gives weights of variance one."""


QUANTS = {
    "f32": Quant(0, 0, (("x", "<f4", 1),), {}),
    "f16": Quant(1, 1, (("x", "<f2", 1),), {}),
    # Nibbles are even from 0 to 15: their standard deviation is 4.61, their mean 7.5.
    "q4_0": Quant(2, 2, (("d", "<f2", 1), ("q", "u1", 16)), {"d": 1 / 4.61}),
    "q4_1": Quant(3, 3, (("d", "<f2", 1), ("m", "<f2", 1), ("q", "u1", 16)), {"d": 1 / 4.61, "m": -7.5 / 4.61}),
    "q8_0": Quant(8, 7, (("d", "<f2", 1), ("q", "u1", 32)), {"d": 1 / 73.9}),
    # Sub-scales and sub-minima are even from 0 to 63; the minima take the mean out.
    "q4_k": Quant(
        12,
        15,
        (("d", "<f2", 1), ("dmin", "<f2", 1), ("s", "u1", 12), ("q", "u1", 128)),
        {"d": 1 / 257, "dmin": 7.5 / 257},
    ),
}


def data(tensor: TensorData, rng: np.random.Generator) -> Iterator[bytes]:
    """The bytes of one tensor in chunks: its own, or made.

    Norms and biases are ones; a matrix of rows of n has standard deviation 1/sqrt(n).
    """
    if tensor.data is not None:
        yield tensor.data
        return
    quant = next(quant for quant in QUANTS.values() if quant.kind == tensor.kind)
    type_ = TENSOR_TYPES[tensor.kind]
    if tensor.shape[0] % type_.n_elements:
        raise ValueError(f"{tensor.name}: rows of {tensor.shape[0]} do not divide into blocks of {type_.n_elements}")
    block = np.dtype([(name, kind, (n,)) for name, kind, n in quant.fields])
    assert block.itemsize == type_.n_bytes
    left, scale = tensor.n_bytes // block.itemsize, tensor.shape[0] ** -0.5
    while left:
        n = min(left, _CHUNK_BLOCKS)
        left -= n
        if len(tensor.shape) == 1:
            blocks = np.ones(n, "<f4")
        elif not quant.scales:
            blocks = (rng.standard_normal(n, np.float32) * scale).astype(quant.fields[0][1])
        else:
            blocks = np.frombuffer(rng.bytes(n * block.itemsize), block).copy()
            for field, value in quant.scales.items():
                blocks[field] = value * scale
        yield blocks.tobytes()
