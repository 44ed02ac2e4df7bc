"""`python -m tests.synthetic --shape 1b --quant q4_0 [--vocabulary FILE] [--n-layers N …] OUT`"""

from __future__ import annotations

import argparse
from dataclasses import fields, replace
from pathlib import Path

from tests.synthetic.shapes import SHAPES, Shape
from tests.synthetic.weights import QUANTS
from tests.synthetic.writer import write_model

SIZES = [field.name for field in fields(Shape) if field.name.startswith("n_")]


def main() -> None:
    """Writes one file and says how large it is."""
    parser = argparse.ArgumentParser(prog="python -m tests.synthetic", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--shape", choices=SHAPES, default="tiny")
    parser.add_argument("--quant", choices=QUANTS, default="q4_0")
    parser.add_argument("--vocabulary", type=Path, help="a GGUF whose vocabulary is copied (vocabulary-only will do)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--architecture", choices=("llama", "qwen2", "gemma2"), default="llama")
    for name in SIZES:
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, help="in place of the shape's")
    given = parser.parse_args()
    changes = {name: getattr(given, name) for name in SIZES if getattr(given, name) is not None}
    shape = replace(SHAPES[given.shape], architecture=given.architecture, **changes)
    path = write_model(given.out, shape, given.quant, vocabulary=given.vocabulary, seed=given.seed)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
