"""Splits Markdown into blocks, in one go or as it streams; any chunking gives the same blocks.

A block is what can be rendered by itself: a top-level block, one item of a top-level list, or a piece of a fence. Only
the last block can still change, because a CommonMark parser goes down the lines and never back; so finished blocks are
committed and only the tail is parsed again. Lines end at "\\n" alone. Knows no widths, no styles, no terminal.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from app.tui.markdown.dialect import parser
from app.tui.markdown.fence import Fence, is_plain_paragraph, open_fence, shown_part

if TYPE_CHECKING:
    from markdown_it.token import Token

PIECE_LINES = 400
"""Lines of a finished fence that are highlighted together."""
OPEN_PIECE_LINES = 24
"""The same while it is open: what is highlighted again at each flush stays this short."""
_BLANK = " \t\n"
"""What makes a line blank: not form feeds and the like, which str.strip() would take too."""

# What ends with its line, and what a blank line ends; lists, indented code and HTML may still go on after one.
_KINDS = {
    "bullet_list_open": "list",
    "ordered_list_open": "list",
    "heading_open": "line",
    "hr": "line",
    "paragraph_open": "block",
    "blockquote_open": "block",
    "table_open": "block",
    "math": "block",
}
_BLOCKS_ONLY = parser().disable("inline")


class BlockKind(Enum):
    """How a block's text is to be read."""

    MARKDOWN = auto()
    CODE = auto()
    PLAIN = auto()
    FOLD = auto()
    """The line above thinking; `info` is text to end it with, cut on the left to what fits."""
    THINKING = auto()
    NOTE = auto()
    FAILURE = auto()


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a message that is rendered by itself."""

    kind: BlockKind
    text: str
    gap: bool = True
    """A blank line parts it from the block before."""
    info: str = ""
    """What the opening line of a fence says: its language first."""


class _Start(NamedTuple):
    line: int
    kind: str
    gap: bool
    fence: Token | None = None


class Splitter:
    """The blocks of one growing text. `blocks` are the finished ones followed by those of the tail."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._n_done = 0
        self._tail = ""
        self._n_scanned = 0
        self._fence: Fence | None = None
        self._item: _Start | None = None
        """Set while the tail begins with a later item of a list."""

    @property
    def n_tail(self) -> int:
        """Characters that the next text makes it parse again."""
        return len(self._tail)

    def feed(self, text: str) -> int:
        """Adds `text`; returns the index of the first block that may have changed."""
        first = self._n_done
        self._tail += text
        first = min(first, self._advance())
        self.blocks[self._n_done :] = self._tail_blocks(shown_part(self._tail, in_fence=self._fence is not None))
        return first

    def finish(self) -> int:
        """Takes the text as complete; returns the index of the first block that may have changed."""
        first = self._n_done
        if self._tail and not self._tail.endswith("\n"):
            self._tail += "\n"
        first = min(first, self._advance())
        if self._fence is not None:
            first = min(first, self._close_fence(self._fence))
        self.blocks[self._n_done :] = self._tail_blocks(self._tail)
        self._n_done, self._tail, self._item = len(self.blocks), "", None
        return first

    def _advance(self) -> int:
        """Commits what the complete lines settle; returns the index of the first block that it replaced."""
        first = self._n_done
        while True:
            if self._fence is not None:
                fence = self._fence
                self._tail = fence.take_lines(self._tail)
                if not fence.closed:
                    self._commit_open_pieces(fence)
                    return first
                first = min(first, self._close_fence(fence))
            end = self._tail.rfind("\n") + 1
            if end == self._n_scanned:
                return first
            self._n_scanned = end
            if is_plain_paragraph(self._tail[:end]) or not self._commit(end):
                return first

    def _commit(self, end: int) -> bool:
        """Commits all blocks but the last of the tail's complete lines; True if an open fence is what remains."""
        lines = self._tail[:end].split("\n")
        starts = _starts(lines, self._tail[:end], self._item)
        if not starts:
            self._tail, self._n_scanned = self._tail[end:], 0
            return False
        del self.blocks[self._n_done :]
        for start, after in pairwise(starts):
            self.blocks += _blocks(start, lines[start.line : after.line])
        self._n_done = len(self.blocks)
        last = starts[-1]
        if last.kind == "line" or (last.kind == "block" and not lines[-2].strip(_BLANK)):
            self.blocks += _blocks(last, lines[last.line :])
            self._n_done = len(self.blocks)
            self._tail, self._n_scanned, self._item = self._tail[end:], 0, None
            return False
        n_before = sum(len(line) + 1 for line in lines[: last.line])
        self._tail, self._n_scanned = self._tail[n_before:], end - n_before
        self._item = last if last.kind == "item" else None
        if last.fence is None or (fence := open_fence(lines[last.line])) is None:
            return False
        fence.first_block = self._n_done
        self._fence = fence
        self._tail, self._n_scanned = self._tail[len(lines[last.line]) + 1 :], 0
        return True

    def _commit_open_pieces(self, fence: Fence) -> None:
        while len(fence.lines) - fence.n_shown >= OPEN_PIECE_LINES:
            piece = fence.lines[fence.n_shown : fence.n_shown + OPEN_PIECE_LINES]
            del self.blocks[self._n_done :]
            self.blocks.append(_code(piece, fence.info, gap=fence.n_shown == 0))
            self._n_done += 1
            fence.n_shown += OPEN_PIECE_LINES

    def _close_fence(self, fence: Fence) -> int:
        self.blocks[fence.first_block :] = _code_pieces(fence.lines, fence.info)
        self._n_done, self._n_scanned, self._fence, self._item = len(self.blocks), 0, None, None
        return fence.first_block

    def _tail_blocks(self, shown: str) -> list[Block]:
        if self._fence is not None:
            fence = self._fence
            rest = fence.lines[fence.n_shown :]
            if shown:
                rest.append(fence.content(shown))
            return [_code(rest, fence.info, gap=fence.n_shown == 0)] if rest or not fence.n_shown else []
        if is_plain_paragraph(shown):
            return [Block(BlockKind.MARKDOWN, shown.rstrip(_BLANK))]
        lines = shown.split("\n")
        found: list[Block] = []
        starts = _starts(lines, shown, self._item)
        for start, after in pairwise([*starts, _Start(len(lines), "end", gap=False)]):
            found += _blocks(start, lines[start.line : after.line])
        return found


