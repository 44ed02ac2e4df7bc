"""Builds the prompt of a request; leaves out whole turns, oldest first, until it fits."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from app.domain.conversation import Role
from app.domain.generation import PromptSpans
from app.engine.text.prompt import Prompt, PromptBuilder
from app.engine.text.tokenizer import Vocab
from app.protocol.commands import ChatMessage, Generate

_RESERVE_SHARE = 4
_STRIDE_SHARE = 4
_CANNOT_SHIFT = "this model's cache cannot be shifted: the reply ends when the context window is full"


@dataclass(frozen=True, slots=True)
class Fitted:
    """A prompt, and the counts of what was left out."""

    prompt: Prompt
    n_messages: int = 0
    n_tokens: int = 0


def fit_by_policy(
    command: Generate, build: Callable[[Sequence[ChatMessage]], Prompt], n_ctx: int, can_shift: bool
) -> Fitted:
    """Returns the prompt of a request by its context policy."""
    if command.context_policy == "stop":
        return Fitted(build(command.messages))
    fitted = fit(build, command.messages, n_ctx, command.sampling.max_tokens)
    if command.context_policy == "shift" and not can_shift:
        prompt = replace(fitted.prompt, notices=(*fitted.prompt.notices, _CANNOT_SHIFT))
        return replace(fitted, prompt=prompt)
    return fitted


def fit(
    build: Callable[[Sequence[ChatMessage]], Prompt],
    messages: Sequence[ChatMessage],
    n_ctx: int,
    max_tokens: int | None,
) -> Fitted:
    """Drops oldest turns until the prompt and a reserve for the reply (min(max_tokens, n_ctx / 4)) fit.

    The system prompt and the last user message stay; if even they do not fit, their prompt is returned. Drops in
    strides of a quarter of the window, so that the next turns have the same prefix and can reuse the cache.
    """
    prompt = build(messages)
    n_full, quarter = len(prompt.ids), max(1, n_ctx // _RESERVE_SHARE)
    limit = n_ctx - min(max_tokens or quarter, quarter)
    starts = [i for i, message in enumerate(messages) if message.role is Role.USER]
    if n_full <= limit or len(starts) < 2:
        return Fitted(prompt)
    head = list(takewhile(lambda message: message.role is Role.SYSTEM, messages))
    built: dict[int, Prompt] = {}

    def n_dropped(n_turns: int) -> int:
        built[n_turns] = build([*head, *messages[starts[n_turns] :]])
        return n_full - len(built[n_turns].ids)

    stride = max(1, n_ctx // _STRIDE_SHARE)
    wanted = -(-(n_full - limit) // stride) * stride
    choices = range(1, len(starts))
    n_turns = min(bisect_left(choices, wanted, key=n_dropped) + 1, choices[-1])
    n_tokens = n_dropped(n_turns) if n_turns not in built else n_full - len(built[n_turns].ids)
    return Fitted(built[n_turns], starts[n_turns] - len(head), n_tokens)


_SHORT = 16
"""Bytes per window token up to which a text is not checked: some token of every vocabulary is as long."""


class UnknownTokenError(Exception):
    """The vocabulary does not have a token id; llama.cpp would abort the process."""


class TooLongError(Exception):
    """A prompt that cannot fit the context window, known before it is tokenised.

    Attributes:
        n_least: lower bound on its tokens.
    """

    def __init__(self, n_least: int, n_ctx: int) -> None:
        super().__init__(f"the prompt has at least {n_least} tokens, the context window holds {n_ctx}")
        self.n_least = n_least


def check_size(command: Generate, vocab: Vocab, n_ctx: int) -> None:
    """Raises TooLongError if the user's messages have more bytes than a full window of the longest tokens.

    A template may leave out parts of other messages. All policies but `stop` leave out older turns, but never the last
    message.
    """
    stays = command.messages if command.context_policy == "stop" else command.messages[-1:]
    said = (message.content.strip() for message in stays if message.role is Role.USER)
    n_bytes = sum(len(text.encode(errors="replace")) for text in said)
    if command.prompt_ids or n_bytes <= _SHORT * n_ctx:
        return
    n_longest = max(len(vocab.pieces[token]) for token in range(vocab.n_vocab))
    if n_bytes > n_longest * n_ctx:
        n_least = -(-n_bytes // n_longest)
        raise TooLongError(n_least, n_ctx)


def check_ids(vocab: Vocab, ids: Sequence[int]) -> None:
    """Raises UnknownTokenError."""
    wrong = next((token for token in ids if not 0 <= token < vocab.n_vocab), None)
    if wrong is not None:
        raise UnknownTokenError(f"there is no token #{wrong}: the vocabulary has {vocab.n_vocab}")


def prepare(command: Generate, prompts: PromptBuilder, vocab: Vocab, n_ctx: int, can_shift: bool) -> Fitted:
    """Returns the prompt of a request by its context policy. Raises UnknownTokenError."""
    check_ids(vocab, command.prompt_ids)
    check_ids(vocab, command.reply_ids)
    kept = list(command.reply_ids)

    def build(messages: Sequence[ChatMessage]) -> Prompt:
        return _continued(prompts.build(messages), kept)

    if command.prompt_ids:
        given = prompts.from_ids(command.prompt_ids)
        if command.prompt_spans.n_tokens == len(given.ids):
            given = replace(given, spans=command.prompt_spans)
        return Fitted(_continued(given, kept))
    return fit_by_policy(command, build, n_ctx, can_shift)


def _continued(prompt: Prompt, kept: list[int]) -> Prompt:
    """Returns the prompt with the first tokens of the reply appended; they count as part of this turn."""
    spans = prompt.spans
    return replace(
        prompt,
        ids=[*prompt.ids, *kept],
        spans=PromptSpans(spans.n_system, spans.n_history, spans.n_turn + len(kept)),
        n_kept=len(kept),
    )
