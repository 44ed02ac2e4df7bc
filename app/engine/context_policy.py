"""Makes a conversation fit the context window: whole turns are left out, oldest first. Knows no model."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from app.domain.conversation import Role
from app.engine.text.prompt import Prompt
from app.protocol.commands import ChatMessage, Generate

_RESERVE_SHARE = 4
_STRIDE_SHARE = 4
_CANNOT_SHIFT = "this model's cache cannot be shifted: the reply ends where the context window is full"


@dataclass(frozen=True, slots=True)
class Fitted:
    """A prompt and what was left out of it."""

    prompt: Prompt
    n_messages: int = 0
    n_tokens: int = 0


def fit_by_policy(
    command: Generate, build: Callable[[Sequence[ChatMessage]], Prompt], n_ctx: int, can_shift: bool
) -> Fitted:
    """The prompt of a request as its context policy wants it."""
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

    The system prompt and the last user message stay; where even they do not fit, their prompt is returned. What is
    dropped grows in strides of a quarter of the window, so that the turns after it begin with what is in the cache.
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
