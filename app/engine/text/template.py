"""A model's chat template: messages in, the text that the model was trained on out. Knows no token ids.

Renders as Transformers does, with llama.cpp's fallbacks. What a template accepts is found by rendering probes, not by
reading its source. A model without a usable template gets ChatML, and a notice says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.domain.conversation import Role
from app.domain.text import one_line
from app.engine.text.renderer import Renderer, TemplateError, TemplateHungError
from app.engine.text.tokenizer import Vocab
from app.protocol.commands import ChatMessage

_SYSTEM = ChatMessage(Role.SYSTEM, "S_probe")
_USER = ChatMessage(Role.USER, "U_probe")
_REPLY = ChatMessage(Role.ASSISTANT, "A_probe")
_NEXT = ChatMessage(Role.USER, "N_probe")
_LIMIT_BASE = 64 << 10
_LIMIT_FACTOR = 8
_NULLS = {"tools": None, "documents": None}
"""Transformers passes null for these. Most templates accept them missing as well, and some only missing."""


class ReplyMessage(ChatMessage, frozen=True, array_like=True):
    """An earlier reply; `content` is its answer alone."""

    thinking: str = ""


_RenderRaw = Callable[[list[dict[str, Any]], bool], str]
"""(messages as the template gets them, whether to add the generation prompt) -> text. Raises TemplateError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """The shape of message that a template accepts."""

    typed: bool = False
    """Content is a list of parts, each with a type."""
    system: bool = True
    """System messages are supported. If not, they are merged into the first user message."""
    user_opener: str = ""
    """The text in front of a user message's content; empty if unknown."""

    def shape(self, messages: Sequence[ChatMessage]) -> list[dict[str, Any]]:
        """Converts messages to what this template accepts."""
        if not self.system:
            messages = _merge_system(messages)
        return [{"role": m.role.value, "content": self._content(m.content)} | _thought(m) for m in messages]

    def _content(self, text: str) -> str | list[dict[str, str]]:
        return [{"type": "text", "text": text}] if self.typed else text


def message_thinking(message: ChatMessage) -> str:
    """The thinking before a message's answer; empty if there was none or it is unknown."""
    return message.thinking if isinstance(message, ReplyMessage) else ""


def _thought(message: ChatMessage) -> dict[str, str]:
    """A message's thinking, under each name that templates use."""
    text = message_thinking(message)
    return {"reasoning_content": text, "reasoning": text, "thinking": text} if text else {}


def _find_dialect(render: _RenderRaw) -> Dialect:
    """Finds a template's dialect. Raises TemplateError if it does not show a single user message."""
    try:
        plain = "U_probe" in render(Dialect().shape([_USER]), True)
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


def _try(render: _RenderRaw, dialect: Dialect, messages: Sequence[ChatMessage]) -> str:
    try:
        return render(dialect.shape(messages), False)
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


