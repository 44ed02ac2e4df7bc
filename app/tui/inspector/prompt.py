"""The rendered prompt: its tokens, cached and computed ones marked, and the one under the cursor as lines."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.trace import PromptToken, ReplyTrace
from app.tui.tokens.layout import Piece, is_bytes
from app.tui.tokens.text import TokenText
from app.tui.tokens.tint import Mark
from app.tui.widgets.line import Line, bar, visible

CACHED, FRESH = Mark("░", "history"), Mark("▓", "reply")
"""What stands under a token that was in the KV cache, and under one that was computed."""


def prompt_legend(trace: ReplyTrace) -> Line:
    """Returns what the marks and names mean, with the counts."""
    n, n_cached = len(trace.prompt), min(trace.n_cached, len(trace.prompt))
    return (
        CACHED,
        (f" cached {n_cached:,}  ", "text"),
        FRESH,
        (f" computed {n - n_cached:,}  ", "text"),
        ("<|name|>", "control"),
        (f" control {sum(token.is_control for token in trace.prompt):,}", "text"),
    )


def prompt_lines(trace: ReplyTrace, cursor: int, width: int) -> list[Line]:
    """Returns the totals and the token under the cursor."""
    prompt = trace.prompt
    n, n_cached = len(prompt), min(trace.n_cached, len(prompt))
    n_bytes = sum(token.n_bytes for token in prompt)
    lines: list[Line] = [
        (
            ("PROMPT  ", "title"),
            (f"{n:,}", "value"),
            (f" tokens, {n_bytes:,} bytes, as rendered by the template", "dim"),
        ),
        _part("cached", "found in the KV cache", n_cached, n, CACHED.role, width),
        _part("computed", "read by the model for this reply", n - n_cached, n, FRESH.role, width),
    ]
    if trace.n_kept:
        lines.append(_part("kept", "of them the start of the reply", trace.n_kept, n, FRESH.role, width))
    lines.append(())
    return [*lines, *_token(trace, cursor, n_cached, width)] if 0 <= cursor < n else lines


def _part(name: str, words: str, n: int, total: int, role: str, width: int) -> Line:
    n_bar = max(0, min(30, width - 52))
    return ((f"{name:<9} ", "dim"), (f"{n:>7,} ", "value"), (f"{words:<33} ", "dim"), (bar(n / total, n_bar), role))


def _token(trace: ReplyTrace, cursor: int, n_cached: int, width: int) -> list[Line]:
    prompt = trace.prompt
    token = prompt[cursor]
    offset = sum(each.n_bytes for each in prompt[:cursor])
    place = f"{offset:,} to {offset + token.n_bytes:,}" if token.n_bytes else "none: the tokenizer added it"
    kind = "control token" if token.is_control else "text"
    where = "cached" if cursor < n_cached else "computed"
    n_kept_before = cursor - (len(prompt) - trace.n_kept)
    reply = f"  token {n_kept_before + 1:,} of the reply, kept" if n_kept_before >= 0 else ""
    return [
        (("TOKEN ", "title"), (f"{cursor + 1:,}", "value"), (f" of {len(prompt):,}{reply}", "dim")),
        (("text      ", "dim"), (visible(f"“{token.text}”", width - 10).rstrip(), "value")),
        (("id        ", "dim"), (f"{token.id}", "text"), (f"  {kind}, {where}", "dim")),
        (("bytes     ", "dim"), (place, "text")),
    ]


class PromptTokens(TokenText):
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
        """See `TokenText`."""
        shown = self._tokens[token]
        return "control" if shown.is_control else "dim" if is_bytes(shown.text) else "text"

    def mark_of(self, token: int) -> Mark:
        """See `TokenText`."""
        return CACHED if token < self._n_cached else FRESH

    @property
    def has_marks(self) -> bool:
        """See `TokenText`."""
        return True
