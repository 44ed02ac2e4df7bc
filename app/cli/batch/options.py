"""What `tok batch` was asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """One call of `tok batch`."""

    source: Path
    """`-` is standard input."""
    output: Path
    """`-` is standard output."""
    parallel: int = 8
    model: str | None = None
    preset: str | None = None
    system: str | None = None
    speculate: bool | None = None
    draft: str | None = None
    overwrite: bool = False
    sampling: dict[str, object] = field(default_factory=dict[str, object])
    """Fields of SamplingParams that stand where a line says nothing else, by name."""
