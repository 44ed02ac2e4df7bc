"""Events that an engine sends to the app. Past-tense names; every event is one frame.

No worker sends `EngineLost`: the client creates it when the worker's pipe closes, so that the death of an engine is an
event like the others.
"""

from __future__ import annotations

from msgspec import Struct

from app.domain.generation import CellSpan, DraftCounts, FinishReason, PromptSpans, Stop, Thinking, Timings, Usage
from app.domain.trace import Prediction, PromptToken, TokenTrace

PROTOCOL_VERSION = 6


class Device(Struct, frozen=True, array_like=True):
    """A compute device that llama.cpp sees."""

    name: str
    description: str
    kind: str
    """`CPU`, `GPU`, `IGPU`, `ACCEL` or `META`."""
    free_bytes: int
    total_bytes: int


class Hello(Struct, frozen=True, tag=True, array_like=True):
    """The worker runs and has loaded its native library. Always the first event."""

    protocol: int
    pid: int
    build: str
    """The llama.cpp build, as in `llama-cpp-python 0.3.36`, and its system information line."""
    devices: tuple[Device, ...]


class LoadProgress(Struct, frozen=True, tag=True, array_like=True):
    """Progress of a load, 0 to 1."""

    fraction: float


class LayerPlacement(Struct, frozen=True, array_like=True):
    """The part of the model on one device."""

    device: str
    n_layers: int


class AdapterReady(Struct, frozen=True, array_like=True):
    """A LoRA adapter in memory."""

    name: str
    path: str
    scale: float
    """Default for requests that give none."""


class NativeFacts(Struct, frozen=True, array_like=True):
    """A model in llama.cpp. Every figure is read back from it, not copied from the request."""

    architecture: str
    quant: str
    """As in `Q4_1`."""
    n_params: int
    model_bytes: int
    kv_bytes: int
    n_ctx_train: int
    n_vocab: int
    n_slots: int
    n_layers: int
    """Repeating layers and the output layer, as llama.cpp counts what it offloads."""
    placement: tuple[LayerPlacement, ...]
    n_threads: int
    flash_attn: str
    build: str
    adapters: tuple[AdapterReady, ...] = ()
    """The loaded LoRA adapters."""
    pass_bytes: int = 0
    """Weight bytes that a decode of one token reads; of a mixture of experts, only the active ones. 0 if unknown."""


class ModelReady(Struct, frozen=True, tag=True, array_like=True):
    """The model is loaded."""

    path: str
    title: str
    """`general.name` of the GGUF, or the file's name."""
    n_ctx: int
    """Context window of one slot, in tokens; 0: a server does not report it."""
    load_ms: float
    notices: tuple[str, ...] = ()
    """Notices for the user: a smaller context than requested, a fallback template."""
    native: NativeFacts | None = None
    """None for a backend that is not llama.cpp on this machine."""
    server: tuple[str, ...] = ()
    """The server that runs it and what it says of the model, a line each; empty for a model on this machine."""

    @property
    def on_cpu(self) -> bool:
        """Whether this machine's CPU computes every layer, so that other work on it slows generation."""
        placement = self.native.placement if self.native else ()
        return bool(placement) and all(placed.device.upper().startswith("CPU") for placed in placement)


class LoadFailed(Struct, frozen=True, tag=True, array_like=True):
    """The model could not be loaded; the worker has no model now."""

    reason: str
    hint: str = ""
    cancelled: bool = False


class ContextTrimmed(Struct, frozen=True, tag=True, array_like=True):
    """The oldest messages were left out to make the prompt fit; comes before `GenerationStarted`."""

    request_id: int
    n_messages: int
    n_tokens: int
    """How much shorter the prompt is for it."""


class GenerationStarted(Struct, frozen=True, tag=True, array_like=True):
    """The prompt is rendered, tokenised and has a slot; prefill begins."""

    request_id: int
    n_prompt: int
    n_cached: int
    spans: PromptSpans
    seed: int
    """The seed in use; chosen by the engine if the request gave none."""
    notices: tuple[str, ...] = ()
    """Notices for the user about the prompt: a template that failed, a merged system prompt."""
    n_restored: int = 0
    """Cached tokens that were read from a saved state."""
    n_shared: int = 0
    """Cached tokens that were copied from another conversation with the same prefix, or are shared with a parallel
    reply."""
    n_kept: int = 0
    """The last tokens of the prompt that begin the reply: kept from an older one, counted in this turn."""
    app_clock: bool = False
    """Whether the times of what follows are measured by the app, on its side of a network."""


class CellsReported(Struct, frozen=True, tag=True, array_like=True):
    """The current window of a request, as in `GenerationFinished`.

    Comes after `GenerationStarted`, at the start of a phase, after cells were forgotten, and when sharing changes;
    between two of these events a request only adds computed cells.
    """

    request_id: int
    cells: tuple[CellSpan, ...]


class SlotsHeld(Struct, frozen=True, tag=True, array_like=True):
    """A request waits because paused requests hold all slots. Comes once, before `GenerationStarted`.

    The request starts by itself when one of them ends.
    """

    request_id: int
    held_by: tuple[int, ...]
    """The paused requests."""


class PromptRendered(Struct, frozen=True, tag=True, array_like=True):
    """The rendered prompt; comes right after `GenerationStarted` if the request asked for it."""

    request_id: int
    tokens: tuple[PromptToken, ...]


class PrefillProgress(Struct, frozen=True, tag=True, array_like=True):
    """Progress of the prefill in new (uncached) tokens."""

    request_id: int
    n_done: int
    n_total: int
    ms: float
    """Since the prefill began."""


