"""What a reply begins with, before its first token is sampled: kept tokens, forced ones, forced text. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from app.domain.conversation import Message, Role
from app.domain.errors import ForkError
from app.domain.generation import Thinking
from app.domain.sampling import Preset
from app.domain.trace import ReplyTrace, TokenTrace, text_before

_NOT_ITS_TEXT = re.compile(r"<.*>", re.DOTALL)
"""A control token, or bytes that are no whole character: its piece is a name, see `TopToken.text`."""

_PART_OF_A_CHARACTER = re.compile("<0x[0-9A-F]{2}>$")


class ReplyPrefix(Struct, frozen=True, kw_only=True):
    """By default nothing: the reply is sampled from its first token on."""

    kept: str = ""
    """Text of `tokens`; the engine sends no event for either."""
    tokens: tuple[TokenTrace, ...] = ()
    """Of an older reply, by the model that is loaded."""
    force_ids: tuple[int, ...] = ()
    """Come after them, measured and reported like sampled ones…"""
    text: str = ""
    """…and so do the tokens of this."""
    thinking: Thinking | None = None
    """Of the kept text."""
    reread_from: str | None = None
    """The model whose tokens the kept ones were, where that is not loaded: their text is part of `text`."""

    def of(self, preset: Preset) -> Preset:
        """The preset that forces `force_ids`; what a preset itself begins replies with gives way to any beginning."""
        if self == NOTHING:
            return preset
        return replace(preset, sampling=replace(preset.sampling, force=tuple(f"#{each}" for each in self.force_ids)))


NOTHING = ReplyPrefix()


def fork_of(
    reply: Message, trace: ReplyTrace | None, n_tokens: int, force_ids: Sequence[int], text: str, model: str
) -> ReplyPrefix:
    """The beginning of a sibling that keeps the first `n_tokens` tokens of `reply`, under the model that is loaded.

    An empty `model` is not known, and taken for the reply's own: the engine is lost, and will load the last one again.
    Raises ForkError when that many are not known, or an alternative means nothing to another model.
    """
    _check_reply(reply)
    trace = trace or ReplyTrace()
    if n_tokens > len(trace.tokens):
        hint = "Rewrite its start instead, which needs only the text."
        raise ForkError(f"only {len(trace.tokens)} tokens of this reply are stored", hint)
    kept = text_before(reply.content, trace, n_tokens)
    if reply.generation and _is_by_another(reply, model) and (n_tokens or force_ids):
        forced = "".join(_text_of(each, trace, n_tokens + i, model) for i, each in enumerate(force_ids))
        return ReplyPrefix(text=kept + forced + text, reread_from=reply.generation.model)
    thinking = reply.thinking and reply.thinking.within(len(kept), n_tokens)
    return ReplyPrefix(
        kept=kept, tokens=trace.tokens[:n_tokens], force_ids=tuple(force_ids), text=text, thinking=thinking
    )


def rewrite_of(reply: Message, trace: ReplyTrace | None, text: str, model: str) -> ReplyPrefix:
    """The beginning of a sibling of `reply` that begins with `text`: its own tokens as far as they fit, then the rest.

    Raises ForkError when it is no reply.
    """
    _check_reply(reply)
    text = text.encode("utf-8", "replace").decode("utf-8")
    if trace is None or _is_by_another(reply, model):
        return ReplyPrefix(text=text)
    n_tokens = _n_in_common(reply.content, trace, text)
    kept = text_before(reply.content, trace, n_tokens)
    return fork_of(reply, trace, n_tokens, (), text.removeprefix(kept), model)


def continuation_of(reply: Message, trace: ReplyTrace | None, model: str) -> ReplyPrefix:
    """The beginning of a sibling that continues `reply` where it ended: its tokens, or its text if they are unknown.

    The token that ended it is left out. Raises ForkError when it is no reply.
    """
    ends = trace.ends() if trace else []
    n_bytes = len(reply.content.encode())
    if not n_bytes or n_bytes not in ends or _is_by_another(reply, model):
        return rewrite_of(reply, trace, reply.content, model)
    return fork_of(reply, trace, ends.index(n_bytes) + 1, (), "", model)


def _n_in_common(content: str, trace: ReplyTrace, text: str) -> int:
    """How many tokens of a reply another text begins with; a word or a character that is changed counts as new."""
    pairs = enumerate(zip(content, text, strict=False))
    n_chars = next((i for i, (old, new) in pairs if old != new), min(len(content), len(text)))
    n_bytes = len(text[:n_chars].encode())
    ends = [end for end in trace.ends() if end <= n_bytes]
    n_tokens = ends.index(ends[-1]) + 1 if ends and ends[-1] else 0
    rest = text.encode()[ends[-1] if ends else 0 :].decode()
    if n_tokens and rest and not rest[0].isspace():
        n_tokens -= 1
    while n_tokens and _PART_OF_A_CHARACTER.search(trace.tokens[n_tokens - 1].text):
        n_tokens -= 1
    return n_tokens


def _is_by_another(reply: Message, model: str) -> bool:
    return bool(model and reply.generation and reply.generation.model != model)


def _check_reply(message: Message) -> None:
    if message.role is not Role.ASSISTANT or message.parent_id is None:
        raise ForkError("only a reply can be forked or rewritten")


def _text_of(token_id: int, trace: ReplyTrace, at: int, model: str) -> str:
    """The text of an alternative of another model, as the trace has it."""
    candidates = trace.tokens[at].top if at < len(trace.tokens) else ()
    text = next((each.text for each in candidates if each.id == token_id), "")
    if not text or _NOT_ITS_TEXT.fullmatch(text):
        raise ForkError(f"this alternative is a token of another model; {model} is loaded", "Type text instead.")
    return text
