"""Writes a synthetic model: the head at once, the weights as a stream, so that size is bounded by the disk alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.fakes.tiny_gguf import gguf_head
from tests.synthetic import recurrent, shapes, windowed
from tests.synthetic.recurrent import RecurrentShape
from tests.synthetic.shapes import Shape
from tests.synthetic.vocabulary import copied, made
from tests.synthetic.weights import QUANTS, data
from tests.synthetic.windowed import WindowedShape

_ALIGNMENT = 32


def write_model(
    path: Path,
    shape: Shape | RecurrentShape | WindowedShape,
    quant: str,
    *,
    vocabulary: Path | None = None,
    seed: int = 0,
) -> Path:
    """Writes a model to `path` and returns it. The same arguments give the same bytes.

    Raises ValueError where the shape does not divide into the quantisation's blocks or the vocabulary is none.
    """
    words, n_vocab = copied(vocabulary) if vocabulary else (made(shape.n_vocab), shape.n_vocab)
    shape = replace(shape, n_vocab=n_vocab)
    filling = QUANTS[quant]
    name = f"Synthetic {path.stem}"
    if isinstance(shape, RecurrentShape):
        keys, wanted = recurrent.metadata(shape, name, filling.file_type), recurrent.tensors(shape, filling.kind)
    elif isinstance(shape, WindowedShape):
        keys, wanted = windowed.metadata(shape, name, filling.file_type), windowed.tensors(shape, filling.kind)
    else:
        keys, wanted = shapes.metadata(shape, name, filling.file_type), shapes.tensors(shape, filling.kind)
    rng = np.random.default_rng(seed)
    with path.open("wb") as file:
        file.write(gguf_head(keys | words, wanted))
        for tensor in wanted:
            for chunk in data(tensor, rng):
                file.write(chunk)
            file.write(bytes(-tensor.n_bytes % _ALIGNMENT))
    return path
