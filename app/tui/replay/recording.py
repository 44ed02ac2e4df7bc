"""A recorded run: what was asked of which model, and every event of the reply with its time. Imports no widget."""

from __future__ import annotations

from msgspec import Struct

from app.domain.generation import ContextPolicy
from app.domain.model import LoadOptions
from app.domain.sampling import SamplingParams
from app.domain.trace import PromptToken, ReplyTrace, TokenTrace
from app.protocol.commands import ChatMessage
from app.protocol.events import GenerationEvent, GenerationFinished, GenerationStarted, ModelReady, TokensGenerated


class ModelOfRecord(Struct, frozen=True, kw_only=True):
    """Which model it was."""

    name: str
    """As `-m` took it."""
    title: str
    sha256: str
    """Of the model's file; of all its parts, one after another, where it has several."""
    n_bytes: int
    """Of what was hashed."""
    options: LoadOptions
    """What it was loaded with; the draft model and the template's source are left out."""
    ready: ModelReady
    """What came of it; the path is the file's name alone."""


class Recording(Struct, frozen=True, kw_only=True):
    """One reply as it came. Times are by the engine's clock, in milliseconds since the request's arrival."""

    source: str
    """The file's name, for people."""
    time: str
    """When it was recorded, ISO 8601."""
    model: ModelOfRecord
    preset: str
    sampling: SamplingParams
    speculate: bool | None
    messages: tuple[ChatMessage, ...]
    """The whole branch, system prompt first; the last one is the user's."""
    prompt: tuple[PromptToken, ...]
    """What was really sent; empty where the engine did not tell."""
    started: GenerationStarted
    events: tuple[tuple[float, GenerationEvent], ...]
    """All that came, `started` included, with its time; the last one is a `GenerationFinished`, unless it was cut."""
    context: ContextPolicy = "stop"
    """What was to happen where the window fills."""
    cut_at: int | None = None
    """The line at which the file ends although the run did not; None when it is whole."""

    @property
    def tokens(self) -> tuple[TokenTrace, ...]:
        """The reply's tokens."""
        steps = (event for _, event in self.events if isinstance(event, TokensGenerated))
        return tuple(token for step in steps for token in step.tokens)

    @property
    def text(self) -> str:
        """The reply."""
        return "".join(event.text for _, event in self.events if isinstance(event, TokensGenerated))

    @property
    def finished(self) -> GenerationFinished | None:
        """How it ended; None when the recording is cut."""
        last = self.events[-1][1]
        return last if isinstance(last, GenerationFinished) else None

    def trace(self) -> ReplyTrace:
        """The same as it is kept with a reply of the chat."""
        finished = self.finished
        return ReplyTrace(
            tokens=self.tokens,
            prompt=self.prompt,
            n_cached=self.started.n_cached,
            sampling=self.sampling,
            seed=self.started.seed,
            cells=finished.cells if finished else (),
            drafting=finished.drafting if finished else None,
        )
