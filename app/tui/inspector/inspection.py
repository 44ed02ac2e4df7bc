"""What the inspector looks at: one reply of a branch, its trace as far as it has come, and what follows from both.

Knows no widget; who has the traces is asked through `Traces`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec.structs import replace

from app.analysis.chain import Chain, computed, recorded
from app.domain.conversation import Message, ReplyState, Role
from app.domain.errors import StoreError
from app.domain.sampling import SamplingParams, thinking_params
from app.domain.trace import ReplyTrace, TokenTrace
from app.session.turn import TurnSettings
from app.tui.inspector.reproduce import draw_of
from app.tui.inspector.sampler import WhatIf
from app.tui.tokens.layout import is_control


class Traces(Protocol):
    """A session, as far as the inspector needs one.

    Attributes:
        settings: what the next reply is made with.
    """

    settings: TurnSettings

    @property
    def branch(self) -> list[Message]:
        """The messages shown, root first."""
        ...

    def trace(self, message_id: int) -> ReplyTrace | None:
        """The trace of a reply that runs or ran last."""
        ...

    async def load_trace(self, message_id: int) -> ReplyTrace | None:
        """The same, or else the stored one. Raises StoreError."""
        ...

    async def versions(self, shown: Sequence[Message]) -> dict[int, list[Message]]:
        """By the id of each reply: all that answer the same message, itself too; oldest first. Raises StoreError."""
        ...


class Inspection:
    """A reply of the branch and its trace. `open` and `step` choose the reply; `look_again` fetches new tokens.

    Attributes:
        message: the reply; None while there is none.
        trace: None where none is kept, or not yet.
        version: which of how many versions of the reply it is, from 1.
        problem: why the trace or the versions could not be read; empty when they could.
    """

    def __init__(self, traces: Traces) -> None:
        self._traces = traces
        self.message: Message | None = None
        self.trace: ReplyTrace | None = None
        self.version = (1, 1)
        self.problem = ""
        self._controls: frozenset[int] = frozenset()

    @property
    def records_stages(self) -> bool:
        """Whether the sampler's stages are recorded, from the next reply on."""
        return self._traces.settings.trace_stages

    def toggle_stages(self) -> None:
        """Has them recorded, or no more."""
        now = self._traces.settings
        self._traces.settings = replace(now, trace_stages=not now.trace_stages)

    @property
    def branch(self) -> list[Message]:
        """The messages shown, root first."""
        return self._traces.branch

    @property
    def earlier(self) -> list[Message]:
        """The messages before the reply; empty where it is not on the branch shown."""
        ids = [message.id for message in self.branch]
        return self.branch[: ids.index(self.message.id)] if self.message and self.message.id in ids else []

    @property
    def replies(self) -> list[Message]:
        """Those of the branch, oldest first."""
        return [message for message in self.branch if message.role is Role.ASSISTANT]

    @property
    def place(self) -> int:
        """The place of the reply among them, from 0."""
        ids = [message.id for message in self.replies]
        return ids.index(self.message.id) if self.message is not None and self.message.id in ids else len(ids) - 1

    @property
    def live(self) -> bool:
        """Whether the reply is still being written."""
        return self.message is not None and self.message.state is ReplyState.STREAMING

    @property
    def tokens(self) -> Sequence[TokenTrace]:
        """Those of the reply."""
        return self.trace.tokens if self.trace is not None else ()

    @property
    def controls(self) -> frozenset[int]:
        """Ids that are known to be control tokens: from the prompt, and the one that ended the reply."""
        return self._controls

    async def open(self, message_id: int | None) -> None:
        """Goes to a reply; without an id to the last one."""
        replies = self.replies
        last = replies[-1] if replies else None
        self.message = next((message for message in replies if message.id == message_id), last)
        self.problem, self.version = "", (1, 1)
        self._take(self._traces.trace(self.message.id) if self.message is not None else None)
        if self.message is not None:
            try:
                self._take(await self._traces.load_trace(self.message.id))
                self.version = await self._version(self.message)
            except StoreError as error:
                self.problem = error.full_message

    async def step(self, by: int) -> bool:
        """Goes to the reply before or after; False if there is none."""
        replies, place = self.replies, self.place + by
        if not 0 <= place < len(replies):
            return False
        await self.open(replies[place].id)
        return True

    def look_again(self) -> bool:
        """Takes what has come since; returns whether anything has. Costs next to nothing when nothing has."""
        if self.message is None:
            return False
        now = next((message for message in self.replies if message.id == self.message.id), self.message)
        trace = self._traces.trace(now.id) or self.trace
        if trace is self.trace and now.state is self.message.state:
            return False
        self.message = now
        self._take(trace)
        return True

    def before(self, token: int) -> list[int]:
        """Returns the ids of all tokens before one of the reply's, in order; empty where the prompt's are not known."""
        if self.trace is None or not self.trace.prompt:
            return []
        # What was kept of an older reply is the end of the prompt too.
        own = self.trace.tokens[self.trace.n_kept : token]
        return [*(each.id for each in self.trace.prompt), *(each.id for each in own)]

    def sampling(self, token: int) -> SamplingParams:
        """Returns what a token was sampled with; inside a thinking block that may be another set."""
        trace = self.trace or ReplyTrace()
        thinks = token < len(trace.tokens) and trace.tokens[token].thinking
        return (thinking_params(trace.sampling) if thinks else None) or trace.sampling

    def chain(self, token: int, what_if: WhatIf | None) -> Chain | None:
        """Returns what the sampler did for a token, as recorded if it was, or would do in a what-if."""
        if self.trace is None:
            return None
        shown, sampling = self.trace.tokens[token], self.sampling(token)
        if what_if is None and (chain := recorded(shown)) is not None:
            return chain
        u = draw_of(self.trace.tokens, token, self.trace.n_kept, self.trace.seed)
        return computed(shown, sampling, what_if.params if what_if is not None else sampling, self.before(token), u)

    async def _version(self, message: Message) -> tuple[int, int]:
        versions = [each.id for each in (await self._traces.versions([message]))[message.id]]
        return versions.index(message.id) + 1, len(versions)

    def _take(self, trace: ReplyTrace | None) -> None:
        self.trace = trace
        if trace is not None:
            named = {token.id for token in trace.prompt if token.is_control}
            self._controls = frozenset(named | {token.id for token in trace.tokens[-1:] if is_control(token)})
        else:
            self._controls = frozenset()


def why_empty(inspection: Inspection) -> list[str]:
    """Returns why there is no token to look at, and what to do."""
    if inspection.message is None:
        return ["There is no reply yet.", "Send a message, then come back."]
    if inspection.problem:
        return ["The trace of this reply could not be read.", *inspection.problem.splitlines()]
    if inspection.trace is None:
        return [
            "No trace is stored for this reply.",
            "Traces may be off ([trace] keep), or it was among the oldest when they exceeded [trace] max_mib.",
            "“Regenerate” in the chat writes the last reply again, with a trace.",
        ]
    if inspection.live:
        return ["No token yet: the prompt is being computed.", "Tokens appear here as they arrive."]
    if inspection.message.content:
        return ["The server reports no tokens for this reply, only its text."]
    return ["This reply has no tokens: it ended before the first one."]
