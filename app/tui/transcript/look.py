"""What the lines of a message depend on besides its text: who speaks, the width, the styles."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from app.tui.markdown.lines import Span
from app.tui.markdown.styles import MarkdownStyles

GUTTER = 2


class Voice(Enum):
    """Who speaks: decides the gutter, and whether the text is Markdown."""

    USER = auto()
    ASSISTANT = auto()
    SYSTEM = auto()
    NOTICE = auto()


@dataclass(frozen=True, slots=True)
class Look:
    """What lines depend on besides the text."""

    width: int
    styles: MarkdownStyles

    def gutter(self, voice: Voice, *, is_first: bool) -> tuple[Span, Span]:
        """Returns what stands before the first line of a part of a message and before its others."""
        styles = self.styles
        match voice:
            case Voice.USER:
                first, rest = ("▌ ", styles.user), ("▌ ", styles.user)
            case Voice.ASSISTANT:
                first, rest = ("◆ ", styles.assistant), ("  ", styles.base)
            case Voice.SYSTEM:
                first, rest = ("§ ", styles.muted), ("  ", styles.base)
            case Voice.NOTICE:
                first, rest = ("  ", styles.base), ("  ", styles.base)
        return (first if is_first else rest), rest
