"""Siblings that continue a reply where it ended."""

from __future__ import annotations

import msgspec
import pytest

from app.domain.conversation import Message, ReplyState, Role, UserMessage
from app.domain.errors import ForkError
from app.domain.generation import FinishReason
from app.domain.trace import ReplyTrace
from app.session.reply_prefix import NOTHING, continuation_of
from app.store.store import Store
from tests.fakes.engine_events import make_token
from tests.fakes.scripts import reply
from tests.unit.session.session_helpers import all_of, session_with, siblings, stored_branch, with_reply


async def test_a_reply_that_hit_a_limit_continues_with_all_its_tokens(store: Store):
    session, engine = session_with(store, reply("one two", finish=FinishReason.LENGTH), " three four")
    await all_of(session.send(UserMessage("count")))
    old = session.branch[-1]
    assert old.is_cut_short
    await all_of(session.continue_reply(old))
    first, second = engine.requests
    assert (second.messages, second.reply_ids, second.reply_text) == (first.messages, (100, 101), "")
    new = session.branch[-1]
    assert (new.content, new.state, new.is_cut_short) == ("one two three four", ReplyState.DONE, False)
    assert await siblings(session, new) == [old, new]
    assert await stored_branch(store, session) == session.branch
    trace = session.trace(new.id)
    assert trace
    assert "".join(token.text for token in trace.tokens[:-1]) == new.content


async def test_the_token_that_ended_it_is_left_out_and_text_stands_in_for_lost_tokens(store: Store):
    session, engine, old = await with_reply(store, " four", " five")
    await all_of(session.continue_reply(old))
    assert engine.requests[1].reply_ids == (100, 101, 102)
    session.settings = msgspec.structs.replace(session.settings, model_name="another")
    await all_of(session.continue_reply(old))
    assert (engine.requests[2].reply_ids, engine.requests[2].reply_text) == ((), "one two three")
    assert session.branch[-1].content == "one two three five"
    with pytest.raises(ForkError, match="only a reply"):
        await all_of(session.continue_reply(session.branch[0]))


@pytest.mark.parametrize(
    ("content", "n_kept", "text"),
    [("so 🌊", 4, ""), ("so ", 2, ""), ("so", 1, ""), ("", 0, ""), ("so 🌊 it", 1, " 🌊 it")],
)
def test_a_character_of_several_tokens_stays_whole(content: str, n_kept: int, text: str):
    sizes = [("so", 2), (" <0xF0><0x9F>", 1), ("<0x8C>", 0), ("<0x8A>", 4)]
    trace = ReplyTrace(
        tokens=tuple(msgspec.structs.replace(make_token(t, i), n_bytes=n) for i, (t, n) in enumerate(sizes))
    )
    message = Message(id=2, conversation_id=1, parent_id=1, role=Role.ASSISTANT, content=content, created_ms=0)
    prefix = continuation_of(message, trace, "any")
    assert (len(prefix.tokens), prefix.text) == (n_kept, text)
    assert prefix.kept + prefix.text == content
    assert (prefix == NOTHING) == (not content)
