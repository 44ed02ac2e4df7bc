"""One message of the transcript: its speaker and styles, its blocks, which are laid out, and their heights."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from enum import Enum, auto
from itertools import accumulate

from app.domain.generation import Thinking
from app.domain.text import safe_text
from app.tui.markdown.blocks import Block, BlockKind, Splitter
from app.tui.markdown.lines import Line, LineBuilder, Span
from app.tui.markdown.render import render
from app.tui.markdown.styles import MarkdownStyles
from app.tui.transcript.fold import fold_blocks
from app.tui.transcript.pieces import plain_pieces

GUTTER = 2


class Voice(Enum):
    """Who speaks: decides the gutter, and whether the text is Markdown."""

    USER = auto()
    ASSISTANT = auto()
    SYSTEM = auto()
    NOTICE = auto()


@dataclass(frozen=True, slots=True)
class EntryStyle:
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


LONG_TAIL = 6000
LAG = 40
"""An unfinished block longer than LONG_TAIL is rendered again only when it grew by 1/LAG: n log n, not n²."""


_AWAITED = Block(BlockKind.PLAIN, "…")


@dataclass(slots=True)
class EntryPart:
    """A block, and its lines once it was seen."""

    block: Block
    height: int = 0
    lines: list[Line] | None = None


class Entry:
    """A message. Until `open`ed it is one estimated height; then it has parts, each laid out when first seen."""

    def __init__(
        self, voice: Voice, source: str = "", message_id: int | None = None, thinking: Thinking | None = None
    ) -> None:
        """`message_id` is None for what is no message; `thinking`: where that is in `source`."""
        self.voice = voice
        self.source = source
        self.message_id = message_id
        self.parts: list[EntryPart] = []
        self.is_open = False
        self.note: Block | None = None
        self.label = ""
        """Which version of the reply this is; stands before the note."""
        self.height = 0
        self.thinking = thinking
        self.shows_thinking = False
        self.n_head = 0
        """Parts before the answer: the line above the thinking, and the thinking if it is shown."""
        self._tops: list[int] = []
        self._splitter: Splitter | None = None
        self._n_split: int = 0
        """Where the text of the splitter begins in `source`."""
        self._n_fed: int = 0
        """Where it ends."""

    @property
    def answer_from(self) -> int:
        """Where the answer begins in `source`."""
        return min(self.thinking.answer, len(self.source)) if self.thinking else 0

    @property
    def shown_from(self) -> int:
        """Where what is shown begins in `source`."""
        return self.thinking.start if self.thinking and self.shows_thinking else self.answer_from

    def start_of(self, part: int) -> int:
        """Returns where the text that a part is split from begins in `source`."""
        return self.thinking.start if self.thinking and part < self.n_head else self.answer_from

    def toggle_thinking(self, width: int) -> bool:
        """Shows the thinking, or hides it; returns False if there is none. The answer keeps its lines."""
        if not fold_blocks(self.source, self.thinking, is_open=False, is_running=False):
            return False
        self.shows_thinking = not self.shows_thinking
        if self.is_open:
            self._set_head(width)
        else:
            self.estimate(width)
        return True

    @property
    def n_laid(self) -> int:
        """Parts that have lines."""
        return sum(part.lines is not None for part in self.parts)

    def estimate(self, width: int) -> None:
        """Forgets all lines; guesses the height of what is there, and of each part if open."""
        if not self.is_open:
            self.height = _guess(self.source[self.shown_from :], width) + 1 + (self._foot is not None) * 2
            return
        for part in self.parts:
            part.lines = None
            part.height = _guess(part.block.text, width) + part.block.gap
        self._sum()

    def open(self, width: int) -> None:
        """Splits the text into parts."""
        blocks = _plain_blocks(self.source)
        if self.voice is Voice.ASSISTANT:
            splitter = Splitter()
            splitter.feed(safe_text(self.source[self.answer_from :]))
            splitter.finish()
            blocks = splitter.blocks
        self._set_blocks(0, blocks, width)
        self._set_head(width)
        self._set_foot()
        self.is_open = True
        self.estimate(width)

    def begin(self, width: int) -> None:
        """Opens it for text that is still to come."""
        self._splitter = Splitter()
        self.is_open = True
        self.feed("", width)

    def feed(self, text: str, width: int) -> None:
        """Adds streamed text to the last part; set `thinking` before."""
        if self._splitter is None:
            return
        self.source += text
        splitter, start = self._splitter_from(self.answer_from), self._n_fed
        if splitter.n_tail > LONG_TAIL and (len(self.source) - start) * LAG < splitter.n_tail:
            return
        first = splitter.feed(safe_text(self.source[start:]))
        self._n_fed = len(self.source)
        self._set_blocks(first, splitter.blocks or ([] if self.thinking else [_AWAITED]), width)
        self._set_head(width)

    def _splitter_from(self, start: int) -> Splitter:
        """The splitter of the text from `start` on: another one if it has other text."""
        if self._splitter is None or (start != self._n_split and self._n_fed > self._n_split):
            self._splitter = Splitter()
            del self.parts[self.n_head :]
        if start != self._n_split:
            self._n_split = self._n_fed = start
        return self._splitter

    def finish(self, note: Block | None, width: int) -> None:
        """Takes the text as complete. Unchanged blocks keep their lines."""
        if self._splitter is None:
            return
        splitter = self._splitter_from(self.answer_from)
        first = min(splitter.feed(safe_text(self.source[self._n_fed :])), splitter.finish())
        self._set_blocks(first, splitter.blocks, width)
        self._splitter = None
        self._set_head(width)
        self.note = note
        self._set_foot()
        self._sum()

    def place(self, row: int) -> tuple[int, int]:
        """Returns the part at a row of this entry and the row within that part (beyond its end: the blank last row)."""
        index = max(0, bisect_right(self._tops, row) - 1)
        return index, row - (self._tops[index] if self._tops else 0)

    def top_of(self, part: int) -> int:
        """Returns the row of this entry where a part begins."""
        return self._tops[part] if part < len(self._tops) else 0

    def height_of(self, part: int) -> int:
        """Returns the rows of a part; 0 if there is none."""
        return self.parts[part].height if part < len(self.parts) else 0

    def lay(self, index: int, look: EntryStyle) -> int:
        """Lays out a part if it is not; returns by how much the height grew."""
        part = self.parts[index] if index < len(self.parts) else None
        if part is None or part.lines is not None:
            return 0
        gutter = look.gutter(self.voice, is_first=index == 0)
        lines = render(part.block, look.width, look.styles, gutter)
        if index and part.block.gap and lines:
            blank = LineBuilder(look.width, look.styles.base, gutter)
            blank.blank()
            lines = [*blank.lines, *lines]
        grown = len(lines) - part.height
        part.lines, part.height = lines, len(lines)
        if grown:
            self._sum()
        return grown

    def line(self, row: int) -> Line | None:
        """Returns the line at a row, if it is laid out and there is one."""
        if not self.parts:
            return None
        index, row = self.place(row)
        lines = self.parts[index].lines
        return lines[row] if lines is not None and row < len(lines) else None

    def _set_head(self, width: int) -> None:
        """Puts what stands before the answer in the place of what stood there."""
        is_running = self._splitter is not None and self.answer_from == len(self.source)
        head = fold_blocks(self.source, self.thinking, is_open=self.shows_thinking, is_running=is_running)
        if [part.block for part in self.parts[: self.n_head]] != head:
            self.parts[: self.n_head] = [EntryPart(block, _guess(block.text, width) + block.gap) for block in head]
            if bool(head) != bool(self.n_head):
                for part in self.parts[len(head) :]:
                    part.lines = None  # the first part has another gutter
            self.n_head = len(head)
            self._sum()

    def _set_blocks(self, first: int, blocks: list[Block], width: int) -> None:
        """Sets the parts of the answer from the block `first` on."""
        old = self.parts[self.n_head + first :]
        del self.parts[self.n_head + first :]
        for k, block in enumerate(blocks[first:]):
            same = k < len(old) and old[k].block == block
            self.parts.append(old[k] if same else EntryPart(block, _guess(block.text, width) + block.gap))
        self._sum()

    def set_label(self, label: str, width: int) -> None:
        """Puts another label before the note; while text still comes it waits for the end."""
        before, self.label = self._foot, label
        if not self.is_open:
            self.estimate(width)
        elif self._splitter is None:
            if before is not None:
                self.parts.pop()
            self._set_foot()
            self._sum()

    @property
    def _foot(self) -> Block | None:
        if not self.label:
            return self.note
        kind, text = (self.note.kind, f"{self.label} · {self.note.text}") if self.note else (BlockKind.NOTE, self.label)
        return Block(kind, text)

    def _set_foot(self) -> None:
        if (foot := self._foot) is not None:
            self.parts.append(EntryPart(foot, 2))

    def _sum(self) -> None:
        self._tops = [0, *accumulate(part.height for part in self.parts)]
        self.height = max(1, self._tops.pop()) + 1


def note_block(text: str, *, failed: bool = False) -> Block:
    """Returns the line under a reply that says how it ended."""
    return Block(BlockKind.FAILURE if failed else BlockKind.NOTE, safe_text(text))


def _guess(text: str, width: int) -> int:
    return len(text) // max(10, width - GUTTER - 6) + text.count("\n") + 1


def _plain_blocks(text: str) -> list[Block]:
    text = text.removesuffix("\n")
    return [Block(BlockKind.PLAIN, piece, gap=False) for piece in plain_pieces(text)] if text else []
