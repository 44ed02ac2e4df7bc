"""A model's chat template: messages in, the text that the model was trained on out.

Rendered as Transformers does, with the fallbacks that llama.cpp adds; where the model has no template, or a bad one,
ChatML is used and a notice says so. Knows no token ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from app.domain.text import one_line
from app.engine.text.dialect import Dialect, merge_adjacent, probe
from app.engine.text.renderer import Renderer, TemplateError, TemplateHungError
from app.engine.text.vocab import Vocab
from app.protocol.commands import ChatMessage

_LIMIT_BASE = 64 << 10
_LIMIT_FACTOR = 8


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
    ) -> None:
        """Takes `override` if it works, else the model's own `source`, else ChatML.

        Pass a started `Renderer` to have its process ready by the time the model is loaded; close it afterwards.
        """
        self._bos = _name(vocab, vocab.bos)
        self._eos = _name(vocab, vocab.eos)
        self._renderer = renderer or Renderer()
        self._source: str | None = None
        self._dialect = Dialect(user_opener=_chatml_open("user"))
        notices: list[str] = []
        for label, candidate in (("The configured chat template", override), ("The model's chat template", source)):
            if candidate is not None and self._source is None:
                try:
                    self._dialect = probe(lambda m, prompt, text=candidate: self._run(text, m, prompt))
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

    def _render(self, source: str, messages: Sequence[ChatMessage]) -> str:
        try:
            return self._run(source, self._dialect.shape(messages), True)
        except TemplateHungError:
            raise
        except TemplateError:
            merged = merge_adjacent(messages)
            if len(merged) == len(messages):
                raise
            return self._run(source, self._dialect.shape(merged), True)

    def _run(self, source: str, messages: list[dict[str, Any]], generation_prompt: bool) -> str:
        context = {
            "messages": messages,
            "tools": None,
            "documents": None,
            "add_generation_prompt": generation_prompt,
            "bos_token": self._bos,
            "eos_token": self._eos,
            "enable_thinking": True,
        }
        n_characters = sum(len(str(m["content"])) for m in messages)
        return self._renderer.render(source, context, _LIMIT_FACTOR * n_characters + _LIMIT_BASE)


def _name(vocab: Vocab, token: int | None) -> str:
    return "" if token is None else vocab.named_pieces[token].decode(errors="replace")


def _chatml_open(role: str) -> str:
    return f"<|im_start|>{role}\n"


def _chatml(messages: Sequence[ChatMessage]) -> str:
    turns = (f"{_chatml_open(m.role.value)}{m.content}<|im_end|>\n" for m in messages)
    return "".join(turns) + _chatml_open("assistant")
