"""Merging under lag: exact totals, order kept, nothing merged over another event."""

import asyncio

from app.client.mailbox import MAX_UNREAD, Backlog, Mailbox, weight
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


def test_an_event_weighs_its_tokens_and_its_text():
    assert weight(PrefillProgress(1, 1, 2, 1.0)) == 1
    assert weight(delta(0)) == 2
    assert weight(TokensGenerated(1, "x" * 2560, ())) == 11


async def test_a_backlog_counts_what_all_its_mailboxes_hold_and_says_when_there_is_room_again():
    n_drained = 0

    def drained() -> None:
        nonlocal n_drained
        n_drained += 1

    backlog = Backlog(drained)
    one, other = Mailbox(backlog), Mailbox(backlog)
    for box in (one, other):
        for index in range(MAX_UNREAD // 4):
            box.put(delta(index))
    assert backlog.full
    await one.get()
    assert (backlog.full, n_drained) == (False, 1)
    other.close()
    one.put(make_finished())
    await one.get()
    assert not backlog._n


async def test_a_reader_of_many_events_lets_others_have_a_turn():
    box, turns = Mailbox(), 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    for _ in range(160):
        box.put(PrefillProgress(1, 1, 2, 1.0))
    for _ in range(160):
        await box.get()
    task.cancel()
    assert turns >= 9
