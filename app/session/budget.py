"""What a message would take of the context window, counted by the engine before it is sent. Stores nothing."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from app.client.engine import Engine
from app.domain.conversation import Message, Role
from app.domain.preset import Preset
from app.protocol.commands import ChatMessage, Tokenize
from app.protocol.events import PromptFit, Tokenized
from app.session.prompt import prompt_messages, sendable

MAX_CHARS = 200_000
"""Of all messages together: more would keep the engine from a request that is sent meanwhile."""
_RESERVE_SHARE = 4


class Budget(Struct, frozen=True):
    """A prompt that is not sent yet, beside the window that it goes to."""

    n_ctx: int
    fit: PromptFit
    max_tokens: int | None = None

    @property
    def n_message(self) -> int:
        """Tokens of the message, with what the template puts around it and the reply's opening."""
        return self.fit.spans.n_turn

    @property
    def n_prompt(self) -> int:
        """Tokens of the whole prompt, without what is left out."""
        spans = self.fit.spans
        return spans.n_system + spans.n_history + spans.n_turn

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


async def budget_of(engine: Engine, preset: Preset, branch: Sequence[Message], text: str) -> Budget | None:
    """What `text` would take as the next message of a branch; None where that cannot be told now."""
    messages = (*prompt_messages(preset, branch), ChatMessage(Role.USER, sendable(text)))
    if sum(len(message.content) for message in messages) > MAX_CHARS:
        return None
    sampling = preset.sampling
    answer = await engine.tokenize(
        Tokenize(
            engine.next_request_id(),
            messages=messages,
            fit_only=True,
            max_tokens=sampling.max_tokens,
            context_policy=preset.context,
        )
    )
    model = engine.model
    if not isinstance(answer, Tokenized) or answer.fit is None or model is None:
        return None
    return Budget(model.n_ctx, answer.fit, sampling.max_tokens)
