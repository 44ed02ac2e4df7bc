"""What a conversation that is taken up again is answered with, and what is said where it cannot be as it was."""

from __future__ import annotations

from msgspec.structs import replace

from app.domain.conversation import ChatSettings, Conversation, GenerationRecord, Message, Role
from app.domain.generation import FinishReason
from app.domain.sampling import Preset, SamplingParams
from app.session.restore import restored

MINE = Preset(name="mine", system="Be brief.", sampling=SamplingParams(temperature=0.3))
FALLBACK = Preset(name="balanced")
OLD = Conversation(id=1, title="t", tip_id=2, created_ms=0, updated_ms=0)
KEPT = ChatSettings(model="m", preset=MINE, system="Pirate.")


def branch(model: str = "m", preset: str = "mine") -> list[Message]:
    record = GenerationRecord(model=model, preset=preset, seed=1, finish_reason=FinishReason.STOP)
    asked = Message(id=1, conversation_id=1, parent_id=None, role=Role.USER, content="q", created_ms=0)
    reply = Message(
        id=2, conversation_id=1, parent_id=1, role=Role.ASSISTANT, content="a", created_ms=0, generation=record
    )
    return [asked, reply]


def test_what_it_kept_is_used_whatever_its_replies_were_made_with():
    found = restored(replace(OLD, settings=KEPT), branch("other", "other"), {"mine": MINE}, FALLBACK)
    assert (found.settings, found.notices) == (KEPT, ())


def test_a_preset_that_was_edited_is_used_as_it_was_and_that_is_said():
    edited = replace(MINE, sampling=SamplingParams(temperature=1.5))
    found = restored(replace(OLD, settings=KEPT), [], {"mine": edited}, FALLBACK)
    assert found.settings == KEPT
    assert found.notices == ("The preset “mine” was changed. This conversation keeps the old values.",)


def test_another_description_is_no_change():
    assert not restored(replace(OLD, settings=KEPT), [], {"mine": replace(MINE, description="new")}, FALLBACK).notices


def test_a_preset_that_was_deleted_is_used_as_it_was_and_that_is_said():
    found = restored(replace(OLD, settings=KEPT), [], {}, FALLBACK)
    assert found.settings == KEPT
    assert "no longer exists. This conversation keeps its values." in found.notices[0]


def test_before_they_were_kept_the_last_reply_shows_them():
    found = restored(OLD, branch(), {"mine": MINE}, FALLBACK)
    assert (found.settings, found.notices) == (ChatSettings(model="m", preset=MINE), ())


def test_a_preset_that_was_never_kept_and_is_gone_is_replaced_and_that_is_said():
    found = restored(OLD, branch(preset="x\x1b[31m"), {"mine": MINE}, FALLBACK)
    assert found.settings == ChatSettings(model="m", preset=FALLBACK)
    (notice,) = found.notices
    assert notice.endswith("of this conversation no longer exists. “balanced” is used instead.")
    assert "\x1b" not in notice


def test_without_a_reply_nothing_is_known():
    assert restored(OLD, branch()[:1], {"mine": MINE}, FALLBACK).settings == ChatSettings(preset=FALLBACK)
