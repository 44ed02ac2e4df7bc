"""What the command line of `tok ask` said, before anything is looked up. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

TRACE_TOP_K = 10
"""Alternatives of each token in a trace, where nothing else is said."""


class Format(Enum):
    """What standard output carries."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"
    NOTHING = "nothing"


@dataclass(frozen=True, kw_only=True)
class AskOptions:
    """One call of `tok ask`."""

    prompt: str | None = None
    model: str | None = None
    preset: str | None = None
    system: str | None = None
    """Replaces the preset's system prompt; empty sends none."""
    files: tuple[Path, ...] = ()
    sampling: dict[str, object] = field(default_factory=dict[str, object])
    """Fields of SamplingParams that override the preset's, by name."""
    n: int = 1
    """How many answers."""
    format: Format = Format.TEXT
    stats: bool = False
    logprobs: int | None = None
    """How many alternatives each token is reported with; None reports no tokens."""
    trace_stages: bool = False
    """Whether each token is reported with what the sampler's stages did."""
    trace: Path | None = None
    """The file that every token's trace is written to, `-` for standard output."""
    overwrite: bool = False
    """Whether that file may replace another."""
    speculate: bool | None = None
    """None leaves it to the settings."""
    draft: str | None = None
    """A draft model, named as `model`; None leaves it to the catalogue."""
    stream: bool = True
    continue_last: bool = False
    save: bool = True

    @property
    def n_top(self) -> int:
        """How many alternatives each token's trace carries."""
        return TRACE_TOP_K if self.logprobs is None and self.trace else self.logprobs or 0
