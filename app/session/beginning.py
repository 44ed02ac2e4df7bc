"""What a reply begins with, before its first token is sampled: kept tokens, forced ones, forced text. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from app.domain.conversation import Message, Role
from app.domain.errors import ForkError
from app.domain.preset import Preset
from app.domain.reply_trace import ReplyTrace, text_before
from app.domain.trace import TokenTrace

_NOT_ITS_TEXT = re.compile(r"<.*>", re.DOTALL)
"""A control token, or bytes that are no whole character: its piece is a name, see `TopToken.text`."""


class Beginning(Struct, frozen=True, kw_only=True):
    """By default nothing: the reply is sampled from its first token on."""

    kept: str = ""
    """Text of `tokens`; the engine tells nothing of either."""
    tokens: tuple[TokenTrace, ...] = ()
    """Of an older reply, by the model that is loaded."""
    force_ids: tuple[int, ...] = ()
    """Come after them, measured by the engine and told like sampled ones…"""
    text: str = ""
    """…and so do the tokens of this."""
    reread_from: str | None = None
    """The model whose tokens the kept ones were, where that is not loaded: their text is part of `text`."""

    def of(self, preset: Preset) -> Preset:
        """The preset that forces `force_ids`; what a preset itself begins replies with gives way to any beginning."""
        if self == NOTHING:
            return preset
        return replace(preset, sampling=replace(preset.sampling, force=tuple(f"#{each}" for each in self.force_ids)))


NOTHING = Beginning()


def fork_of(
    reply: Message, trace: ReplyTrace | None, n_tokens: int, force_ids: Sequence[int], text: str, model: str
) -> Beginning:
    """The beginning of a sibling that keeps the first `n_tokens` tokens of `reply`, under the model that is loaded.

    An empty `model` is not known, and taken for the reply's own: the engine is lost, and will load the last one again.
    Raises ForkError when that many are not known, or an alternative means nothing to another model.
    """
    _check_reply(reply)
    trace = trace or ReplyTrace()
    if n_tokens > len(trace.tokens):
        hint = "Rewrite its beginning instead: that needs only its text."
        raise ForkError(f"of the tokens of this reply only {len(trace.tokens)} are kept", hint)
    kept = text_before(reply.content, trace, n_tokens)
    if model and reply.generation and reply.generation.model != model and (n_tokens or force_ids):
        forced = "".join(_text_of(each, trace, n_tokens + i, model) for i, each in enumerate(force_ids))
        return Beginning(text=kept + forced + text, reread_from=reply.generation.model)
    return Beginning(kept=kept, tokens=trace.tokens[:n_tokens], force_ids=tuple(force_ids), text=text)


def rewrite_of(reply: Message, text: str) -> Beginning:
    """The beginning of a sibling of `reply` that begins with `text`. Raises ForkError when that is no reply."""
    _check_reply(reply)
    return Beginning(text=text.encode("utf-8", "replace").decode("utf-8"))


def _check_reply(message: Message) -> None:
    if message.role is not Role.ASSISTANT or message.parent_id is None:
        raise ForkError("only a reply can be forked or rewritten")


def _text_of(token_id: int, trace: ReplyTrace, at: int, model: str) -> str:
    """The text of an alternative of another model, as the trace has it."""
    candidates = trace.tokens[at].top if at < len(trace.tokens) else ()
    text = next((each.text for each in candidates if each.id == token_id), "")
    if not text or _NOT_ITS_TEXT.fullmatch(text):
        raise ForkError(f"this alternative is a token of another model; {model} is loaded", "Type a text instead.")
    return text
