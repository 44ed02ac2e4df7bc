"""`ReplyTokens`: the generated tokens of a reply as text, under a cursor and a tint, with rejected drafts if wished."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.trace import TokenTrace
from app.tui.tokens.layout import is_bytes, is_control, piece_of
from app.tui.tokens.text import TokenText
from app.tui.tokens.tint import Mark, Tint, Typical, legend, mark
from app.tui.widgets.line import Line


class ReplyTokens(TokenText):
    """Show a reply with `show`, again and again while it grows: only what is new is laid out."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._tokens: Sequence[TokenTrace] = ()
        self._typical = Typical()
        self._tint = Tint.NONE
        self._ghosts = False

    def show(self, tokens: Sequence[TokenTrace], cursor: int | None = None) -> None:
        """Shows a reply's tokens. Where they go on from those that are shown, the cursor stays unless it follows.

        `cursor`: the token to put it on; without one it begins on the first, or on the last if it follows.
        """
        before, self._tokens = self._tokens, tokens
        n = len(before)
        grows = bool(n) and len(tokens) >= n and tokens[0] == before[0] and tokens[n - 1] == before[n - 1]
        if not grows:
            self._typical = Typical()
        self._measure()
        if grows:
            self._extend([piece_of(token, ghosts=self._ghosts) for token in tokens[n:]])
            if cursor is not None:
                self.move_to(cursor)
            return
        begin = len(tokens) - 1 if self.follow else 0
        self._show([piece_of(token, ghosts=self._ghosts) for token in tokens], begin if cursor is None else cursor)

    @property
    def tokens(self) -> Sequence[TokenTrace]:
        """What is shown."""
        return self._tokens

    @property
    def token(self) -> TokenTrace | None:
        """The token under the cursor."""
        return self._tokens[self.cursor] if 0 <= self.cursor < len(self._tokens) else None

    @property
    def tint(self) -> Tint:
        """What the tokens are marked by."""
        return self._tint

    @tint.setter
    def tint(self, tint: Tint) -> None:
        self._tint = tint
        self._measure()
        self.relay()

    @property
    def ghosts(self) -> bool:
        """Whether rejected drafts are shown where they would have stood."""
        return self._ghosts

    @ghosts.setter
    def ghosts(self, ghosts: bool) -> None:
        self._ghosts = ghosts
        self._show([piece_of(token, ghosts=ghosts) for token in self._tokens], self.cursor)

    @property
    def legend(self) -> Line:
        """What the marks mean; empty without a tint and without ghosts."""
        line = legend(self._tint, self._typical.ms)
        return (*line, ("⟨x⟩", "ghost"), (" rejected", "text")) if self._ghosts else line

    def role_of(self, token: int) -> str:
        """See `TokenText`: a tint's role goes before that of a control token."""
        shown = self._tokens[token]
        if self._tint is not Tint.NONE:
            return mark(shown, self._tint, self._typical.ms).role
        return "control" if is_control(shown) else "dim" if is_bytes(shown.text) else "text"

    def mark_of(self, token: int) -> Mark:
        """See `TokenText`."""
        return mark(self._tokens[token], self._tint, self._typical.ms)

    @property
    def has_marks(self) -> bool:
        """See `TokenText`."""
        return self._tint is not Tint.NONE

    def _measure(self) -> None:
        if self._tint is not Tint.LATENCY:
            return
        before = self._typical.ms
        self._typical.take(self._tokens)
        if self._typical.ms != before:
            self._strips.clear()
