"""Which reply is inspected, when anything new has come, and what follows from its trace."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from app.domain.conversation import Message, ReplyState, Role
from app.domain.sampling import Preset, SamplingParams
from app.domain.trace import PromptToken, ReplyTrace
from app.session.turn import TurnSettings
from app.tui.inspector.inspection import Inspection, why_empty
from tests.fakes.engine_events import make_eog, make_token


def message(message_id: int, role: Role, state: ReplyState = ReplyState.DONE) -> Message:
    return Message(id=message_id, conversation_id=1, parent_id=None, role=role, content="", created_ms=0, state=state)


class Kept:
    """Two replies; the first one's trace is only stored, the second one's is live."""

    def __init__(self) -> None:
        self.settings = TurnSettings(preset=Preset(name="p"))
        self.branch = [
            message(1, Role.USER),
            message(2, Role.ASSISTANT),
            message(3, Role.USER),
            message(4, Role.ASSISTANT, ReplyState.STREAMING),
        ]
        self.live = ReplyTrace()
        self.stored = ReplyTrace(tokens=(make_token("old"),))

    def trace(self, message_id: int) -> ReplyTrace | None:
        return self.live if message_id == 4 else None

    async def load_trace(self, message_id: int) -> ReplyTrace | None:
        return self.stored if message_id == 2 else self.trace(message_id)

    async def versions(self, shown: Sequence[Message]) -> dict[int, list[Message]]:
        """The first reply is the second of three."""
        others = {2: [message(6, Role.ASSISTANT), *shown, message(9, Role.ASSISTANT)]}
        return {each.id: others.get(each.id, [each]) for each in shown}


async def test_it_begins_with_the_last_reply_and_goes_to_the_others() -> None:
    kept = Kept()
    inspection = Inspection(kept)
    await inspection.open(None)
    assert (inspection.place, inspection.live, inspection.trace) == (1, True, kept.live)
    assert inspection.version == (1, 1)
    assert not await inspection.step(1)
    assert await inspection.step(-1)
    assert (inspection.place, inspection.live, inspection.trace) == (0, False, kept.stored)
    assert inspection.version == (2, 3)
    assert not await inspection.step(-1)
    await inspection.open(99)
    assert inspection.place == 1


async def test_it_hears_of_tokens_and_of_the_end() -> None:
    kept = Kept()
    inspection = Inspection(kept)
    await inspection.open(4)
    assert not inspection.look_again()
    assert why_empty(inspection)[0] == "No token yet: the prompt is being computed."
    kept.live = ReplyTrace(tokens=(make_token("a"),))
    assert inspection.look_again()
    assert [token.text for token in inspection.tokens] == ["a"]
    assert not inspection.look_again()
    kept.branch[3] = message(4, Role.ASSISTANT)
    assert inspection.look_again()
    assert not inspection.live
    kept.branch.clear()
    assert not inspection.look_again()
    assert [token.text for token in inspection.tokens] == ["a"]


async def test_control_tokens_and_what_came_before_are_known_from_the_prompt() -> None:
    kept = Kept()
    prompt = (PromptToken(1, "<|im_start|>", 12, True), PromptToken(7, "user", 4))
    kept.live = ReplyTrace(tokens=(make_token("a"), make_eog()), prompt=prompt)
    inspection = Inspection(kept)
    await inspection.open(4)
    assert inspection.controls == {1, 2}
    assert inspection.before(0) == [1, 7]
    assert inspection.before(1) == [1, 7, 100]
    kept.live = replace(kept.live, n_kept=1, prompt=(*prompt, PromptToken(100, "a", 1)))
    assert inspection.look_again()
    assert inspection.before(1) == [1, 7, 100]
    await inspection.step(-1)
    assert inspection.before(0) == []


async def test_inside_a_thinking_block_the_what_if_begins_with_its_own_set() -> None:
    kept = Kept()
    tokens = (replace(make_token("hm"), thinking=True), make_token("a", 1))
    kept.live = ReplyTrace(tokens=tokens, sampling=SamplingParams(temperature=0.5, thinking={"temperature": 1.5}))
    inspection = Inspection(kept)
    await inspection.open(4)
    assert [inspection.sampling(i).temperature for i in range(2)] == [1.5, 0.5]
    chain = inspection.chain(0, None)
    assert chain is not None
    assert [step.name for step in chain.steps if step.name == "temperature"] == ["temperature"]


async def test_without_a_reply_it_says_so() -> None:
    kept = Kept()
    kept.branch.clear()
    inspection = Inspection(kept)
    await inspection.open(None)
    assert (inspection.message, inspection.tokens, inspection.chain(0, None)) == (None, (), None)
    assert why_empty(inspection) == ["There is no reply yet.", "Send a message, then come back."]
    assert not inspection.look_again()
    inspection.toggle_stages()
    assert kept.settings.trace_stages
    assert inspection.records_stages
