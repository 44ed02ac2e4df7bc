"""From a request to the token ids that the model continues: rendered or given ones, then what is kept of a reply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from app.domain.conversation import Role
from app.domain.generation import PromptSpans
from app.engine.context_policy import Fitted, fit_by_policy
from app.engine.text.prompt import Prompt, PromptBuilder
from app.engine.text.vocab import Vocab
from app.protocol.commands import ChatMessage, Generate

_SHORT = 16
"""Bytes a token of a text that is not looked at further: every vocabulary has a token of so many."""


class UnknownTokenError(Exception):
    """A token id that the vocabulary does not have: llama.cpp would abort the process."""


class TooLongError(Exception):
    """A prompt that cannot fit the context window, known before it is tokenised.

    Attributes:
        n_least: it has so many tokens or more.
    """

    def __init__(self, n_least: int, n_ctx: int) -> None:
        super().__init__(f"the prompt has at least {n_least} tokens, the context window holds {n_ctx}")
        self.n_least = n_least


def check_size(command: Generate, vocab: Vocab, n_ctx: int) -> None:
    """Raises TooLongError where what the user says has more bytes than a full window of the longest tokens.

    Of other messages a template may leave parts out. All policies but `stop` leave out older turns, but never the last
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
    """The prompt of a request as its context policy wants it. Raises UnknownTokenError."""
    check_ids(vocab, command.prompt_ids)
    check_ids(vocab, command.reply_ids)
    kept = list(command.reply_ids)

    def build(messages: Sequence[ChatMessage]) -> Prompt:
        return _continued(prompts.build(messages), kept)

    if command.prompt_ids:
        given = prompts.given(command.prompt_ids)
        if command.prompt_spans.n_tokens == len(given.ids):
            given = replace(given, spans=command.prompt_spans)
        return Fitted(_continued(given, kept))
    return fit_by_policy(command, build, n_ctx, can_shift)


def _continued(prompt: Prompt, kept: list[int]) -> Prompt:
    """With the first tokens of the reply behind it; they count as part of this turn."""
    spans = prompt.spans
    return replace(
        prompt,
        ids=[*prompt.ids, *kept],
        spans=PromptSpans(spans.n_system, spans.n_history, spans.n_turn + len(kept)),
        n_kept=len(kept),
    )