class TokensGenerated(Struct, frozen=True, tag=True, array_like=True):
    """Text and tokens that one step added to a reply."""

    request_id: int
    text: str
    """Text to show: complete UTF-8 without possible stop strings; may be empty or cover earlier tokens."""
    tokens: tuple[TokenTrace, ...]
    thinking: Thinking | None = None
    """The thinking in the reply's text so far, this event's text included; None if there is none."""
    reasoning: str = ""
    """Thinking that a server sends apart from the reply; no part of `text`."""
    n_untraced: int = 0
    """Tokens that a server counts and says nothing else of; none of them is in `tokens`."""
    untraced_ms: float = 0.0
    """Where there is text and no trace: time since the text before it, for the first since the request's arrival."""


class Paused(Struct, frozen=True, tag=True, array_like=True):
    """The request keeps its slot and waits for `Resume` or `Abort`; all earlier tokens have been sent."""

    request_id: int
    n_generated: int
    prediction: Prediction
    """The distribution of its next token."""


class ContextShifted(Struct, frozen=True, tag=True, array_like=True):
    """The window was full: the engine forgot the oldest part after the first `n_kept` tokens and continues.

    The remaining cells were computed with the forgotten part in view, so they differ from those of a new prefill.
    """

    request_id: int
    n_kept: int
    n_discarded: int


class GenerationFinished(Struct, frozen=True, tag=True, array_like=True):
    """The end of a request; always the last event that names it."""

    request_id: int
    finish_reason: FinishReason
    usage: Usage
    timings: Timings
    stop: Stop | None = None
    error: str = ""
    """With `FinishReason.ERROR`: what failed."""
    hint: str = ""
    drafting: DraftCounts | None = None
    """None without speculation."""
    cells: tuple[CellSpan, ...] = ()
    """The window at the end, first cell to last; empty if the request never had a slot."""
    incomplete: bool = False
    """Whether the reply ended inside its grammar, with its JSON cut off for example."""


class PromptFit(Struct, frozen=True, array_like=True):
    """How a prompt would fit the context window, with the figures of `ContextTrimmed` and `GenerationStarted`."""

    spans: PromptSpans
    n_messages: int = 0
    """The oldest messages, which would be left out."""
    n_tokens: int = 0
    """How much shorter the prompt is for it."""
    shifts: bool = False
    """Whether a reply that fills the window continues."""


class Tokenized(Struct, frozen=True, tag=True, array_like=True):
    """The answer to `Tokenize`."""

    request_id: int
    tokens: tuple[PromptToken, ...] = ()
    error: str = ""
    fit: PromptFit | None = None
    """Set if requested."""
    n_least: int = 0
    """Lower bound on the tokens of a prompt that cannot fit and was not counted."""


class Predicted(Struct, frozen=True, tag=True, array_like=True):
    """The answer to `Predict`; without a prediction, `error` gives the reason."""

    request_id: int
    n_prompt: int = 0
    prediction: Prediction | None = None
    error: str = ""
    notices: tuple[str, ...] = ()
    """Notices for the user about the request."""


class Scored(Struct, frozen=True, tag=True, array_like=True):
    """The next tokens of a `Score`, in order; the first token of a text has p 1 if nothing precedes it."""

    request_id: int
    tokens: tuple[TokenTrace, ...]


class ScoreFinished(Struct, frozen=True, tag=True, array_like=True):
    """The end of a `Score`; always the last event that names it."""

    request_id: int
    n_tokens: int = 0
    n_scored: int = 0
    """Tokens in the perplexity, exp(nll / n_scored): the second half of each window, as in llama-perplexity."""
    nll: float = 0.0
    """Sum of their negative log-probabilities (natural logarithm)."""
    error: str = ""


class BenchMeasured(Struct, frozen=True, tag=True, array_like=True):
    """One repetition of a `Bench`."""

    request_id: int
    seconds: float
    """From the first decode to the end of the last, by the engine's clock."""


class BenchFinished(Struct, frozen=True, tag=True, array_like=True):
    """The end of a `Bench`; always the last event that names it."""

    request_id: int
    error: str = ""


class Pong(Struct, frozen=True, tag=True, array_like=True):
    """The answer to `Ping`."""

    still_s: float = 0.0
    """Time without a step, CPU use or reading; 0 while the worker is idle."""


class EngineLost(Struct, frozen=True, tag=True, array_like=True):
    """The worker is gone."""

    exit_code: int | None
    """As in `subprocess`: negative for a signal; None if unknown."""
    reason: str
    """In words, as in `killed by SIGKILL`."""
    log_tail: str = ""
    """The last lines of the worker's log."""
    wished: bool = False
    """Whether the user's own action ended it: a restart, or a stop that it did not obey."""


ScoreEvent = Scored | ScoreFinished | EngineLost
BenchEvent = BenchMeasured | BenchFinished | EngineLost
GenerationEvent = (
    ContextTrimmed
    | SlotsHeld
    | GenerationStarted
    | CellsReported
    | PromptRendered
    | PrefillProgress
    | TokensGenerated
    | Paused
    | ContextShifted
    | GenerationFinished
    | EngineLost
)
LoadEvent = LoadProgress | ModelReady | LoadFailed | EngineLost
Event = (
    Hello
    | LoadProgress
    | ModelReady
    | LoadFailed
    | ContextTrimmed
    | SlotsHeld
    | GenerationStarted
    | CellsReported
    | PromptRendered
    | PrefillProgress
    | TokensGenerated
    | Paused
    | ContextShifted
    | GenerationFinished
    | Tokenized
    | Predicted
    | Scored
    | ScoreFinished
    | BenchMeasured
    | BenchFinished
    | Pong
    | EngineLost
)
