"""The worker reports which part of a reply is thinking: forced marks, a template that opens the block, a grammar."""

from __future__ import annotations

from itertools import pairwise

import pytest

from app.domain.generation import Thinking
from app.domain.model import LoadOptions
from app.protocol.commands import LoadModel
from app.protocol.events import TokensGenerated
from tests.fakes.smollm2 import smollm2_path
from tests.process.streams import ask, load

pytestmark = pytest.mark.model

OPENS = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant: <think>\n"
FORCED = ("<think>", "a plan", "</think>")


def smollm2(**options) -> LoadModel:
    return LoadModel(str(smollm2_path()), LoadOptions(n_ctx=512, **options))


def text_and_spans(events: list[object]) -> tuple[str, list[Thinking | None]]:
    """The text of a reply and its thinking after each event, without the time."""
    brought = [event for event in events if isinstance(event, TokensGenerated)]
    spans = [
        each and Thinking(each.start, each.end, each.answer, each.n_tokens) for each in (e.thinking for e in brought)
    ]
    return "".join(event.text for event in brought), spans


async def test_a_forced_block_is_thinking_also_for_a_model_without_marks(client) -> None:
    await load(client, smollm2())
    events = await ask(client, force=FORCED, max_tokens=20, temperature=0)
    text, spans = text_and_spans(events)
    last = spans[-1]
    assert last is not None
    assert (text[last.start : last.end], text[: last.answer].rstrip()) == ("a plan", "<think>a plan</think>")
    assert 6 <= last.n_tokens < events[-1].usage.n_generated
    assert all(a is None or (b is not None and a.answer <= b.answer) for a, b in pairwise(spans))
    assert text_and_spans(await ask(client, max_tokens=4))[1][-1] is None


async def test_the_answer_follows_its_grammar_and_the_thinking_before_it_does_not(client) -> None:
    await load(client, smollm2())
    text, spans = text_and_spans(await ask(client, force=FORCED, regex="(red|blue)!", max_tokens=20))
    assert spans[-1] is not None
    assert text[spans[-1].answer :] in ("red!", "blue!")
    whole = await ask(client, force=FORCED, regex="<think>a plan</think>!", max_tokens=20)
    assert text_and_spans(whole) == ("<think>a plan</think>!", [None] * len(text_and_spans(whole)[1])), (
        "a mark of the grammar"
    )


async def test_a_template_may_open_the_block_and_a_reply_may_end_inside(client) -> None:
    await load(client, smollm2(chat_template=OPENS))
    text, spans = text_and_spans(await ask(client, max_tokens=5, temperature=0))
    last = spans[-1]
    assert last is not None
    assert (text[last.start : last.end], last.answer, last.n_tokens) == (text.strip(), len(text), 5)
