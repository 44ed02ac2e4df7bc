"""Options that more than one command takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.completion import complete_model, complete_preset, complete_theme

Question = Annotated[str | None, typer.Argument(metavar="PROMPT", help="The question. Standard input is added to it.")]
PromptFiles = Annotated[
    list[Path] | None,
    typer.Option("--file", "-f", metavar="FILE", help="Add a text file, - is standard input; may be repeated."),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        help="A model of the catalogue (`tok models`) or the path of any GGUF file.",
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
        help="Sampling parameters and system prompt by name (`tok presets`).",
        autocompletion=complete_preset,
        show_default=False,
    ),
]
SystemPrompt = Annotated[
    str | None,
    typer.Option("--system", "-s", metavar="TEXT", help="System prompt instead of the preset's.", show_default=False),
]
ContinueLast = Annotated[bool, typer.Option("--continue", "-c", help="Go on with the last conversation.")]
ThemeName = Annotated[
    str | None,
    typer.Option(
        "--theme",
        metavar="THEME",
        help="Theme for this time only.",
        autocompletion=complete_theme,
        show_default=False,
    ),
]
DraftModel = Annotated[
    str | None,
    typer.Option(
        "--draft",
        metavar="MODEL",
        help="A smaller model with the same vocabulary that drafts for this one.",
        autocompletion=complete_model,
        show_default=False,
    ),
]
Speculate = Annotated[
    bool | None,
    typer.Option(
        "--speculate/--no-speculate",
        help="Draft the next tokens by the draft model, or else by lookup in the text so far, where that pays.",
        show_default=False,
    ),
]
Stats = Annotated[bool, typer.Option("--stats", help="Tell counts and speed on standard error.")]
TraceTo = Annotated[
    Path | None,
    typer.Option(
        "--trace",
        metavar="FILE",
        help="Write a line a token to FILE, with all that is known of it (`tok replay`).",
        show_default=False,
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the file of the trace if it is there.")]
