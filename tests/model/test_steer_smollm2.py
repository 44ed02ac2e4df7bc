"""The chat steers the real SmolLM2: held, typed into, forked, several at once; the figures shown are the engine's."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot

from app.client.connection import Graces
from app.client.worker_client import WorkerClient
from app.config.catalogue import load_catalogue
from app.domain.conversation import UserMessage
from app.domain.sampling import Preset, SamplingParams
from app.domain.trace import Origin
from app.tui.app import TokscopeApp
from app.tui.chat.screen import ChatScreen
from app.tui.parallel.column import Column
from app.tui.parallel.plan import PlanDialog
from app.tui.parallel.screen import ParallelScreen
from app.tui.versions.fork import ForkWanted
from app.tui.widgets.bar import Bar
from tests.fakes.chat_app import answered, make_app, ready, reported, until

pytestmark = [pytest.mark.model, pytest.mark.timeout(300)]

LONG = 120.0
N_TOKENS = 12


@asynccontextmanager
async def chatting(folder: Path) -> AsyncGenerator[tuple[TokscopeApp, ChatScreen, Pilot[int]]]:
    """The whole chat over a worker of its own; the preset is greedy."""
    app = make_app(
        folder,
        WorkerClient(folder / "log", graces=Graces(abort_s=20.0, exit_s=10.0)),
        catalogue=load_catalogue(),
        preset="deterministic",
    )
    async with app.run_test(size=(80, 24)) as pilot:
        yield app, await ready(app, LONG), pilot
    await app.close()


async def paused(chat: ChatScreen, n_generated: int) -> None:
    await until(lambda: chat.step.state.paused and chat.step.state.n_generated == n_generated, LONG)


async def test_a_reply_is_stepped_typed_into_and_run_on(tmp_path: Path) -> None:
    async with chatting(tmp_path) as (_, chat, pilot):
        await pilot.press("f4")
        chat.chat.submit(UserMessage("Name three fruits."))
        await paused(chat, 0)
        first = chat.step.state.rows[0]
        assert first.after == 1.0  # greedy leaves one
        await pilot.press("space")
        await paused(chat, 1)
        assert chat.transcript.last_reply() == first.text
        second = chat.step.state.rows[1]
        await pilot.press("down", "enter")
        await paused(chat, 2)
        assert chat.transcript.last_reply() == first.text + second.text
        banned = chat.step.state.rows[0]
        await pilot.press("b")
        await until(lambda: chat.step.state.paused and bool(chat.step.state.banned), LONG)
        await pilot.press("space")
        await paused(chat, 3)
        await pilot.press("t", *" red plums", "enter")
        await until(lambda: chat.step.state.paused and chat.transcript.last_reply().endswith(" red plums"), LONG)
        await pilot.press("r")
        await answered(chat)
        reply = chat.chat.session.branch[-1]
        trace = await chat.chat.session.load_trace(reply.id)
        assert trace is not None
        assert [token.id for token in trace.tokens[:2]] == [first.id, second.id]
        assert [token.origin for token in trace.tokens[:2]] == [Origin.SAMPLED, Origin.FORCED]
        assert trace.tokens[2].id != banned.id
        assert reply.generation is not None
        assert reply.generation.usage.n_generated == len(trace.tokens)


async def test_a_fork_shows_what_the_engine_reused(tmp_path: Path) -> None:
    async with chatting(tmp_path) as (app, chat, _):
        chat.chat.submit(UserMessage("Name three fruits."))
        await until(lambda: len(chat.chat.session.branch) == 2 and not chat.chat.running, LONG)
        old = chat.chat.session.branch[-1]
        trace = await chat.chat.session.load_trace(old.id)
        assert trace is not None
        assert old.generation is not None
        other = trace.tokens[3].top[1]
        chat.run(chat.forking.fork(ForkWanted(old, 3, (other.id,))))
        await until(lambda: chat.chat.session.branch[-1].id != old.id and not chat.chat.running, LONG)
        n_prompt = old.generation.usage.n_prompt
        assert reported(app)[-1] == f"Forked at token 4: reused {n_prompt + 2}, computed 1."
        new = chat.chat.session.branch[-1]
        kept = await chat.chat.session.load_trace(new.id)
        assert kept is not None
        assert [token.id for token in kept.tokens[:4]] == [*(token.id for token in trace.tokens[:3]), other.id]
        assert [message.id for message in (await chat.chat.session.versions([new]))[new.id]] == [old.id, new.id]


async def test_several_replies_stream_at_once_and_one_is_picked(tmp_path: Path) -> None:
    async with chatting(tmp_path) as (app, chat, pilot):
        short = SamplingParams(temperature=1.0, max_tokens=N_TOKENS)
        chat.chat.session.settings = replace(chat.chat.session.settings, preset=Preset(name="short", sampling=short))
        chat.composer.insert("Name a fruit.")
        await pilot.press("f6")
        await until(lambda: isinstance(app.screen, PlanDialog) and app.screen.is_mounted)
        await pilot.press("3", "enter")
        await until(lambda: isinstance(app.screen, ParallelScreen) and not app.screen.running, LONG)
        screen = app.screen
        assert isinstance(screen, ParallelScreen)
        replies = [reply for reply in screen.replies if reply is not None]
        assert len(replies) == 3
        seeds = [reply.generation.seed for reply in replies if reply.generation is not None]
        assert seeds == [seeds[0], seeds[0] + 1, seeds[0] + 2]
        counts = [reply.generation.usage.n_generated for reply in replies if reply.generation is not None]
        assert max(counts) <= N_TOKENS
        figures = [column.reply.meter.n_generated for column in screen.query(Column)]
        assert figures == counts
        assert re.fullmatch(r"3 replies · [\d.]+ tok/s together.*● done", screen.query_one("#together", Bar).text)
        await pilot.press("2")
        await until(lambda: app.screen is chat and not chat.chat.running, LONG)
        assert chat.chat.session.branch[-1].id == replies[1].id
