"""Options that more than one command takes, and what the command line of `tok ask` said. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from app.cli.common.completion import complete_model, complete_preset, complete_theme

Question = Annotated[
    str | None,
    typer.Argument(
        metavar="PROMPT",
        help="The question. Standard input, if piped, is added to it.",
    ),
]
PromptFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--file",
        "-f",
        metavar="FILE",
        help="Add a text file to the prompt; `-` is standard input. Repeatable.",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        help="Model: a name from `tok models`, or the path of a GGUF file.",
        autocompletion=complete_model,
        show_default=False,
    ),
]
PresetName = Annotated[
    str | None,
    typer.Option(
        "--preset",
        "-p",
        metavar="PRESET",
        help="Preset: sampling parameters and system prompt (`tok presets`).",
        autocompletion=complete_preset,
        show_default=False,
    ),
]
SystemPrompt = Annotated[
    str | None,
    typer.Option("--system", "-s", metavar="TEXT", help="System prompt; replaces the preset's.", show_default=False),
]
ContinueLast = Annotated[bool, typer.Option("--continue", "-c", help="Continue the last conversation.")]
ThemeName = Annotated[
    str | None,
    typer.Option(
        "--theme",
        metavar="THEME",
        help="Theme for this session.",
        autocompletion=complete_theme,
        show_default=False,
    ),
]
DraftModel = Annotated[
    str | None,
    typer.Option(
        "--draft",
        metavar="MODEL",
        help="Draft model: a smaller one with the same vocabulary.",
        autocompletion=complete_model,
        show_default=False,
    ),
]
Speculate = Annotated[
    bool | None,
    typer.Option(
        "--speculate/--no-speculate",
        help="Draft tokens, by --draft's model or lookup in the text; same distribution.",
        show_default=False,
    ),
]
Stats = Annotated[bool, typer.Option("--stats", help="Print token counts and speed on standard error.")]
TraceTo = Annotated[
    Path | None,
    typer.Option(
        "--trace",
        metavar="FILE",
        help="Write a trace, one line per token, to FILE (see `tok replay`).",
        show_default=False,
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the trace file if it exists.")]


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
    show_thinking: bool = False
    """Whether plain text has the thinking too."""
    continue_last: bool = False
    save: bool = True

    @property
    def n_top(self) -> int:
        """How many alternatives each token's trace carries."""
        return TRACE_TOP_K if self.logprobs is None and self.trace else self.logprobs or 0
