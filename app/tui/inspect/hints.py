"""The inspector's help line: which keys do what, by what is being done. Pure."""

from __future__ import annotations

from enum import Enum, auto

Hint = tuple[str, str]
"""A key and its words."""


class Mode(Enum):
    """What the arrow keys do."""

    LOOK = auto()
    """They move the cursor over the tokens."""
    PICK = auto()
    """They choose an alternative."""
    WHAT_IF = auto()
    """They move the knobs."""


class Section(Enum):
    """What stands below or beside the flow."""

    TOKEN = "Token"
    SAMPLER = "Sampler"
    PROMPT = "Prompt"


def hints(mode: Mode, section: Section, *, n_replies: int) -> list[Hint]:
    """Returns the keys in the order of their use; the last ones may not fit."""
    if mode is Mode.PICK:
        return [("↑ ↓", "alternative"), ("Enter", "fork from it"), ("f", "type text"), ("Esc", "back")]
    if mode is Mode.WHAT_IF:
        return [("← →", "knob"), ("↑ ↓", "turn it"), ("⌫", "as it was"), ("h l", "token"), ("Esc", "back")]
    own = {
        Section.TOKEN: [("Enter", "fork"), ("n", "surprise"), ("t", "tint"), ("/", "find")],
        Section.SAMPLER: [("w", "what if"), ("r", "record"), ("t", "tint")],
        Section.PROMPT: [],
    }[section]
    replies = [("< >", "reply")] if n_replies > 1 else []
    rest = [("y", "copy command"), ("d", "drafts"), ("f", "type")] if section is not Section.PROMPT else []
    return [("←→↑↓", "token"), ("Tab", "section"), *own, *replies, *rest, ("Esc", "close")]
