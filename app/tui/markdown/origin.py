"""Where the lines of a block begin in the text that it was split from. Goes down the lines as the splitter did."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from app.tui.markdown.blocks import Block, Kind
from app.tui.markdown.fence import Fence, open_fence

_BLANK = " \t"


def line_starts(source: str, blocks: Sequence[Block], index: int) -> list[int]:
    """Returns the offset in `source` of each line of a block; nothing where the block is not from there.

    `blocks` are those of `source`, or of its beginning, in order. A line of code begins behind what its fence took
    away; where that was a part of a tab, the blanks that are left of it lie before the line.
    """
    lines = source.split("\n")
    tops = [0, *accumulate(len(line) + 1 for line in lines)]
    at = n_lines = 0
    fence: Fence | None = None
    for block in blocks[: index + 1]:
        at += n_lines
        is_code = block.kind is Kind.CODE
        if fence is not None and not (is_code and not block.gap):
            at += at < len(lines) and fence.closes(lines[at])
            fence = None
        while fence is None and at < len(lines) and not lines[at].strip(_BLANK):
            at += 1
        if is_code and block.gap:
            fence = open_fence(lines[at]) if at < len(lines) else None
            at += 1
        n_lines = block.text.count("\n") + 1
        if fence is not None and not block.text and (at >= len(lines) or fence.closes(lines[at])):
            n_lines = 0
    block = blocks[index]
    if block.kind not in (Kind.CODE, Kind.MARKDOWN) or (block.kind is Kind.CODE and fence is None):
        return []
    starts: list[int] = []
    for part, line, top in zip(block.text.split("\n"), lines[at:], tops[at:], strict=False):
        content = line if fence is None else fence.content(line)
        if not content.startswith(part):
            return []
        starts.append(top + len(line) - len(content))
    return starts
