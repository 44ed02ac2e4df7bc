"""What the app asks of an engine. Imperative names; every command is one frame.

`Abort` is idempotent and may name a request that has ended or never was.
"""

from __future__ import annotations

from msgspec import Struct

from app.domain.conversation import Role
from app.domain.generation import ContextPolicy, PromptSpans
from app.domain.model import LoadOptions, ModelSizes
from app.domain.sampling import SamplingParams


class ChatMessage(Struct, frozen=True, array_like=True):
    """One message as the chat template sees it."""

    role: Role
    content: str


class LoadModel(Struct, frozen=True, tag=True, array_like=True):
    """Load a GGUF file in place of the model that is loaded, if any.

    Answered by `LoadProgress`… and then one of `ModelReady`, `LoadFailed`.
    """

    path: str
    options: LoadOptions = LoadOptions()
    sizes: ModelSizes | None = None
    """Of the file's header; without them nothing is fitted before the load, only after it."""


class CancelLoad(Struct, frozen=True, tag=True, array_like=True):
    """Give up the load in progress; it ends with `LoadFailed`."""


class Generate(Struct, frozen=True, tag=True, array_like=True):
    """Continue a conversation by one reply.

    Answered by `GenerationStarted`, `PrefillProgress`…, `TokensGenerated`…, and always by one `GenerationFinished`.
    """

    request_id: int
    """Chosen by the app, never used twice with one worker."""
    messages: tuple[ChatMessage, ...]
    """The whole branch, system prompt first; the last one is the user's."""
    sampling: SamplingParams
    trace_top_k: int = 10
    """How many alternatives each token's trace carries; 0 is none."""
    branch: bool = False
    """One of several continuations of a prompt: it shares the cells of what they have in common with the others."""
    trace_stages: bool = False
    """Whether each token's trace carries the stage report."""
    speculate: bool | None = None
    """Whether tokens are drafted where that pays, by the draft model or else by n-gram lookup; the reply is distributed
    as without. None: where a draft model is loaded."""
    context_policy: ContextPolicy = "stop"
    cacheable: bool = True
    """Whether the engine may write the state of this conversation, and so its text, to its cache folder."""
    prompt_ids: tuple[int, ...] = ()
    """The prompt as token ids; `messages` are not looked at then, and no template is rendered."""
    reply_ids: tuple[int, ...] = ()
    """The first tokens of the reply, kept from an older one: they are prompt to the engine and come in no event."""
    reply_text: str = ""
    """Text that continues the reply: tokenised as content, forced token by token, measured and reported like others."""
    n_steps: int | None = None
    """How many tokens come before the request pauses, as if `Pause` was sent: 0 is before the first; None: never."""
    include_prompt: bool = False
    """Whether `PromptRendered` follows `GenerationStarted`."""
    conversation: int = 0
    """What `Forget` calls the conversation whose state may be saved; 0: it has no name, and only age removes it."""
    prompt_spans: PromptSpans = PromptSpans()
    """How `prompt_ids` divide, where that is known; the system part is kept when a full window is shifted."""


class Pause(Struct, frozen=True, tag=True, array_like=True):
    """Hold a request before its next token is chosen. Answered by `Paused`; no effect on one that is over."""

    request_id: int


class Resume(Struct, frozen=True, tag=True, array_like=True):
    """Continues a paused request; no effect on one that is not paused. Nothing is computed again."""

    request_id: int = 0
    """The session fills it in."""
    n_steps: int | None = None
    """Number of tokens before it pauses again, forced ones included; None: never."""
    force_ids: tuple[int, ...] = ()
    """Tokens that come next, not sampled."""
    force_text: str = ""
    """Text that comes after them: tokenised as content, not sampled."""
    ban_ids: tuple[int, ...] = ()
    """Tokens that this request no longer samples."""
    unban_ids: tuple[int, ...] = ()
    """Tokens of an earlier `ban_ids` that may be sampled again; bans of the sampling parameters stay."""


class Tokenize(Struct, frozen=True, tag=True, array_like=True):
    """Answered by one `Tokenized`: the tokens of `messages` through the chat template, or else those of `text`."""

    request_id: int
    text: str = ""
    messages: tuple[ChatMessage, ...] = ()
    parse_special: bool = False
    """Whether the names of control tokens in `text` mean these tokens."""
    fit_only: bool = False
    """Whether no token is told, but how the prompt of a `Generate` with these `messages`, `max_tokens` and
    `context_policy` would fit the window if it was sent now."""
    max_tokens: int | None = None
    context_policy: ContextPolicy = "stop"


class Predict(Struct, frozen=True, tag=True, array_like=True):
    """The distribution over the next token of a prompt; nothing is generated. Answered by one `Predicted`."""

    request_id: int
    messages: tuple[ChatMessage, ...]
    sampling: SamplingParams
    top_k: int = 20
    text: str = ""
    """In place of `messages`: a prompt that no template is applied to."""
    cacheable: bool = False
    """As in `Generate`: true for what belongs to a conversation that may be saved."""


class Score(Struct, frozen=True, tag=True, array_like=True):
    """How likely a given text is, token by token. Answered by `Scored`… and always by one `ScoreFinished`."""

    request_id: int
    text: str
    top_k: int = 10
    n_ctx: int = 0
    """Tokens of context that a token is scored in, as llama-perplexity's `-c`; 0 is the whole window."""


class Forget(Struct, frozen=True, tag=True, array_like=True):
    """Delete the saved states of conversations, whatever model made them, and save nothing of them that still lies in
    the cache. No answer; a later `Generate` that names one of them may be saved again."""

    conversations: tuple[int, ...]


class Bench(Struct, frozen=True, tag=True, array_like=True):
    """Measure the model alone, as llama-bench does: random tokens, nothing sampled, in a context of its own.

    One of `n_prompt` and `n_gen` is 0. Answered by one `BenchMeasured` a repetition and always by one `BenchFinished`;
    the worker does nothing else meanwhile.
    """

    request_id: int
    n_prompt: int
    """Tokens computed as a prompt."""
    n_gen: int
    """Tokens computed one by one."""
    depth: int = 0
    """Tokens in the cache before the clock starts."""
    n_reps: int = 1
    warm_up: bool = True


class Abort(Struct, frozen=True, tag=True, array_like=True):
    """End a request now; what was generated is kept and `GenerationFinished` says `abort`."""

    request_id: int


class Ping(Struct, frozen=True, tag=True, array_like=True):
    """Ask for a sign of life. Answered by `Pong` from a thread of its own, also in the middle of a load or a decode."""


class Shutdown(Struct, frozen=True, tag=True, array_like=True):
    """Free everything and exit. Closing the worker's stdin does the same."""


Command = (
    LoadModel
    | CancelLoad
    | Generate
    | Pause
    | Resume
    | Tokenize
    | Predict
    | Score
    | Forget
    | Bench
    | Abort
    | Ping
    | Shutdown
)
