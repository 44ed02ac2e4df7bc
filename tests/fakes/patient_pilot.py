"""The pilot waits until the app has nothing to do, and not for the clock.

Textual's own wait takes an app for idle once the process has used less than 1 ms of 20 ms, and else goes on for up to a
second, twice for every key: half of these tests' time was spent there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from time import monotonic
from typing import Any

import pytest
from textual import app, pilot
from textual._context import active_app
from textual._styles_cache import StylesCache
from textual.css.stylesheet import Stylesheet

_ROUNDS = 3
"""Rounds of the event loop with nothing else to run, after which it is quiet; other threads and timers do not count."""
_FRAME_S = 0.02
"""More than the 1/60 s in which Textual gathers what it draws."""


async def _quiet(_min_s: float = 0.0, max_s: float = 1.0) -> None:
    loop, end = asyncio.get_running_loop(), monotonic() + max_s
    n_rounds = 0
    while n_rounds < _ROUNDS and monotonic() < end:
        await asyncio.sleep(0)
        n_rounds = 0 if loop._ready else n_rounds + 1  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


def _waits_for_its_frame() -> bool:
    """Whether the app has something to draw, or a size to take, that its timers have not come to yet."""
    running = active_app.get()
    if running._resize_event is not None:  # pyright: ignore[reportPrivateUsage]
        return True
    timer = running.screen._update_timer  # pyright: ignore[reportPrivateUsage]
    return bool(timer._active.is_set())  # pyright: ignore[reportPrivateUsage, reportUnknownMemberType, reportUnknownArgumentType]


async def _drawn(_min_s: float = 0.0) -> None:
    await _quiet()
    if _waits_for_its_frame():
        await asyncio.sleep(_FRAME_S)
        await _quiet()


_parse = Stylesheet._parse_rules  # pyright: ignore[reportPrivateUsage]
_parsed: dict[tuple[Any, ...], Any] = {}


def _parse_once(self: Stylesheet, css: str, *args: Any, **named: Any) -> Any:
    key = css, args, *named.items(), *self._variables.items()  # pyright: ignore[reportPrivateUsage]
    if key not in _parsed:
        _parsed[key] = _parse(self, css, *args, **named)
    return _parsed[key]


@pytest.fixture(autouse=True)
def patient_pilot(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A key is waited for until it is handled, `pilot.pause()` until it is drawn; the same styles are parsed once.

    The cache of what was drawn is emptied after each test: it keeps a thousand widgets' lines alive.
    """
    monkeypatch.setattr(app, "wait_for_idle", _quiet)
    monkeypatch.setattr(pilot, "wait_for_idle", _drawn)
    monkeypatch.setattr(Stylesheet, "_parse_rules", _parse_once)
    yield
    StylesCache.get_inner_outer.cache_clear()
