"""Merging under lag: exact totals, order kept, nothing merged over another event."""

import asyncio

from app.client.mailbox import Mailbox
from app.protocol.events import PrefillProgress, TokensGenerated
from tests.fakes.engine_events import make_finished, make_token


def delta(index: int) -> TokensGenerated:
    return TokensGenerated(1, f" {index}", (make_token(f" {index}", index, n_top=2),))


async def test_a_reader_that_keeps_up_gets_the_very_events():
    box = Mailbox()
    for index in range(3):
        event = delta(index)
        box.put(event)
        assert await box.get() is event


async def test_adjacent_deltas_merge_and_nothing_else_does():
    box = Mailbox()
    progress, end = PrefillProgress(1, 1, 2, 1.0), make_finished(n_generated=4)
    for event in (progress, progress, delta(0), delta(1), delta(2), end):
        box.put(event)
    assert await box.get() == progress
    assert await box.get() == progress
    merged = await box.get()
    assert merged.text == " 0 1 2"
    assert merged.tokens == tuple(delta(index).tokens[0] for index in range(3))
    assert await box.get() == end


async def test_get_waits_for_put():
    box = Mailbox()
    reader = asyncio.create_task(box.get())
    await asyncio.sleep(0)
    assert not reader.done()
    box.put(delta(0))
    assert await reader == delta(0)


async def test_ten_thousand_lagging_tokens_become_one_event():
    box = Mailbox()
    for index in range(10_000):
        box.put(delta(index))
    merged = await box.get()
    assert [token.id for token in merged.tokens] == list(range(100, 10_100))
