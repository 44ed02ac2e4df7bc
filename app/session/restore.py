"""What answers a stored conversation that is taken up again: what it kept, or what its last reply was made with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from app.domain.conversation import ChatSettings, Conversation, Message
from app.domain.sampling import Preset
from app.domain.text import one_line


class Restored(Struct, frozen=True):
    """Settings, and what a person should know of them."""

    settings: ChatSettings
    notices: tuple[str, ...] = ()


def restored(
    conversation: Conversation, branch: Sequence[Message], presets: Mapping[str, Preset], fallback: Preset
) -> Restored:
    """The settings of a conversation.

    Args:
        conversation: kept its own, or none in the time before they were kept.
        branch: the messages shown; the last reply has the names of its model and preset.
        presets: those of now.
        fallback: stands in for a preset that is not there any more and was not kept.
    """
    if kept := conversation.settings:
        return Restored(kept, _about(kept.preset, presets))
    record = next((message.generation for message in reversed(branch) if message.generation), None)
    if record is None:
        return Restored(ChatSettings(preset=fallback))
    preset = presets.get(record.preset)
    if preset is None:
        gone = f"The preset “{one_line(record.preset, 40)}” of this conversation no longer exists."
        return Restored(
            ChatSettings(model=record.model, preset=fallback), (f"{gone} “{fallback.name}” is used instead.",)
        )
    return Restored(ChatSettings(model=record.model, preset=preset))


def _about(kept: Preset, presets: Mapping[str, Preset]) -> tuple[str, ...]:
    name = one_line(kept.name, 40)
    now = presets.get(kept.name)
    if now is None:
        return (f"The preset “{name}” no longer exists. This conversation keeps its values.",)
    if (now.system, now.sampling, now.context) == (kept.system, kept.sampling, kept.context):
        return ()
    return (f"The preset “{name}” was changed. This conversation keeps the old values.",)
