"""`PromptFlow`: the tokens of a rendered prompt; control tokens stand out, cached and computed ones are marked."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.trace import PromptToken
from app.tui.inspect.pieces import Piece, is_bytes
from app.tui.inspect.prompt_view import CACHED, FRESH
from app.tui.inspect.tint import Mark
from app.tui.widgets.flow import Flow


class PromptFlow(Flow):
    """Show a prompt with `show`."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._tokens: Sequence[PromptToken] = ()
        self._n_cached = 0

    def show(self, tokens: Sequence[PromptToken], n_cached: int) -> None:
        """Shows a prompt from its beginning; nothing happens when it is the one that is shown."""
        if tokens == self._tokens and n_cached == self._n_cached:
            return
        self._tokens, self._n_cached = tokens, n_cached
        self._show([Piece(token.text) for token in tokens], 0)

    def role_of(self, token: int) -> str:
        """See `Flow`."""
        shown = self._tokens[token]
        return "control" if shown.is_control else "dim" if is_bytes(shown.text) else "text"

    def mark_of(self, token: int) -> Mark:
        """See `Flow`."""
        return CACHED if token < self._n_cached else FRESH

    @property
    def has_marks(self) -> bool:
        """See `Flow`."""
        return True
