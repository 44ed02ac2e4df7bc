"""Results are written in order, as soon as possible, and nothing runs too far ahead."""

from __future__ import annotations

import asyncio
import json

from hypothesis import given
from hypothesis import strategies as st

from app.cli.batch.lines import split_lines
from app.cli.batch.output import Order


@given(st.permutations(range(8)))
def test_any_order_comes_out_as_one(arrival: list[int]) -> None:
    async def run() -> None:
        written: list[int] = []
        order = Order(lambda _, line: written.append(json.loads(line)["n"]), range(8), 8)
        for count, index in enumerate(arrival, 1):
            order.put(index, {"n": index})
            complete = next(i for i in range(9) if i not in arrival[:count])
            assert written == list(range(complete))

    asyncio.run(run())


async def test_a_request_waits_while_it_would_run_too_far_ahead() -> None:
    order = Order(lambda _, line: None, range(5, 9), 2)
    assert await order.room(6)
    waiting = asyncio.ensure_future(order.room(7))
    order.put(6, {})
    await asyncio.sleep(0)
    assert not waiting.done()
    order.put(5, {})
    assert await waiting


async def test_nothing_starts_after_the_end() -> None:
    order = Order(lambda _, line: None, range(2), 1)
    waiting = asyncio.ensure_future(order.room(1))
    await asyncio.sleep(0)
    order.close()
    assert not await waiting
    assert not await order.room(0)


def test_blank_lines_count_in_the_number_only() -> None:
    lines = split_lines(b"\xef\xbb\xbf{}\r\n\n  \n[]")
    assert [(line.index, line.number, line.data) for line in lines] == [(0, 1, b"{}\r"), (1, 4, b"[]")]
