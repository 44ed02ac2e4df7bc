"""Lays tokens out as wrapped text, each written safely. Adding one touches only the last lines."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from rich.cells import cell_len, split_graphemes

from app.domain.text import safe_text
from app.domain.trace import PromptToken, TokenTrace

NEWLINE = "↵"
TAB = "⇥   "
EMPTY = "∅"
_UNSEEN = {code: f"⟨U+{code:04X}⟩" for code in (0x00AD, 0x034F, 0x200B, 0x200C, 0x200D, 0x2060, 0xFE0E, 0xFE0F, 0xFEFF)}
_BYTES = re.compile(r"(?:<0x[0-9A-Fa-f]{2}>)+")


class Piece(NamedTuple):
    """One token as a flow shows it."""

    text: str
    """As in `TokenTrace.text`: not yet safe, its line ends are line ends."""
    ghosts: tuple[str, ...] = ()
    """Texts of rejected drafts in whose place it came."""


def piece_of(token: TokenTrace, *, ghosts: bool = False) -> Piece:
    """Returns a generated token; with `ghosts` the drafts it replaced."""
    return Piece(token.text, tuple(ghost.text for ghost in token.ghosts) if ghosts else ())


def is_bytes(text: str) -> bool:
    """Whether a piece is bytes that are not whole UTF-8, as in `<0xE2>`."""
    return _BYTES.fullmatch(text) is not None


def is_control(token: TokenTrace | PromptToken) -> bool:
    """Whether a token is a control token: it has a name, and lets no byte out into the text."""
    if isinstance(token, PromptToken):
        return token.is_control
    return token.n_bytes == 0 and bool(token.text) and not is_bytes(token.text)


def written(text: str) -> list[str]:
    """Returns a piece as parts to be shown; all but the last end a line. Nothing in them is invisible or unsafe."""
    parts = safe_text(text).split("\n")
    shown = [_seen(part) + NEWLINE for part in parts[:-1]]
    if parts[-1] or not shown:
        shown.append(_seen(parts[-1]) or EMPTY)
    return shown


def _seen(text: str) -> str:
    text = text.replace("\t", TAB).translate(_UNSEEN)
    # A combining mark would join the token before it; on a circle it is a token of its own.
    return f"◌{text}" if text and cell_len(text[0]) == 0 else text


class Fragment(NamedTuple):
    """Part of a token on one line."""

    token: int
    text: str
    width: int
    ghost: bool = False
    """Not the token: what a drafter had put there."""


class TokenTextLayout:
    """Lines of fragments. Lines break before words (a token that begins with a blank), before wide characters, and
    inside a word only where it is wider than a line; the blank at such a break is not shown.

    Attributes:
        lines: the last one may still grow; it may be empty.
    """

    def __init__(self, width: int) -> None:
        # A line end has a column of its own, so that it never takes the last word to the next line.
        self._limit = max(1, width - 1)
        self.lines: list[list[Fragment]] = [[]]
        self._first_line: list[int] = []
        self._used = 0
        self._word = 0
        """Where the last word begins in the last line."""

    @property
    def n_tokens(self) -> int:
        """How many were added."""
        return len(self._first_line)

    @property
    def height(self) -> int:
        """Lines with something on them."""
        return len(self.lines) - (not self.lines[-1])

    def add(self, pieces: Iterable[Piece]) -> int:
        """Adds tokens; returns the first line that changed."""
        changed = len(self.lines) - 1
        for piece in pieces:
            token = self.n_tokens
            self._put_ghosts(token, piece.ghosts)
            self._first_line.append(-1)
            n_ends = piece.text.count("\n")
            for index, part in enumerate(written(piece.text)):
                self._put(token, part)
                if index < n_ends:
                    self._break()
        return changed

    def line_of(self, token: int) -> int:
        """Returns the line on which a token begins."""
        return self._first_line[token]

    def column_of(self, token: int) -> int:
        """Returns the cell at which a token begins on its line."""
        column = 0
        for fragment in self.lines[self.line_of(token)]:
            if fragment.token == token and not fragment.ghost:
                break
            column += fragment.width
        return column

    def token_at(self, line: int, column: int) -> int:
        """Returns the token at a cell; right of a line its last one. There must be tokens."""
        fragments = self.lines[min(max(0, line), self.height - 1)]
        for fragment in fragments:
            if column < fragment.width:
                return fragment.token
            column -= fragment.width
        return fragments[-1].token

    def _put_ghosts(self, token: int, ghosts: tuple[str, ...]) -> None:
        for index, ghost in enumerate(ghosts):
            text = "".join(written(ghost))
            text = ("⟨" if index == 0 else "") + text + ("⟩" if index == len(ghosts) - 1 else "")
            self._put(token, text, ghost=True)

    def _put(self, token: int, text: str, *, ghost: bool = False) -> None:
        width = cell_len(text)
        limit = self._limit + (text.endswith(NEWLINE) and not ghost)
        opens_word = text[0] == " " or text[0] == "⟨" or cell_len(text[0]) == 2 or self._ends_wide()
        if self._used + width > limit and self.lines[-1]:
            if not opens_word and self._word:
                self._carry_word()
                self._put(token, text, ghost=ghost)
                return
            self._break()
            text = _without_blank(text)
            width = cell_len(text)
        if opens_word or not self.lines[-1]:
            self._word = len(self.lines[-1])
        while width > limit:
            cut = _cut(text, self._limit)
            self._append(Fragment(token, text[:cut], cell_len(text[:cut]), ghost))
            self._break()
            text = text[cut:]
            width = cell_len(text)
        if text:
            self._append(Fragment(token, text, width, ghost))

    def _append(self, fragment: Fragment) -> None:
        self.lines[-1].append(fragment)
        self._used += fragment.width
        if not fragment.ghost and self._first_line[fragment.token] < 0:
            self._first_line[fragment.token] = len(self.lines) - 1

    def _break(self) -> None:
        self.lines.append([])
        self._used = self._word = 0

    def _carry_word(self) -> None:
        """Takes the last word to a line of its own."""
        line = self.lines[-1]
        carried = line[self._word :]
        del line[self._word :]
        self._break()
        first = carried[0]
        text = _without_blank(first.text)
        for fragment in [first._replace(text=text, width=cell_len(text)), *carried[1:]]:
            if not fragment.ghost and self._first_line[fragment.token] == len(self.lines) - 2:
                self._first_line[fragment.token] = -1
            self._append(fragment)

    def _ends_wide(self) -> bool:
        line = self.lines[-1]
        return bool(line) and not line[-1].ghost and cell_len(line[-1].text[-1]) == 2


def _without_blank(text: str) -> str:
    return text[1:] if text[0] == " " and text.strip(f" {NEWLINE}") else text


def _cut(text: str, width: int) -> int:
    used = 0
    for start, stop, size in split_graphemes(text)[0]:
        used += size
        if used > width:
            return start or stop
    return len(text)
