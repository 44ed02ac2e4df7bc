"""What stands under a reply of which the model did not see the whole conversation."""

from app.analysis.finish import left_out
from app.domain.conversation import GenerationRecord, Message, ReplyState, Role
from app.domain.generation import FinishReason
from app.tui.transcript.notes import end_note


def note(reason: FinishReason = FinishReason.STOP, **losses: int) -> str:
    record = GenerationRecord(model="m", preset="p", seed=1, finish_reason=reason, **losses)
    message = Message(
        id=1, conversation_id=1, parent_id=None, role=Role.ASSISTANT, content="x", created_ms=0, generation=record
    )
    assert message.state is ReplyState.DONE
    return end_note(message)


def test_a_whole_reply_has_no_note() -> None:
    assert note() == ""


def test_what_was_left_out_or_forgotten_is_reported() -> None:
    assert note(n_dropped_messages=4, n_dropped_tokens=1234) == "the 4 oldest messages (1,234 tokens) left out"
    assert (
        note(FinishReason.LENGTH, n_shifted_tokens=2000)
        == "length limit; 2,000 older tokens dropped while it was written"
    )


def test_one_message_is_one() -> None:
    assert left_out(1, 5) == "the oldest message (5 tokens) left out"


def test_a_reply_that_ended_inside_its_grammar_says_so() -> None:
    assert note(FinishReason.LENGTH, incomplete=True) == "length limit; incomplete: it ended inside its grammar"
