"""Forks and rewrites through the session, on the real model in a real worker, with a real store."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import pytest
from msgspec.structs import replace

from app.client.connection import Graces
from app.client.worker_client import WorkerClient
from app.domain.conversation import Message, UserMessage
from app.domain.model import LoadOptions
from app.domain.sampling import Preset, SamplingParams
from app.domain.trace import Origin, ReplyTrace, text_before
from app.protocol.commands import LoadModel
from app.protocol.events import GenerationStarted, ModelReady
from app.session.events import PrefixRecomputed, TurnEvent
from app.session.session import Session
from app.session.turn import TurnSettings
from app.store.store import Store

pytestmark = pytest.mark.model

N_TOKENS = 24
GREEDY = Preset(name="greedy", sampling=SamplingParams(temperature=0, max_tokens=N_TOKENS))


@pytest.fixture
async def session(smollm2: Path, tmp_path: Path) -> AsyncGenerator[Session]:
    client, store = (
        WorkerClient(tmp_path / "log", graces=Graces(abort_s=20.0, exit_s=10.0)),
        await Store.open(tmp_path / "chat.db"),
    )
    try:
        async with aclosing(client.load(LoadModel(str(smollm2), LoadOptions(n_ctx=512, n_slots=1)))) as events:
            assert isinstance([event async for event in events][-1], ModelReady)
        session = Session(client, store, TurnSettings(preset=GREEDY))
        session.settings = replace(session.settings, include_prompt=True)
        yield session
    finally:
        await client.close()
        await store.close()


async def run(session: Session, events: AsyncGenerator[TurnEvent]) -> tuple[list[TurnEvent], Message, ReplyTrace]:
    """Ends with the reply and its trace, whose bytes are the reply's."""
    async with aclosing(events) as stream:
        seen = [event async for event in stream]
    reply = session.branch[-1]
    trace = session.trace(reply.id)
    assert trace is not None
    assert sum(token.n_bytes for token in trace.tokens) == len(reply.content.encode())
    assert session.store is not None
    stored = await session.store.trace(reply.id)
    assert stored is not None
    assert [token.id for token in stored.tokens] == [token.id for token in trace.tokens]
    assert [token.p for token in stored.tokens] == pytest.approx([token.p for token in trace.tokens], abs=1e-7)
    assert stored.prompt == trace.prompt != ()
    return seen, reply, trace


def started(events: list[TurnEvent]) -> GenerationStarted:
    return next(event for event in events if isinstance(event, GenerationStarted))


async def test_a_fork_goes_on_as_the_reply_did_and_computes_one_token(session: Session):
    _, old, before = await run(session, session.send(UserMessage("Name three colours and what they stand for.")))
    assert len(before.tokens) == N_TOKENS
    events, new, after = await run(session, session.fork(old, 10))
    assert started(events).n_prompt - started(events).n_cached == 1
    assert started(events).n_prompt == len(before.prompt) + 10
    assert len(after.tokens) == 10 + N_TOKENS
    assert [token.id for token in after.tokens[:N_TOKENS]] == [token.id for token in before.tokens]
    assert new.content.startswith(old.content)
    assert [token.p for token in after.tokens[:N_TOKENS]] == pytest.approx(
        [token.p for token in before.tokens], abs=0.02
    )


async def test_an_alternative_is_forced_with_the_probability_that_it_had(session: Session):
    _, old, before = await run(session, session.send(UserMessage("Name three colours and what they stand for.")))
    chosen = before.tokens[5].top[2]
    _, new, after = await run(session, session.fork(old, 5, force_ids=(chosen.id,)))
    token = after.tokens[5]
    assert (token.id, token.rank, token.origin) == (chosen.id, 3, Origin.FORCED)
    assert token.p == pytest.approx(chosen.p, abs=0.01)
    assert new.content.startswith(text_before(old.content, before, 5))
    assert after.tokens[:5] == before.tokens[:5]


async def test_a_character_of_several_tokens_may_be_cut_and_is_made_whole(session: Session):
    await run(session, session.send(UserMessage("Say hello.")))
    _, old, before = await run(session, session.rewrite(session.branch[-1], "Naïve 🌊 waves"))
    assert old.content.startswith("Naïve 🌊 waves")
    n_tokens = next(i for i, token in enumerate(before.tokens) if token.n_bytes == 0) + 1
    wave = next(token.id for token in before.tokens[n_tokens:])
    _, new, after = await run(session, session.fork(old, n_tokens, force_ids=(wave,)))
    assert new.content.startswith("Naïve 🌊")
    assert "\ufffd" not in new.content
    assert [token.n_bytes for token in after.tokens[:n_tokens]] == [token.n_bytes for token in before.tokens[:n_tokens]]


async def test_what_another_model_wrote_is_read_again_and_measured(session: Session):
    _, old, before = await run(session, session.send(UserMessage("Name three colours and what they stand for.")))
    session.settings = replace(session.settings, model_name="another")
    session.settings = replace(
        session.settings, preset=replace(GREEDY, sampling=replace(GREEDY.sampling, max_tokens=12))
    )
    events, new, after = await run(session, session.fork(old, 8))
    assert isinstance(events[0], PrefixRecomputed)
    assert new.content.startswith(text_before(old.content, before, 8))
    assert [(token.id, token.origin) for token in after.tokens[:8]] == [
        (token.id, Origin.FORCED) for token in before.tokens[:8]
    ]
    assert [token.p for token in after.tokens[:8]] == pytest.approx([token.p for token in before.tokens[:8]], abs=0.02)


async def test_a_reply_that_hit_its_limit_continues_and_computes_one_token(session: Session):
    asked = UserMessage("Name three colours and what they stand for.")
    whole = replace(GREEDY, sampling=replace(GREEDY.sampling, max_tokens=2 * N_TOKENS))
    session.settings = replace(session.settings, preset=whole)
    _, _, expected = await run(session, session.send(asked))
    session.new()
    session.settings = replace(session.settings, preset=GREEDY)
    _, old, before = await run(session, session.send(asked))
    assert old.is_cut_short
    events, new, after = await run(session, session.continue_reply(old))
    assert started(events).n_prompt == len(before.prompt) + N_TOKENS
    assert started(events).n_prompt - started(events).n_cached == 1
    assert [token.id for token in after.tokens] == [token.id for token in expected.tokens]
    assert new.content.startswith(old.content)
