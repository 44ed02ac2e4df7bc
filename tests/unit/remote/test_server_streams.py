"""The reply of each kind of server, byte by byte, and the table of the manual: what each one reports."""

from __future__ import annotations

import re
from typing import Any

import pytest

from app.domain.generation import FinishReason
from app.domain.remote import RemoteModel
from app.manual import read_topic
from app.protocol.events import GenerationFinished, GenerationStarted, PrefillProgress, TokensGenerated
from app.remote.chunks import read_chunk
from app.remote.describe import describe
from app.remote.http import ServerConnection
from app.remote.payloads import PayloadReader
from app.remote.reply import RemoteReply
from app.remote.servers import server_of
from tests.fakes.http_server import FakeServer, as_json
from tests.fakes.server_streams import STREAMS, ServerStream

HOSTS = {"OpenRouter": "openrouter.ai", "OpenAI": "api.openai.com"}


def events_of(body: bytes, size: int) -> tuple[list[Any], GenerationFinished]:
    ticks = iter(range(10_000))
    reader, reply = PayloadReader(), RemoteReply(1, 7, 4096, lambda: next(ticks) / 100)
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    payloads = [payload for part in parts for payload in reader.feed(part)]
    events = [event for payload in [*payloads, *reader.close()] for event in reply.take(read_chunk(payload))]
    assert reply.complete
    return events, reply.end()


def said(events: list[Any]) -> list[TokensGenerated]:
    return [event for event in events if isinstance(event, TokensGenerated)]


@pytest.mark.parametrize("size", [1, 7, 1 << 20], ids=["byte by byte", "in sevens", "whole"])
@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_a_reply_is_read(stream: ServerStream, size: int) -> None:
    events, end = events_of(stream.body, size)
    assert "".join(event.text for event in said(events)) == "Hé!"
    assert end.finish_reason is FinishReason.STOP
    assert isinstance(events[0], GenerationStarted)
    tokens = [token for event in said(events) for token in event.tokens]
    assert not tokens or sum(token.n_bytes for token in tokens) == len("Hé!".encode())


@pytest.mark.parametrize("name", [name for name in STREAMS if name != "another"])
def test_a_server_is_known(name: str) -> None:
    listed = STREAMS[name].listed
    assert server_of(HOSTS.get(name, "h"), listed["id"], listed.get("owned_by", "")).title == name


def features(stream: ServerStream) -> dict[str, bool]:
    events, end = events_of(stream.body, 1 << 20)
    texts = said(events)
    ours = end.timings.app_clock
    return {
        "prompt tokens": end.usage.n_prompt == 20,
        "cached tokens": end.usage.n_cached == 8,
        "reply tokens": end.usage.n_generated in (2, 3),
        "tokens while it writes": any(event.tokens or event.n_untraced for event in texts),
        "candidates": any(token.top for event in texts for token in event.tokens),
        "ids of tokens": any(token.id >= 0 for event in texts for token in event.tokens),
        "prompt progress": any(isinstance(event, PrefillProgress) for event in events),
        "prefill time": end.timings.prefill_ms > 0 and "prefill_ms" not in ours,
        "decode time": end.timings.decode_ms > 0 and "decode_ms" not in ours,
        "thinking apart": any(event.reasoning for event in texts),
        "what stopped it": end.stop is not None,
    }


def table() -> dict[tuple[str, str], str]:
    """The cells of the manual's tables by server and figure."""
    cells: dict[tuple[str, str], str] = {}
    head: list[str] = []
    text = read_topic("scaling").partition("## What a server reports")[2]
    for line in re.findall(r"^\|.*\|$", text, re.M):
        figure, *row = [cell.strip() for cell in line.strip("|").split("|")]
        if not figure:
            head = row
        elif not figure.startswith("---"):
            cells |= {(server, figure): cell for server, cell in zip(head, row, strict=True)}
    return cells


CELLS = table()


def test_the_table_has_every_server_and_figure() -> None:
    figures = [*features(STREAMS["another"]), "context window"]
    assert set(CELLS) == {(server, figure) for server in STREAMS for figure in figures}


@pytest.mark.parametrize(("server", "figure"), [cell for cell in CELLS if cell[1] != "context window"])
def test_a_cell_of_the_manual_is_true(server: str, figure: str) -> None:
    assert features(STREAMS[server])[figure] == (CELLS[server, figure] == "yes")


@pytest.mark.parametrize("server", STREAMS)
async def test_the_window_of_the_manual_is_what_a_server_lists(server: str) -> None:
    async with FakeServer({"/v1/models": as_json({"data": [STREAMS[server].listed]})}) as fake:
        connection = ServerConnection(RemoteModel(url=fake.url))
        served = await describe(connection, STREAMS[server].listed["id"])
        await connection.close()
    assert (served.n_ctx == 4096) == (CELLS[server, "context window"] == "yes")
