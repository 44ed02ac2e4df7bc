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
    if section is Section.PROMPT:
        return [("← → ↑ ↓", "token"), ("Tab", "section"), ("< >", "reply"), ("Esc", "close")][: 4 if n_replies else 2]
    own = {
        Section.TOKEN: [("Enter", "fork"), ("n", "surprise")],
        Section.SAMPLER: [("w", "what if"), ("r", "record")],
    }[section]
    replies = [("< >", "reply")] if n_replies > 1 else []
    found = [("/", "find")] if section is Section.TOKEN else []
    end = [("d", "drafts"), ("f", "type"), ("Esc", "close")]
    return [("←→↑↓", "token"), ("Tab", "section"), *own, ("t", "tint"), *found, *replies, *end]
