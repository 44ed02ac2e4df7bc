"""How often a growing reply is written, and that no token waits for it. Time is a list of sleeps that the test ends."""

from __future__ import annotations

import asyncio

import pytest

from app.session.journal import INTERVAL_S, Journal


class Disk:
    """Writes that take until the test says so, and sleeps likewise."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.written: list[str] = []
        self.naps: list[float] = []
        self.fast = True
        self._gates: dict[str, asyncio.Event] = {"write": asyncio.Event(), "sleep": asyncio.Event()}

    async def write(self, text: str) -> None:
        self.begun.append(text)
        if not self.fast:
            await self._gates["write"].wait()
            self._gates["write"].clear()
        self.written.append(text)

    async def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        await self._gates["sleep"].wait()
        self._gates["sleep"].clear()

    async def end(self, what: str) -> None:
        self._gates[what].set()
        await settle()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
async def disk():
    return Disk()


async def test_the_first_text_is_written_at_once_and_the_rest_after_each_interval(disk: Disk):
    journal = Journal(disk.write, disk.sleep)
    journal.add("a")
    await settle()
    for token in "bcd":
        journal.add(token)
        await settle()
    assert (disk.written, disk.naps) == (["a"], [INTERVAL_S])
    await disk.end("sleep")
    assert disk.written == ["a", "abcd"]
    await journal.close()
    assert INTERVAL_S < 0.25


async def test_a_stall_of_the_stream_does_not_delay_what_came_before(disk: Disk):
    journal = Journal(disk.write, disk.sleep)
    journal.add("a")
    await settle()
    journal.add("b")
    await disk.end("sleep")
    assert disk.written == ["a", "ab"]
    await disk.end("sleep")
    await disk.end("sleep")
    assert disk.written == ["a", "ab"]
    await journal.close()


async def test_a_slow_write_holds_up_nothing_and_the_last_text_wins(disk: Disk):
    disk.fast = False
    journal = Journal(disk.write, disk.sleep)
    journal.add("a")
    await settle()
    journal.add("b")
    journal.add("c")
    await settle()
    assert (disk.begun, disk.written, journal.text) == (["a"], [], "abc")
    await disk.end("write")
    await disk.end("sleep")
    assert (disk.begun, disk.written) == (["a", "abc"], ["a"])
    await disk.end("write")
    assert disk.written == ["a", "abc"]
    await journal.close()


async def test_close_waits_for_the_write_in_flight_and_begins_no_other(disk: Disk):
    disk.fast = False
    journal = Journal(disk.write, disk.sleep)
    journal.add("a")
    await settle()
    journal.add("b")
    closing = asyncio.create_task(journal.close())
    await settle()
    assert not closing.done()
    await disk.end("write")
    await closing
    assert (disk.begun, disk.written, journal.text) == (["a"], ["a"], "ab")


async def test_no_text_no_write(disk: Disk):
    journal = Journal(disk.write, disk.sleep)
    journal.add("")
    await settle()
    await journal.close()
    assert disk.begun == []
