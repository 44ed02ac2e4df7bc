"""Siblings of a reply that begin with a given text."""

from __future__ import annotations

import msgspec
import pytest

from app.domain.conversation import Message, Role, UserMessage
from app.domain.trace import ReplyTrace
from app.protocol.events import TokensGenerated
from app.session.events import ReplyFinished, ReplyStarted
from app.session.reply_prefix import rewrite_of
from app.store.store import Store
from tests.fakes.engine_events import make_token
from tests.fakes.scripts import Reply, reply
from tests.unit.session.session_helpers import PRESET, all_of, session_with, siblings, stored_branch, with_reply


@pytest.mark.parametrize(("dies", "content"), [(True, "typed by hand"), (False, "typed")])
async def test_what_was_typed_survives_the_engine_and_yields_to_a_stop(store: Store, dies: bool, content: str):
    session, engine, old = await with_reply(store, reply("", dies_after=1 if dies else None), gated=True)
    events = session.rewrite(old, "typed by hand")
    engine.permit(2)
    async for event in events:
        if isinstance(event, TokensGenerated):
            break
    if not dies:
        session.stop()
    await all_of(events)
    (_, done) = await stored_branch(store, session)
    assert done.content == content
    trace = await store.trace(done.id)
    assert trace
    assert [token.text for token in trace.tokens] == ["typed"]


async def test_a_rewrite_begins_with_a_text_and_goes_on(store: Store):
    session, engine, old = await with_reply(store, " end")
    session.settings = msgspec.structs.replace(
        session.settings,
        preset=msgspec.structs.replace(PRESET, sampling=msgspec.structs.replace(PRESET.sampling, force=("Well",))),
    )
    events = await all_of(session.rewrite(old, "I say\ud800"))
    request = engine.requests[1]
    assert (request.reply_ids, request.reply_text, request.sampling.force) == ((), "I say?", ())
    assert next(event.message.content for event in events if isinstance(event, ReplyStarted)) == ""
    assert [event.message.content for event in events if isinstance(event, ReplyFinished)] == ["I say? end"]
    assert await siblings(session, old) == [old, session.branch[-1]]


@pytest.mark.parametrize(
    ("text", "n_kept", "forced"),
    [
        ("one two 2", 2, " 2"),
        ("one two", 2, ""),
        ("one two three", 3, ""),
        ("one two three four", 3, " four"),
        ("one tw", 1, " tw"),
        ("one twofold", 1, " twofold"),
        ("zero", 0, "zero"),
        ("", 0, ""),
    ],
)
async def test_a_rewrite_keeps_the_tokens_that_it_begins_with(store: Store, text: str, n_kept: int, forced: str):
    session, engine, old = await with_reply(store, " end")
    events = await all_of(session.rewrite(old, text))
    request = engine.requests[1]
    assert (request.reply_ids, request.reply_text) == ((100, 101, 102)[:n_kept], forced)
    kept = text.removesuffix(forced)
    assert next(event.message.content for event in events if isinstance(event, ReplyStarted)) == kept
    assert session.branch[-1].content == f"{text} end"
    trace = session.trace(session.branch[-1].id)
    assert trace
    assert "".join(token.text for token in trace.tokens[:-1]) == f"{text} end"


async def test_a_rewrite_takes_a_character_of_several_tokens_as_a_whole(store: Store):
    reported_bytes = [("so", 2), (" <0xF0><0x9F>", 1), ("<0x8C>", 0), ("<0x8A>", 4), (" it", 3)]
    made = [msgspec.structs.replace(make_token(text, i), n_bytes=n) for i, (text, n) in enumerate(reported_bytes)]
    trace = ReplyTrace(tokens=tuple(made))
    message = Message(id=2, conversation_id=1, parent_id=1, role=Role.ASSISTANT, content="so 🌊 it", created_ms=0)
    found = [rewrite_of(message, trace, text, "any") for text in ("so 🌊 is", "so 🌊", "so  it", "so 🌊 it on")]
    assert [(beginning.kept, beginning.text) for beginning in found] == [
        ("so", " 🌊 is"),
        ("so", " 🌊"),
        ("so", "  it"),
        ("so 🌊 it", " on"),
    ]


@pytest.mark.parametrize(
    ("text", "thinking"),
    [
        ("<think>so it</think>yes", "so it"),
        ("<think>so it", "so it"),
        ("<think>so", "so"),
        ("no", None),
    ],
)
async def test_kept_thinking_is_thinking_even_if_nothing_follows(store: Store, text: str, thinking: str | None):
    said = ("<think>", "so", " it", "</think>", "yes")
    tokens = [msgspec.structs.replace(make_token(each, i), thinking=i < 4) for i, each in enumerate(said)]
    session, _ = session_with(store, Reply(tokens=tokens), reply("", dies_after=0))
    await all_of(session.send(UserMessage("q")))
    await all_of(session.rewrite(session.branch[-1], text))
    (_, done) = await stored_branch(store, session)
    assert done.content == text
    assert (done.content[done.thinking.start : done.thinking.end] if done.thinking else None) == thinking
