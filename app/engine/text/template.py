"""A model's chat template: messages in, the text that the model was trained on out.

Rendered as Transformers does, with the fallbacks that llama.cpp adds; where the model has no template, or a bad one,
ChatML is used and a notice says so. Knows no token ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from app.domain.conversation import Role
from app.domain.text import one_line
from app.engine.text.dialect import Dialect, ReplyMessage, merge_adjacent, probe, without_empty_replies
from app.engine.text.renderer import Renderer, TemplateError, TemplateHungError
from app.engine.text.vocab import Vocab
from app.protocol.commands import ChatMessage

_LIMIT_BASE = 64 << 10
_LIMIT_FACTOR = 8
_NULLS = {"tools": None, "documents": None}
"""What Transformers passes where there are none. Most templates take them left out as well, and some only so."""
_EXAMPLE = (ChatMessage(Role.USER, "U_probe"), ReplyMessage(Role.ASSISTANT, "A_probe", "T_probe"))


class Rendered(NamedTuple):
    """The text of one conversation, and what the user should know of how it was made."""

    text: str
    notices: tuple[str, ...] = ()


class ChatTemplate:
    """The template in use for one model. Never raises for a conversation: the last resort is ChatML."""

    def __init__(
        self,
        source: str | None,
        vocab: Vocab,
        override: str | None = None,
        renderer: Renderer | None = None,
        variables: Mapping[str, Any] | None = None,
    ) -> None:
        """Takes `override` if it works, else the model's own `source`, else ChatML.

        `variables` are passed to the template beside the messages, as in `{"enable_thinking": False}`.
        Pass a started `Renderer` to have its process ready by the time the model is loaded; close it afterwards.
        """
        self._bos = _name(vocab, vocab.bos)
        self._eos = _name(vocab, vocab.eos)
        self._renderer = renderer or Renderer()
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
                except TemplateError as error:
                    notices.append(f"{label} does not work: {one_line(str(error), 160)}")
        if self._source is None:
            reason = "" if source is not None else "The model has no chat template: "
            notices.append(f"{reason}ChatML is used instead.")
        self.notices = tuple(notices)
        """What was found out at load; empty when the template simply works."""

    @property
    def is_fallback(self) -> bool:
        """Whether ChatML stands in for a template."""
        return self._source is None

    @property
    def user_opener(self) -> str:
        """What stands in front of a user message's content; empty when that is not known."""
        return self._dialect.user_opener

    @property
    def evidence(self) -> str:
        """The template's source and what it makes of a reply with thinking: all marks that it writes are in there."""
        if self._source is None:
            return ""
        texts = [self._source]
        for generation_prompt in (True, False):
            with suppress(TemplateError):
                texts.append(self._run(self._source, self._dialect.shape(_EXAMPLE), generation_prompt))
        return "\n".join(texts)

    def render(self, messages: Sequence[ChatMessage]) -> Rendered:
        """The conversation with the generation prompt at its end."""
        if self._source is None:
            return Rendered(_chatml(messages))
        try:
            return Rendered(self._render(self._source, messages))
        except TemplateError as error:
            reason = f"The chat template failed, ChatML is used instead: {one_line(str(error), 160)}"
            if isinstance(error, TemplateHungError):
                self._source = None
                self._dialect = Dialect(user_opener=_chatml_open("user"))
            return Rendered(_chatml(messages), (reason,))

    def _probe(self, source: str) -> Dialect:
        """Raises TemplateError: why the first try failed."""
        self._absent = {}
        try:
            return probe(lambda messages, prompt: self._run(source, messages, prompt))
        except TemplateHungError:
            raise
        except TemplateError as error:
            self._absent = _NULLS
            with suppress(TemplateError):
                return probe(lambda messages, prompt: self._run(source, messages, prompt))
            raise error

    def _render(self, source: str, messages: Sequence[ChatMessage]) -> str:
        merged = merge_adjacent(messages)
        speaking = merge_adjacent(without_empty_replies(messages))
        first: TemplateError | None = None
        for attempt in (messages, merged, speaking):
            if first and attempt == messages:
                continue
            try:
                return self._run(source, self._dialect.shape(attempt), True)
            except TemplateHungError:
                raise
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
