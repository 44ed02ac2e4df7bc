"""kill -9 of a writer: whatever was acknowledged is there, the file is sound, no reply is left streaming."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.domain.conversation import Message, ReplyState
from app.store.presence import live_folder
from app.store.store import Store

ROOT = Path(__file__).parents[3]
N_KILLS = 30

pytestmark = pytest.mark.skipif(os.name != "posix", reason="fork and SIGKILL are POSIX")


class Writers:
    """Speaks with `store_writer.py`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._pid = 0

    def line(self) -> list[str]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "the writer is gone"
        return line.split()

    def start(self, path: Path) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{path}\n")
        self._process.stdin.flush()
        # The child may speak before its parent has sent its number.
        self.early: list[list[str]] = []
        while (words := self.line())[0] != "child":
            self.early.append(words)
        self._pid = int(words[1])

    def kill(self) -> list[list[str]]:
        os.kill(self._pid, signal.SIGKILL)
        return list(iter(self.line, ["end"]))


@contextmanager
def writers(*arguments: str) -> Iterator[Writers]:
    command = [sys.executable, str(Path(__file__).with_name("store_writer.py")), *arguments]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True, env=env) as process:
        yield Writers(process)
        assert process.stdin
        process.stdin.close()


async def stored(path: Path, conversation_id: int) -> dict[int, Message]:
    store = await Store.open(path)
    assert store.take_notices() == ()
    branch = await store.branch(conversation_id)
    await store.close()
    return {m.id: m for m in branch}


def test_no_acknowledged_write_is_lost(tmp_path: Path):
    path = tmp_path / "chat.db"
    chance = random.Random(20261122)
    n_acknowledged = 0
    with writers() as children:
        for _ in range(N_KILLS):
            children.start(path)
            lines = children.early + [children.line() for _ in range(chance.randrange(1, 25))]
            time.sleep(chance.random() * 0.004)  # so that the kill falls inside a write as often as between two
            lines += children.kill()
            assert lines[0][0] == "begun", lines
            kept = asyncio.run(stored(path, int(lines[0][1])))
            for word, *numbers in lines[1:]:
                check(word, *map(int, numbers), kept=kept)
            n_acknowledged += len(lines)
            assert ReplyState.STREAMING not in {m.state for m in kept.values()}
    assert n_acknowledged > N_KILLS


def check(word: str, message_id: int, n_text: int = 0, *, kept: dict[int, Message]) -> None:
    assert message_id in kept, f"{word} {message_id} lost"
    assert len(kept[message_id].content) >= n_text
    if word == "done":
        assert kept[message_id].state is ReplyState.DONE


def test_a_streaming_reply_is_interrupted_when_its_process_is_dead_and_not_before(tmp_path: Path):
    path = tmp_path / "chat.db"
    with writers("pause") as children:
        children.start(path)
        lines = [*children.early]
        while not lines or lines[-1][0] != "journal":
            lines.append(children.line())
        conversation_id, reply_id = int(lines[0][1]), int(lines[-1][1])
        alive = asyncio.run(stored(path, conversation_id))[reply_id]
        assert (len(alive.content), alive.state) == (250, ReplyState.STREAMING)
        assert len(list(live_folder(path).iterdir())) == 1
        children.kill()
    dead = asyncio.run(stored(path, conversation_id))[reply_id]
    assert (dead.content, dead.state) == (alive.content, ReplyState.INTERRUPTED)
    assert list(live_folder(path).iterdir()) == []
