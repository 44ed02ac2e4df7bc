"""The window of a batch: as large as its longest line can need, and never larger than the usual one."""

from __future__ import annotations

import pytest

from app.cli.batch.lines import Request
from app.cli.batch.run import window_for
from app.domain.conversation import Role
from app.domain.sampling import SamplingParams
from app.protocol.commands import ChatMessage


def request(text: str, max_tokens: int | None) -> Request:
    return Request(0, 1, None, (ChatMessage(Role.USER, text),), SamplingParams(max_tokens=max_tokens))


def test_the_longest_line_decides_by_its_bytes() -> None:
    assert window_for([request("short", 500), request("ä" * 300, 24)], 32768) == 1024 + 64 + 600 + 24


@pytest.mark.parametrize(
    ("requests", "n_ctx_train"),
    [([request("x", 10), request("x", None)], 32768), ([request("x" * 9000, 10)], 32768), ([request("x", 10)], 1024)],
)
def test_the_usual_window_stays_where_it_is_no_larger_or_a_reply_has_no_limit(
    requests: list[Request], n_ctx_train: int
) -> None:
    assert window_for(requests, n_ctx_train) is None


def test_no_request_needs_no_window() -> None:
    assert window_for([], 32768) is None
