"""What a chat template accepts, found by rendering probes instead of reading its source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from app.domain.conversation import Role
from app.engine.text.renderer import TemplateError, TemplateHungError
from app.protocol.commands import ChatMessage

_SYSTEM = ChatMessage(Role.SYSTEM, "S_probe")
_USER = ChatMessage(Role.USER, "U_probe")
_REPLY = ChatMessage(Role.ASSISTANT, "A_probe")
_NEXT = ChatMessage(Role.USER, "N_probe")


class ReplyMessage(ChatMessage, frozen=True, array_like=True):
    """An earlier reply, its thinking apart from its answer."""

    thinking: str = ""


RenderRaw = Callable[[list[dict[str, Any]], bool], str]
"""Renders messages as the template sees them; the flag asks for the generation prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """The message shapes of one template."""

    typed: bool = False
    """Content must be a list of parts, each with a type."""
    system: bool = True
    """A system message is shown; otherwise it must be merged into the first user message."""
    user_opener: str = ""
    """What the template writes in front of a user message's content; empty when that cannot be told."""

    def shape(self, messages: Sequence[ChatMessage]) -> list[dict[str, Any]]:
        """The messages as this template wants them."""
        if not self.system:
            messages = _merge_system(messages)
        return [{"role": m.role.value, "content": self._content(m.content)} | _thought(m) for m in messages]

    def _content(self, text: str) -> str | list[dict[str, str]]:
        return [{"type": "text", "text": text}] if self.typed else text


def thinking_of(message: ChatMessage) -> str:
    """What is known of the thinking before a message's content; mostly empty."""
    return message.thinking if isinstance(message, ReplyMessage) else ""


def _thought(message: ChatMessage) -> dict[str, str]:
    """A message's thinking under every name that templates know."""
    text = thinking_of(message)
    return {"reasoning_content": text, "reasoning": text, "thinking": text} if text else {}


def probe(render: RenderRaw) -> Dialect:
    """Finds a template's dialect. Raises TemplateError when it does not even show one user message."""
    try:
        plain = "U_probe" in render(Dialect().shape([_USER]), True)
    except TemplateHungError:
        raise
    except TemplateError:
        plain = False
    if not plain and "U_probe" not in render(Dialect(typed=True).shape([_USER]), True):
        raise TemplateError("it does not show the user's message")
    typed = Dialect(typed=not plain)
    return Dialect(
        typed=typed.typed,
        system="S_probe" in _try(render, typed, [_SYSTEM, _USER]),
        user_opener=_opener(_try(render, typed, [_USER, _REPLY]), _try(render, typed, [_USER, _REPLY, _NEXT])),
    )


def _try(render: RenderRaw, dialect: Dialect, messages: Sequence[ChatMessage]) -> str:
    try:
        return render(dialect.shape(messages), False)
    except TemplateHungError:
        raise
    except TemplateError:
        return ""


def _opener(before: str, after: str) -> str:
    return after[len(before) :].partition("N_probe")[0] if before and after.startswith(before) else ""


def _merge_system(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    system = "\n\n".join(m.content for m in messages if m.role is Role.SYSTEM)
    out = [m for m in messages if m.role is not Role.SYSTEM]
    first = next((i for i, m in enumerate(out) if m.role is Role.USER), None)
    if system and first is not None:
        out[first] = ChatMessage(Role.USER, f"{system}\n\n{out[first].content}")
    return out


def merge_adjacent(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Joins neighbours of one role, for templates that insist on alternation (a reply may never have come)."""
    out: list[ChatMessage] = []
    for message in messages:
        if out and out[-1].role is message.role:
            thinking = "\n\n".join(filter(None, map(thinking_of, (out[-1], message))))
            out[-1] = ReplyMessage(message.role, f"{out[-1].content}\n\n{message.content}", thinking)
        else:
            out.append(message)
    return out


def without_empty_replies(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Leaves out replies that say nothing, for templates that refuse them: one may have ended while it thought."""
    return [m for m in messages if m.role is not Role.ASSISTANT or m.content.strip()]
