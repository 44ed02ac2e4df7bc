"""When a draft's tokens are asked for, and what is said of them; the clock is the test's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from app.domain.generation import ContextPolicy, PromptSpans
from app.protocol.events import PromptFit
from app.session.budget import Budget
from app.tui.chat.budget import PAUSE_S, BudgetNote, BudgetWatch, words


def budget(n_turn: int, n_history: int = 0, *, n_messages: int = 0, n_tokens: int = 0, shifts: bool = False) -> Budget:
    return Budget(1000, PromptFit(PromptSpans(10, n_history, n_turn), n_messages, n_tokens, shifts))


@pytest.mark.parametrize(
    ("asked", "policy", "reported"),
    [
        (budget(37), "stop", BudgetNote(("37 tokens · 953 left", "953 left"))),
        (budget(1), "stop", BudgetNote(("1 token · 989 left", "989 left"))),
        (
            budget(40, 701),
            "stop",
            BudgetNote(
                ("40 tokens · 249 left, then the reply ends", "40 tokens · only 249 left", "only 249 left"), True
            ),
        ),
        (
            budget(40, 701, shifts=True),
            "shift",
            BudgetNote(
                (
                    "40 tokens · 249 left, then the oldest half is forgotten",
                    "40 tokens · only 249 left",
                    "only 249 left",
                ),
                True,
            ),
        ),
        (
            budget(40, 950),
            "stop",
            BudgetNote(
                (
                    "does not fit: 1,000 tokens, the window holds 1,000: no reply",
                    "does not fit: 1,000 of 1,000 tokens",
                    "does not fit",
                ),
                True,
            ),
        ),
        (
            budget(1500, n_messages=4, n_tokens=300),
            "drop-oldest-turns",
            BudgetNote(
                (
                    "does not fit: even without the oldest turns 1,510 tokens, the window holds 1,000: no reply",
                    "does not fit: 1,510 of 1,000 tokens",
                    "does not fit",
                ),
                True,
            ),
        ),
        (
            budget(40, 300, n_messages=4, n_tokens=1300),
            "drop-oldest-turns",
            BudgetNote(
                (
                    "does not fit: the 4 oldest messages (1,300 tokens) left out · 40 tokens · 650 left",
                    "does not fit: 4 oldest left out · 650 left",
                    "4 oldest left out",
                ),
                True,
            ),
        ),
    ],
)
def test_the_words(asked: Budget, policy: ContextPolicy, reported: BudgetNote) -> None:
    assert words(asked, policy) == reported


def test_a_small_limit_of_the_reply_needs_little_room() -> None:
    spans = PromptSpans(10, 900, 40)
    assert not Budget(1000, PromptFit(spans), max_tokens=50).tight
    assert Budget(1000, PromptFit(spans), max_tokens=51).tight


class _Call:
    def __init__(self, call: Callable[[], None]) -> None:
        self.call = call
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Watched:
    """A watch whose clock and engine are turned by hand."""

    def __init__(self) -> None:
        self.draft = ""
        self.state: object | None = "idle"
        self.shown: BudgetNote | None = None
        self.asked: list[tuple[str, asyncio.Future[BudgetNote | None]]] = []
        self._calls: list[_Call] = []
        self._tasks: list[asyncio.Task[object]] = []
        self.watch = BudgetWatch(self, lambda work: self._tasks.append(asyncio.ensure_future(work)), self._later)
        self.watch.look()

    def _later(self, seconds: float, call: Callable[[], None]) -> _Call:
        assert seconds == PAUSE_S
        self._calls.append(_Call(call))
        return self._calls[-1]

    def show(self, note: BudgetNote | None) -> None:
        self.shown = note

    async def ask(self, text: str) -> BudgetNote | None:
        self.asked.append((text, asyncio.get_running_loop().create_future()))
        return await self.asked[-1][1]

    def write(self, text: str) -> None:
        self.draft = text
        self.watch.typed()

    async def pause(self) -> None:
        """What the clock holds comes due."""
        calls, self._calls = self._calls, []
        for call in calls:
            if not call.cancelled:
                call.call()
        await asyncio.sleep(0)

    async def answer(self, reported: BudgetNote | None) -> None:
        """The newest question is answered."""
        self.asked[-1][1].set_result(reported)
        for _ in range(3):
            await asyncio.sleep(0)

    @property
    def texts(self) -> list[str]:
        return [text for text, _ in self.asked]


ONE, TWO = BudgetNote(("one",)), BudgetNote(("two",))


async def test_only_the_last_of_several_keys_is_asked_about() -> None:
    watched = Watched()
    for text in ("H", "Hi", "Hi!"):
        watched.write(text)
    assert watched.texts == []
    await watched.pause()
    assert watched.texts == ["Hi!"]
    await watched.answer(ONE)
    assert watched.shown == ONE
    watched.write("Hi")
    assert watched.shown is None


async def test_nothing_is_asked_about_a_blank_draft_or_a_busy_engine() -> None:
    watched = Watched()
    watched.write(" \n")
    await watched.pause()
    watched.state = None
    watched.watch.look()
    watched.write("Hi")
    await watched.pause()
    assert watched.texts == []
    watched.state = "idle"
    watched.watch.look()
    await watched.pause()
    assert watched.texts == ["Hi"]


async def test_an_engine_that_is_busy_when_the_pause_ends_is_not_asked() -> None:
    watched = Watched()
    watched.write("Hi")
    watched.state = None
    await watched.pause()
    assert watched.texts == []


async def test_a_newer_draft_waits_for_the_answer_and_takes_its_place() -> None:
    watched = Watched()
    watched.write("Hi")
    await watched.pause()
    watched.write("Hi you")
    await watched.pause()
    assert watched.texts == ["Hi"]
    await watched.answer(ONE)
    assert watched.shown is None
    assert watched.texts == ["Hi", "Hi you"]
    await watched.answer(TWO)
    assert watched.shown == TWO


async def test_an_answer_that_comes_after_a_change_is_not_shown() -> None:
    watched = Watched()
    watched.write("Hi")
    await watched.pause()
    watched.state = "another preset"
    await watched.answer(ONE)
    assert watched.shown is None
    watched.watch.look()
    await watched.pause()
    assert watched.texts == ["Hi", "Hi"]
    await watched.answer(None)
    assert watched.shown is None


async def test_an_answer_about_a_draft_that_has_silently_changed_is_not_shown() -> None:
    watched = Watched()
    watched.write("Hi")
    await watched.pause()
    watched.draft = "Hi you"
    await watched.answer(ONE)
    assert watched.shown is None
    assert watched.texts == ["Hi", "Hi you"]


async def test_nothing_is_asked_after_the_end() -> None:
    watched = Watched()
    watched.write("Hi")
    watched.watch.end()
    await watched.pause()
    assert watched.texts == []


def test_a_count_of_a_part_is_said_to_be_one():
    most = Budget(1000, PromptFit(PromptSpans(0, 0, 1987)), at_least=True)
    assert words(most, "stop").forms[0] == "does not fit: at least 1,900 tokens, the window holds 1,000: no reply"
    some = Budget(100_000, PromptFit(PromptSpans(0, 0, 49_812)), at_least=True)
    assert words(some, "stop") == BudgetNote(
        ("at least 49,000 tokens, the window holds 100,000", "at least 49,000 tokens"), warns=True
    )