def split(text: str) -> list[Block]:
    """Returns the blocks of a complete text."""
    splitter = Splitter()
    splitter.feed(text)
    splitter.finish()
    return splitter.blocks


def last_code(text: str) -> str | None:
    """Returns the content of the last code block anywhere in a Markdown text."""
    found = [token.content for token in _BLOCKS_ONLY.parse(text) if token.type in ("fence", "code_block")]
    return found[-1] if found else None


def _starts(lines: list[str], text: str, item: _Start | None) -> list[_Start]:
    """Where blocks start in a text that begins at a block's start; `item`: it continues that list item."""
    starts: list[_Start] = []
    for token in _BLOCKS_ONLY.parse(text):
        if token.map is None:
            continue
        line = token.map[0]
        if token.level == 1 and token.type == "list_item_open":
            opens = bool(starts) and starts[-1].kind == "list"
            if opens:
                starts.pop()
            gap = opens or not lines[line - 1].strip(_BLANK)
            if line == 0 and item is not None:
                gap = item.gap
            starts.append(_Start(line, "item", gap))
        elif token.level == 0:
            fence = token if token.type == "fence" else None
            starts.append(_Start(line, _KINDS.get(token.type, "other"), gap=True, fence=fence))
    return starts


def _blocks(start: _Start, lines: list[str]) -> list[Block]:
    if start.fence is not None and (fence := open_fence(lines[0])) is not None:
        content = start.fence.content
        return _code_pieces(content.removesuffix("\n").split("\n") if content else [], fence.info)
    text = "\n".join(lines).rstrip(_BLANK)
    return [Block(BlockKind.MARKDOWN, text, start.gap)]


def _code_pieces(lines: list[str], info: str) -> list[Block]:
    at = range(0, max(1, len(lines)), PIECE_LINES)
    return [_code(lines[k : k + PIECE_LINES], info, gap=k == 0) for k in at]


def _code(lines: list[str], info: str, *, gap: bool) -> Block:
    return Block(BlockKind.CODE, "\n".join(lines), gap, info)
