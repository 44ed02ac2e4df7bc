"""Where the lines and the fence of a block stand in the text that it was split from.

Goes down the lines as the splitter did.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from app.tui.markdown.blocks import Block, BlockKind
from app.tui.markdown.fence import Fence, open_fence
from app.tui.markdown.placing import Unit

_BLANK = " \t"


def line_starts(source: str, blocks: Sequence[Block], index: int) -> list[int]:
    """Returns the offset in `source` of each line of a block; nothing where the block is not from there.

    `blocks` are those of `source`, or of its beginning, in order. A line of code begins behind what its fence took
    away; where that was a part of a tab, the blanks that are left of it lie before the line.
    """
    if blocks[index].kind in (BlockKind.PLAIN, BlockKind.THINKING):
        return _plain_starts(source, blocks, index)
    lines = source.split("\n")
    tops = [0, *accumulate(len(line) + 1 for line in lines)]
    at = n_lines = 0
    fence: Fence | None = None
    for block in blocks[: index + 1]:
        at += n_lines
        is_code = block.kind is BlockKind.CODE
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
    if block.kind not in (BlockKind.CODE, BlockKind.MARKDOWN) or (block.kind is BlockKind.CODE and fence is None):
        return []
    if at >= len(lines):
        return [len(source)]
    starts: list[int] = []
    for part, line, top in zip(block.text.split("\n"), lines[at:], tops[at:], strict=False):
        content = line if fence is None else fence.content(line)
        if not content.startswith(part):
            return []
        starts.append(top + len(line) - len(content))
    return starts


def fence_around(source: str, blocks: Sequence[Block], index: int) -> Unit | None:
    """Returns where the fence stands whose content a block is, or a piece of; without a closing line it ends there."""
    first = last = index
    while not blocks[first].gap:
        first -= 1
    while last + 1 < len(blocks) and blocks[last + 1].kind is BlockKind.CODE and not blocks[last + 1].gap:
        last += 1
    begins, ends = line_starts(source, blocks, first), line_starts(source, blocks, last)
    if not begins or not ends:
        return None
    if begins[0] == len(source) and not source.endswith("\n"):
        return Unit(source.rfind("\n") + 1, *[len(source)] * 3)
    inner = source.rfind("\n", 0, begins[0]) + 1
    start = source.rfind("\n", 0, inner - 1) + 1
    fence = open_fence(source[start : inner - 1])
    inner_end = _line_end(source, ends[-1])
    if fence is None:
        return None
    if first == last and not blocks[first].text and fence.closes(source[inner:inner_end]):
        return Unit(start, inner, inner, inner_end)
    end = _line_end(source, inner_end + 1)
    return Unit(start, inner, inner_end, end if fence.closes(source[inner_end + 1 : end]) else inner_end)


def _line_end(source: str, at: int) -> int:
    return len(source) if (end := source.find("\n", at)) < 0 else end


def _plain_starts(source: str, blocks: Sequence[Block], index: int) -> list[int]:
    at = 0
    for block in blocks[:index]:
        at += len(block.text)
        at += source.startswith("\n", at)
    text = blocks[index].text
    return [at, *(at + k + 1 for k, char in enumerate(text) if char == "\n")] if source.startswith(text, at) else []
