"""The context window that a batch needs: a slot for each of many at once takes memory, and time to clear."""

from __future__ import annotations

from collections.abc import Iterable

from app.cli.batching.lines import Request
from app.domain.fit import default_n_ctx

_TEMPLATE = 1024
"""Tokens that a template may write around the messages."""
_MESSAGE = 64
"""Tokens that it may write around each of them."""


def window_for(requests: Iterable[Request], n_ctx_train: int) -> int | None:
    """Tokens that the longest request can take, reply and all; None where the usual window is no larger.

    A token is at least one byte. A request without `max_tokens` may fill any window.
    """
    needed = 0
    for request in requests:
        if request.sampling.max_tokens is None:
            return None
        n_bytes = sum(_MESSAGE + len(message.content.encode(errors="replace")) for message in request.messages)
        needed = max(needed, n_bytes + request.sampling.max_tokens + _TEMPLATE)
    return needed if 0 < needed < default_n_ctx(n_ctx_train) else None
