"""The thinking of a reply in the transcript: one line, and the text under it while it is open."""

from __future__ import annotations

from app.domain import units
from app.domain.generation import Thinking
from app.domain.text import safe_text
from app.tui.markdown.blocks import Block, BlockKind
from app.tui.transcript.pieces import plain_pieces

_MAX_LAST = 400
"""Characters of the last line that are considered: more than any terminal is wide."""


def fold_blocks(source: str, thinking: Thinking | None, *, is_open: bool, is_running: bool) -> list[Block]:
    """Returns the blocks above the answer; none if the reply has no thinking.

    While the model thinks (`is_running`) the folded line ends with the last line of the thinking.
    """
    if thinking is None or thinking.start >= thinking.end:
        return []
    word = "thinking" if is_running else "thought"
    head = f"{'▾' if is_open else '▸'} {word} · {units.tokens(thinking.n_tokens)} · {units.seconds(thinking.ms)}"
    thought = source[thinking.start : thinking.end]
    if is_open:
        pieces = plain_pieces(safe_text(thought))
        return [Block(BlockKind.FOLD, head), *(Block(BlockKind.THINKING, piece, gap=False) for piece in pieces)]
    last = thought[-_MAX_LAST:].rpartition("\n")[2]
    return [Block(BlockKind.FOLD, head, info=safe_text(last) if is_running else "")]
