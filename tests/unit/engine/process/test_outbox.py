"""The worker's way out: when tokens are sent, what is gathered, and what a full pipe keeps waiting."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from app.engine.process.outbox import Outbox
from app.protocol.codec import event_decoder
from app.protocol.events import PrefillProgress, TokensGenerated
from tests.fakes.engine_events import make_token


class Pipe:
    """A pipe with an outbox at one end and a clock that only the test turns."""

    def __init__(self) -> None:
        self.now = 100.0
        self._read_fd, self.write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        self.outbox = Outbox(self.write_fd, lambda: self.now)
        self._decoder = event_decoder()

    def read(self) -> list:
        try:
            return self._decoder.feed(os.read(self._read_fd, 1 << 20))
        except BlockingIOError:
            return []

    def close(self) -> None:
        os.close(self._read_fd)
        os.close(self.write_fd)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def token(pipe: Pipe, text: str) -> None:
    pipe.outbox.tokens(1, text, make_token(text, n_top=0))
    pipe.outbox.flush()


def texts(events: list) -> list[str]:
    return [event.text for event in events if isinstance(event, TokensGenerated)]


@pytest.mark.parametrize(("shared", "gap_s"), [(False, 0.010), (True, 0.025)])
def test_the_first_token_is_sent_at_once_and_later_ones_are_gathered(pipe: Pipe, shared: bool, gap_s: float) -> None:
    pipe.outbox.share(shared)
    pipe.outbox.send(PrefillProgress(1, 5, 5, 1.0))
    token(pipe, "a")
    assert texts(pipe.read()) == ["a"]
    for text in "bc":
        pipe.now += gap_s
        token(pipe, text)
    assert pipe.read() == []
    pipe.now += 0.010
    token(pipe, "d")
    assert texts(pipe.read()) == ["bcd"]


def test_an_event_goes_after_the_tokens_before_it(pipe: Pipe) -> None:
    token(pipe, "a")
    token(pipe, "b")
    pipe.outbox.send(PrefillProgress(2, 1, 1, 1.0))
    events = pipe.read()
    assert texts(events[:2]) == ["a", "b"]
    assert isinstance(events[2], PrefillProgress)


def test_what_a_full_pipe_does_not_take_is_sent_later(pipe: Pipe) -> None:
    long = "x" * (1 << 20)
    token(pipe, long)
    received: list = []
    while not received:
        received = pipe.read()
        pipe.outbox.flush()
    assert texts(received) == [long]
