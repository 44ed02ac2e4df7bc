"""What a message would take of the context window, counted by the engine before it is sent. Stores nothing."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from app.client.engine import Engine, Queryable, capable
from app.domain.conversation import Message, Role, UserMessage
from app.domain.generation import ContextPolicy, PromptSpans
from app.domain.sampling import Preset
from app.protocol.commands import ChatMessage, Tokenize
from app.protocol.events import PromptFit, Tokenized
from app.session.tree import prompt_messages

MAX_CHARS = 200_000
"""Of all messages together: more would keep the engine from a request sent meanwhile, so only part is counted."""
_DIGITS = 2
"""Significant digits, rounded down, of a count of part of a text: a word that is cut may have more tokens."""
_RESERVE_SHARE = 4


class Budget(Struct, frozen=True):
    """A prompt that is not sent yet, beside the window that it goes to."""

    n_ctx: int
    fit: PromptFit
    max_tokens: int | None = None
    at_least: bool = False
    """Whether only part was counted: the prompt has `n_prompt` tokens or more."""

    @property
    def n_message(self) -> int:
        """Tokens of the message, with what the template puts around it and the reply's opening."""
        return self.fit.spans.n_turn

    @property
    def n_prompt(self) -> int:
        """Tokens of the whole prompt, without what is left out."""
        spans = self.fit.spans
        n_counted = spans.n_system + spans.n_history + spans.n_turn
        return _rounded_down(n_counted) if self.at_least else n_counted

    @property
    def n_left(self) -> int:
        """Tokens of the window that are free for the reply."""
        return max(0, self.n_ctx - self.n_prompt)

    @property
    def refused(self) -> bool:
        """Whether the engine would answer with an error: it leaves no room for a reply."""
        return not self.n_left

    @property
    def tight(self) -> bool:
        """Whether less is left than a context policy keeps for a reply: a quarter of the window, or its limit."""
        quarter = self.n_ctx // _RESERVE_SHARE
        return self.n_left < min(self.max_tokens or quarter, quarter)


async def budget_of(engine: Engine, preset: Preset, branch: Sequence[Message], message: UserMessage) -> Budget | None:
    """Tokens that `message` would take as the next one of a branch; None if the engine cannot count, now or ever."""
    queryable = capable(engine, Queryable)
    if queryable is None:
        return None
    messages = prompt_messages(preset, branch, message)
    at_least = sum(len(message.content) for message in messages) > MAX_CHARS
    sampling = preset.sampling
    answer = await queryable.tokenize(
        Tokenize(
            engine.next_request_id(),
            messages=_part(messages, preset.context) if at_least else messages,
            fit_only=True,
            max_tokens=sampling.max_tokens,
            context_policy="stop" if at_least else preset.context,
        )
    )
    model = engine.model
    if not isinstance(answer, Tokenized) or model is None:
        return None
    if answer.n_least:
        return Budget(model.n_ctx, PromptFit(PromptSpans(n_turn=answer.n_least)), sampling.max_tokens, at_least=True)
    if answer.fit is None:
        return None
    return Budget(model.n_ctx, answer.fit, sampling.max_tokens, at_least)


def _part(messages: Sequence[ChatMessage], policy: ContextPolicy) -> tuple[ChatMessage, ...]:
    """Messages of at most MAX_CHARS that will be in the prompt whatever is left out of it: the newest ones."""
    last = messages[-1]
    part = [replace(last, content=last.content[:MAX_CHARS])]
    room = MAX_CHARS - len(part[0].content)
    for message in reversed(messages[:-1]) if policy == "stop" else ():
        room -= len(message.content)
        if room < 0:
            break
        part.append(message)
    while part[-1].role is Role.ASSISTANT:
        part.pop()
    return tuple(reversed(part))


def _rounded_down(n: int) -> int:
    unit = 10 ** max(0, len(str(n)) - _DIGITS)
    return n // unit * unit
