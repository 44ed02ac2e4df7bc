"""Siblings that keep the beginning of a reply."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import msgspec
import pytest

from app.domain.conversation import ReplyState, UserMessage
from app.domain.errors import ForkError
from app.domain.generation import Usage
from app.domain.trace import Origin
from app.protocol.events import GenerationStarted, TokensGenerated
from app.session.events import PrefixRecomputed, ReplyStarted
from app.store.store import Store
from tests.fakes.engine_events import make_token
from tests.fakes.scripts import Reply
from tests.fakes.stored import children
from tests.unit.session.session_helpers import PRESET, all_of, kinds, session_with, siblings, stored_branch, with_reply


async def test_a_fork_is_a_sibling_with_the_kept_tokens_as_prompt(store: Store):
    session, engine, old = await with_reply(store, " zwei drei")
    events = await all_of(session.fork(old, 1))
    assert kinds(events)[:2] == ["ReplyStarted", "GenerationStarted"]
    begun = events[0].message
    assert (begun.content, begun.state, begun.parent_id) == ("one", ReplyState.STREAMING, old.parent_id)
    first, request = engine.requests
    assert (request.messages, request.reply_ids, request.reply_text) == (first.messages, (100,), "")
    assert request.sampling == PRESET.sampling
    asked, new = session.branch
    assert session.branch == await stored_branch(store, session)
    assert (new.content, new.state) == ("one zwei drei", ReplyState.DONE)
    assert new.generation
    assert new.generation.usage == Usage(20, 0, 3)
    assert await siblings(session, new) == [old, new] == await children(store, asked.conversation_id, asked.id)


async def test_its_trace_has_the_kept_tokens_first(store: Store):
    session, _, old = await with_reply(store, " zwei")
    before = session.trace(old.id)
    await all_of(session.fork(old, 2))
    new = session.branch[-1]
    trace = session.trace(new.id)
    assert before
    assert trace
    assert trace.tokens[:2] == before.tokens[:2]
    assert trace.tokens[2] == make_token(" zwei", 0, ms=30.0, n_top=3)
    assert new.content == "one two zwei"
    stored = await store.trace(new.id)
    assert stored
    assert [token.text for token in stored.tokens] == ["one", " two", " zwei", "<|im_end|>"]


async def test_an_alternative_and_a_text_are_forced_and_measured(store: Store):
    session, engine, old = await with_reply(store, " end")
    session.settings = msgspec.structs.replace(
        session.settings,
        preset=msgspec.structs.replace(PRESET, sampling=msgspec.structs.replace(PRESET.sampling, force=("Well",))),
    )
    await all_of(session.fork(old, 1, force_ids=(1002,), text=" or three", n_steps=5))
    request = engine.requests[1]
    assert (request.reply_ids, request.sampling.force, request.reply_text) == ((100,), ("#1002",), " or three")
    assert request.n_steps == 5
    trace = session.trace(session.branch[-1].id)
    assert trace
    assert [(token.text, token.origin) for token in trace.tokens] == [
        ("one", Origin.SAMPLED),
        (" alt2", Origin.FORCED),
        (" or", Origin.FORCED),
        (" three", Origin.FORCED),
        (" end", Origin.SAMPLED),
        ("<|im_end|>", Origin.SAMPLED),
    ]
    assert trace.sampling.force == ("#1002",)
    assert session.branch[-1].content == "one alt2 or three end"


async def test_a_reply_taken_from_its_start_is_forked_as_it_ended(store: Store):
    session, engine = session_with(store, "one two three", " zwei", " drei")
    begun = next(
        event.message for event in await all_of(session.send(UserMessage("q"))) if isinstance(event, ReplyStarted)
    )
    await all_of(session.fork(begun, 1))
    assert session.branch[-1].content == "one zwei"
    session.settings = msgspec.structs.replace(session.settings, model_name="another")
    await session.choose(begun)
    await all_of(session.fork(begun, 2))
    assert (engine.requests[2].reply_ids, engine.requests[2].reply_text) == ((), "one two")


async def test_a_fork_before_the_first_token_is_like_another_reply(store: Store):
    session, engine, old = await with_reply(store, "eins")
    session.settings = msgspec.structs.replace(
        session.settings,
        preset=msgspec.structs.replace(PRESET, sampling=msgspec.structs.replace(PRESET.sampling, force=("Well",))),
    )
    await all_of(session.fork(old, 0))
    assert (engine.requests[1].reply_ids, engine.requests[1].sampling.force) == ((), ("Well",))
    assert session.branch[-1].content == "eins"


async def test_a_fork_of_a_fork_keeps_the_tokens_of_both(store: Store):
    session, engine, old = await with_reply(store, " zwei", " trois")
    await all_of(session.fork(old, 1))
    await all_of(session.fork(session.branch[-1], 2))
    assert engine.requests[2].reply_ids == (100, 100)
    assert session.branch[-1].content == "one zwei trois"


async def test_a_fork_in_the_middle_leaves_what_follows_to_the_old_branch(store: Store):
    session, _, old = await with_reply(store, "then", " zwei")
    await all_of(session.send(UserMessage("more")))
    later = list(session.branch)
    await all_of(session.fork(old, 1))
    assert [message.content for message in session.branch] == ["q", "one zwei"]
    await session.choose(old)
    assert session.branch == later == await stored_branch(store, session)


async def test_a_reply_of_another_branch_can_be_forked(store: Store):
    session, _, old = await with_reply(store, "x", "y", "z", " zwei")
    await all_of(session.send(UserMessage("more")))
    below = session.branch[-1]
    await all_of(session.fork(old, 0))
    assert [message.content for message in session.branch] == ["q", "y"]
    await all_of(session.fork(below, 1))
    assert [message.content for message in session.branch] == ["q", "one two three", "more", "xz"]


async def test_a_reply_of_years_ago_is_forked_from_what_is_stored(store: Store):
    _, _, old = await with_reply(store)
    session, engine = session_with(store, " zwei")
    await session.open_last()
    await all_of(session.fork(old, 1))
    assert engine.requests[0].reply_ids == (100,)
    assert session.branch[-1].content == "one zwei"


@pytest.mark.parametrize(("force_ids", "forced"), [((), ""), ((1003,), " alt3")])
async def test_another_model_reads_the_kept_text_again(store: Store, force_ids: tuple[int, ...], forced: str):
    session, engine, old = await with_reply(store, " fin")
    session.settings = msgspec.structs.replace(session.settings, model_name="another")
    events = await all_of(session.fork(old, 2, force_ids=force_ids, text=" and"))
    assert events[0] == PrefixRecomputed("SmolLM2 135M Instruct")
    request = engine.requests[1]
    assert (request.reply_ids, request.sampling.force) == ((), ())
    assert request.reply_text == f"one two{forced} and"
    new = session.branch[-1]
    assert new.content == f"one two{forced} and fin"
    trace = session.trace(new.id)
    assert trace
    assert [token.origin for token in trace.tokens[:2]] == [Origin.FORCED, Origin.FORCED]
    assert "".join(token.text for token in trace.tokens[:-1]) == new.content


@pytest.mark.parametrize("alternative", ["<|im_end|>", "<0xE2>", ""])
async def test_an_alternative_that_is_no_text_means_nothing_to_another_model(store: Store, alternative: str):
    token = make_token("one", n_top=3)
    top = (token.top[0], msgspec.structs.replace(token.top[1], text=alternative))
    session, engine = session_with(store, Reply(tokens=(msgspec.structs.replace(token, top=top),)))
    await all_of(session.send(UserMessage("q")))
    session.settings = msgspec.structs.replace(session.settings, model_name="another")
    with pytest.raises(ForkError, match="another is loaded"):
        await all_of(session.fork(session.branch[-1], 0, force_ids=(1002,)))
    assert len(engine.requests) == 1
    assert not session.busy


async def test_more_tokens_than_are_known_cannot_be_kept(store: Store):
    session, engine, old = await with_reply(store, "x")
    with pytest.raises(ForkError, match="only 4 tokens of this reply are stored"):
        await all_of(session.fork(old, 5))
    with pytest.raises(ForkError, match="only a reply"):
        await all_of(session.fork(session.branch[0], 0))
    with pytest.raises(ForkError, match="only a reply"):
        await all_of(session.rewrite(session.branch[0], "x"))
    await store.trim_traces(0)
    await all_of(session.regenerate())
    with pytest.raises(ForkError, match="only 0 tokens of this reply are stored"):
        await all_of(session.fork(old, 1))
    assert len(engine.requests) == 2


async def test_a_character_of_several_tokens_is_not_cut(store: Store):
    tokens = [make_token("<0xC3>", 0, n_top=3), make_token("<0xA9>", 1, n_top=3), make_token(" b", 2, n_top=3)]
    tokens[0], tokens[1] = (msgspec.structs.replace(token, n_bytes=n) for token, n in zip(tokens, (0, 2), strict=False))
    session, engine = session_with(store, Reply(tokens=tokens), "x", "y")
    async with aclosing(session.send(UserMessage("q"))) as events:
        async for event in events:
            if isinstance(event, GenerationStarted):
                session._running._turns[0]._journal.add("é b")
    old = session.branch[-1]
    trace = await store.trace(old.id)
    assert trace
    kept = []
    for n_tokens in (1, 2):
        events = await all_of(session.fork(old, n_tokens))
        kept.append(next(event.message.content for event in events if isinstance(event, ReplyStarted)))
    assert (kept, [request.reply_ids for request in engine.requests[1:]]) == (["", "é"], [(100,), (100, 101)])


async def test_the_row_begins_with_what_is_kept_and_typed_before_a_token_comes(store: Store):
    session, engine, old = await with_reply(store, " end", gated=True)
    engine.permit(0)
    async with aclosing(session.fork(old, 1, text=" or typed")) as events:
        async for event in events:
            if isinstance(event, GenerationStarted):
                break
        (_, row) = await stored_branch(store, session)
        assert (row.content, row.state) == ("one or typed", ReplyState.STREAMING)
        assert session.branch[-1].content == "one"
        engine.permit(9)
        async for event in events:
            if isinstance(event, TokensGenerated) and event.text == " end":
                break
        async with asyncio.timeout(5):
            while (await stored_branch(store, session))[-1].content != "one or typed end":
                pass
    (_, done) = await stored_branch(store, session)
    assert (done.content, done.state) == ("one or typed end", ReplyState.STOPPED)


async def test_a_fork_that_never_starts_changes_nothing(store: Store):
    session, engine, old = await with_reply(store)
    before = list(session.branch)
    engine._model = engine._reload = None
    assert kinds(await all_of(session.fork(old, 1))) == ["GenerationFinished"]
    assert session.branch == before == await stored_branch(store, session)


async def test_one_at_a_time(store: Store):
    session, engine, old = await with_reply(store, gated=True)
    async with aclosing(session.fork(old, 1)) as events:
        await anext(events)
        for other in (session.fork(old, 1), session.rewrite(old, "x"), session.parallel(UserMessage("y"), [PRESET])):
            with pytest.raises(RuntimeError):
                await anext(other)
        with pytest.raises(RuntimeError):
            await session.choose(old)
    assert (session.busy, len(engine.requests)) == (False, 2)


async def test_in_memory_it_works_alike():
    session, _, old = await with_reply(None, " zwei", "later")
    await all_of(session.fork(old, 1))
    new = session.branch[-1]
    await all_of(session.send(UserMessage("more")))
    assert [message.content for message in await siblings(session, new)] == ["one two three", "one zwei"]
    await session.choose(old)
    assert [message.content for message in session.branch] == ["q", "one two three"]
    await session.choose(new)
    assert [message.content for message in session.branch] == ["q", "one zwei", "more", "later"]
