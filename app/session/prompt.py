"""From a branch to the messages of a request."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.conversation import Message, Role
from app.domain.preset import Preset
from app.protocol.commands import ChatMessage


def sendable(text: str) -> str:
    """What is kept, and sent, of a text that was typed: halves of surrogate pairs become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def prompt_messages(preset: Preset, branch: Sequence[Message]) -> tuple[ChatMessage, ...]:
    """The preset's system prompt and the branch. Partial replies are part of it, replies without text are not."""
    system = (ChatMessage(Role.SYSTEM, preset.system),) if preset.system else ()
    said = (m for m in branch if m.content or m.role is not Role.ASSISTANT)
    return (*system, *(ChatMessage(m.role, m.content) for m in said))
