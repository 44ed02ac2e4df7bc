"""How many tokens of the window an opened conversation takes."""

from __future__ import annotations

from app.analysis.meter import RunMeter
from app.domain.conversation import GenerationRecord, Message, Role, n_tokens
from app.domain.generation import FinishReason, Usage
from app.tui.panels.sections import sections
from app.tui.panels.status import status
from tests.fakes.engine_events import make_ready


def message(role: Role, record: GenerationRecord | None = None) -> Message:
    return Message(id=1, conversation_id=1, parent_id=None, role=role, content="", created_ms=0, generation=record)


RECORD = GenerationRecord(
    model="tiny",
    preset="balanced",
    seed=1,
    finish_reason=FinishReason.STOP,
    usage=Usage(n_prompt=100, n_cached=40, n_generated=30),
    n_shifted_tokens=5,
)


def test_the_last_reply_shows_the_tokens() -> None:
    branch = [message(Role.USER), message(Role.ASSISTANT, RECORD)]
    assert n_tokens([], "tiny") == 0
    assert n_tokens(branch, "tiny") == 125
    assert n_tokens(branch, "another") is None
    assert n_tokens([message(Role.USER), message(Role.ASSISTANT)], "tiny") is None


def test_an_opened_conversation_takes_its_part_of_the_window() -> None:
    meter, model = RunMeter(), make_ready()
    meter.reset(n_history=125)
    assert meter.context(model.n_ctx).n_history == meter.context(model.n_ctx).n_used == 125


def test_what_nobody_counted_is_not_reported() -> None:
    meter, model = RunMeter(), make_ready()
    meter.reset(None)
    assert "ctx –" in "".join(text for text, _ in status(meter, model, 100))
    (context,) = [section for section in sections(meter, model, 40) if section.name == "context"]
    assert "".join(text for text, _ in context.forms[0][0]).split() == ["CONTEXT", "–"]