def _merge_adjacent(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Joins adjacent messages of one role, for templates that require alternating roles (a reply may be missing)."""
    out: list[ChatMessage] = []
    for message in messages:
        if out and out[-1].role is message.role:
            thinking = "\n\n".join(filter(None, map(message_thinking, (out[-1], message))))
            out[-1] = ReplyMessage(message.role, f"{out[-1].content}\n\n{message.content}", thinking=thinking)
        else:
            out.append(message)
    return out


def _without_empty_replies(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Drops replies without an answer, for templates that refuse them (a reply may have ended while thinking)."""
    return [m for m in messages if m.role is not Role.ASSISTANT or m.content.strip()]


_EXAMPLE = (ChatMessage(Role.USER, "U_probe"), ReplyMessage(Role.ASSISTANT, "A_probe", thinking="T_probe"))


class Rendered(NamedTuple):
    """A rendered conversation, with notices for the user."""

    text: str
    notices: tuple[str, ...] = ()


class ChatTemplate:
    """The template in use for one model. Rendering never raises: the last resort is ChatML."""

    def __init__(
        self,
        source: str | None,
        vocab: Vocab,
        renderer: Renderer,
        *,
        override: str | None = None,
        variables: Mapping[str, Any] | None = None,
    ) -> None:
        """Uses `override` if it works, else the model's own `source`, else ChatML.

        `variables` go to the template beside the messages, as in `{"enable_thinking": False}`. Pass a started
        `Renderer` to have its process ready when the model is; the caller closes it.
        """
        self._bos = _name(vocab, vocab.bos)
        self._eos = _name(vocab, vocab.eos)
        self._renderer = renderer
        self._source: str | None = None
        self._variables = dict(variables or {})
        self._absent: Mapping[str, None] = {}
        self._dialect = Dialect(user_opener=_chatml_open("user"))
        notices: list[str] = []
        for label, candidate in (("The configured chat template", override), ("The model's chat template", source)):
            if candidate is not None and self._source is None:
                try:
                    self._dialect = self._probe(candidate)
                    self._source = candidate
                except (TemplateError, TemplateHungError) as error:
                    notices.append(f"{label} does not work: {one_line(str(error), 160)}")
        if self._source is None:
            reason = "" if source is not None else "The model has no chat template: "
            notices.append(f"{reason}ChatML is used instead.")
        self.notices = tuple(notices)
        """For the user: why a template is not used; empty if the first one works."""

    @property
    def is_fallback(self) -> bool:
        """True if ChatML is used instead of a template."""
        return self._source is None

    @property
    def user_opener(self) -> str:
        """The text in front of a user message's content; empty if unknown."""
        return self._dialect.user_opener

    @property
    def evidence(self) -> str:
        """The template's source and its rendering of a reply with thinking: together they hold all marks it writes."""
        if self._source is None:
            return ""
        texts = [self._source]
        for generation_prompt in (True, False):
            with suppress(TemplateError, TemplateHungError):
                texts.append(self._run(self._source, self._dialect.shape(_EXAMPLE), generation_prompt))
        return "\n".join(texts)

    def render(self, messages: Sequence[ChatMessage]) -> Rendered:
        """Renders a conversation with the generation prompt at its end; falls back to ChatML with a notice."""
        if self._source is None:
            return Rendered(_chatml(messages))
        try:
            return Rendered(self._render(self._source, messages))
        except (TemplateError, TemplateHungError) as error:
            reason = f"The chat template failed, ChatML is used instead: {one_line(str(error), 160)}"
            if isinstance(error, TemplateHungError):
                self._source = None
                self._dialect = Dialect(user_opener=_chatml_open("user"))
            return Rendered(_chatml(messages), (reason,))

    def _probe(self, source: str) -> Dialect:
        """Finds the dialect. Raises the TemplateError of the first try, and TemplateHungError."""
        self._absent = {}
        try:
            return _find_dialect(lambda messages, prompt: self._run(source, messages, prompt))
        except TemplateError as error:
            self._absent = _NULLS
            with suppress(TemplateError):
                return _find_dialect(lambda messages, prompt: self._run(source, messages, prompt))
            raise error

    def _render(self, source: str, messages: Sequence[ChatMessage]) -> str:
        merged = _merge_adjacent(messages)
        speaking = _merge_adjacent(_without_empty_replies(messages))
        first: TemplateError | None = None
        for attempt in (messages, merged, speaking):
            if first and attempt == messages:
                continue
            try:
                return self._run(source, self._dialect.shape(attempt), True)
            except TemplateError as error:
                first = first or error
        assert first is not None
        raise first

    def _run(self, source: str, messages: list[dict[str, Any]], generation_prompt: bool) -> str:
        context: dict[str, Any] = {
            **self._absent,
            **self._variables,
            "messages": messages,
            "add_generation_prompt": generation_prompt,
            "bos_token": self._bos,
            "eos_token": self._eos,
        }
        n_characters = sum(len(str(value)) for m in messages for value in m.values())
        return self._renderer.render(source, context, _LIMIT_FACTOR * n_characters + _LIMIT_BASE)


def _name(vocab: Vocab, token: int | None) -> str:
    return "" if token is None else vocab.named_pieces[token].decode(errors="replace")


def _chatml_open(role: str) -> str:
    return f"<|im_start|>{role}\n"


def _chatml(messages: Sequence[ChatMessage]) -> str:
    turns = (f"{_chatml_open(m.role.value)}{m.content}<|im_end|>\n" for m in messages)
    return "".join(turns) + _chatml_open("assistant")
