"""What the command line asks of the chat. Imports nothing heavy, so that the command line can build it at no cost."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ChatOptions:
    """The options of `tok` and `tok chat`; None means: as configured, or as remembered."""

    model: str | None = None
    """A catalogue name or the path of a GGUF file."""
    preset: str | None = None
    system: str | None = None
    """A system prompt in place of the preset's; empty sends none."""
    continue_last: bool = False
    """Open the last conversation in place of an empty one."""
    theme: str | None = None
    draft: str | None = None
    """A draft model, named as `model`; used with the model that the chat starts with."""
