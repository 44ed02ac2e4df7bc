"""The worker's way in: urgent commands are announced at once, and no native call outlives the app."""

from __future__ import annotations

import os
import threading

import pytest

from app.engine.process import inbox
from app.engine.process.inbox import Inbox
from app.protocol.codec import encode
from app.protocol.commands import Abort, Command, Pause, Ping, Shutdown


def test_a_ping_is_answered_by_the_reader_and_never_queued() -> None:
    read, write = os.pipe()
    reported: list[Command] = []
    box = Inbox(read, reported.append, lambda command: None)
    os.write(write, encode(Ping()) + encode(Pause(1)))
    assert box.take(wait=True) == [Pause(1)]
    assert reported == [Ping()]


def test_an_urgent_command_is_reported_before_and_after_it_can_be_taken() -> None:
    read, write = os.pipe()
    before: list[Command] = []
    after: list[Command] = []
    box = Inbox(read, before.append, after.append)
    os.write(write, encode(Abort(1)) + encode(Pause(1)))
    assert box.take(wait=True)[0] == Abort(1)
    assert (before, after) == ([Abort(1)], [Abort(1)])


def test_the_end_of_the_input_ends_the_process_whatever_the_loop_does(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    ended = threading.Event()
    codes: list[int] = []

    def leave(code: int) -> None:
        codes.append(code)
        ended.set()

    monkeypatch.setattr(inbox, "_EXIT_GRACE_S", 0.01)
    monkeypatch.setattr(inbox.os, "_exit", leave)
    box = Inbox(read, lambda command: None, lambda command: None)
    os.close(write)
    assert ended.wait(20)  # nobody has taken what was queued
    assert codes == [0]
    assert box.take(wait=True) == [Shutdown()]
