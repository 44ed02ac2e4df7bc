"""Commands from the app to an engine. Imperative names; every command is one frame.

`Abort` is idempotent and may name a request that has ended or never existed.
"""

from __future__ import annotations

from msgspec import Struct

from app.domain.conversation import Attachments, Role
from app.domain.generation import ContextPolicy, PromptSpans
from app.domain.model import LoadOptions, ModelSizes
from app.domain.sampling import SamplingParams


class ChatMessage(Struct, frozen=True, array_like=True):
    """One message as the chat template sees it."""

    role: Role
    content: str
    attachments: Attachments = ()
    answer_at: int = 0
    """Characters of a reply's content before its answer: its thinking."""


class LoadModel(Struct, frozen=True, tag=True, array_like=True):
    """Load a GGUF file, replacing the loaded model.

    Answered by `LoadProgress`… and then one of `ModelReady`, `LoadFailed`.
    """

    path: str
    options: LoadOptions = LoadOptions()
    sizes: ModelSizes | None = None
    """Sizes from the file's header; without them the engine fits the model only after the load."""


class CancelLoad(Struct, frozen=True, tag=True, array_like=True):
    """Cancel the load in progress; it ends with `LoadFailed`."""


class Generate(Struct, frozen=True, tag=True, array_like=True):
    """Generate one reply.

    Answered by `GenerationStarted`, `PrefillProgress`…, `TokensGenerated`…, and always by one `GenerationFinished`.
    """

    request_id: int
    """Chosen by the app, never used twice with one worker."""
    messages: tuple[ChatMessage, ...]
    """The whole branch, system prompt first; the last one is the user's."""
    sampling: SamplingParams
    trace_top_k: int = 10
    """Number of alternatives in each token's trace."""
    shares_prefix: bool = False
    """Whether it is one of several parallel replies to a prompt, which share the cells of their common prefix."""
    trace_stages: bool = False
    """Whether each token's trace includes the stage report."""
    speculate: bool | None = None
    """Whether to draft tokens when that pays, by the draft model or else by n-gram lookup; the distribution of replies
    does not change. None: only if a draft model is loaded."""
    context_policy: ContextPolicy = "stop"
    cacheable: bool = True
    """Whether the engine may write the state of this conversation, and so its text, to its cache folder."""
    prompt_ids: tuple[int, ...] = ()
    """The prompt as token ids; `messages` are then ignored, and no template is rendered."""
    reply_ids: tuple[int, ...] = ()
    """The first tokens of the reply, kept from an older one: the engine treats them as prompt and sends no event."""
    reply_text: str = ""
    """Text that follows `reply_ids`: tokenised as content, forced token by token, measured and reported as usual."""
    n_steps: int | None = None
    """Number of tokens before the request pauses by itself; 0 pauses before the first, None never."""
    include_prompt: bool = False
    """Whether to send `PromptRendered` after `GenerationStarted`."""
    conversation: int = 0
    """Id of the conversation, for `Forget`; with 0 a saved state is removed only by age."""
    prompt_spans: PromptSpans = PromptSpans()
    """How `prompt_ids` divide, if known; a shift of a full window keeps the system part."""


class Pause(Struct, frozen=True, tag=True, array_like=True):
    """Hold a request before its next token is chosen. Answered by `Paused`; no effect once it has ended."""

    request_id: int


class Resume(Struct, frozen=True, tag=True, array_like=True):
    """Continue a paused request; no effect if it is not paused. Nothing is recomputed."""

    request_id: int = 0
    """The session fills it in."""
    n_steps: int | None = None
    """Number of tokens before it pauses again, forced ones included; None never pauses."""
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
    """Whether to report, in place of tokens, how the prompt of a `Generate` with these `messages`, `max_tokens` and
    `context_policy` would fit the window now."""
    max_tokens: int | None = None
    context_policy: ContextPolicy = "stop"


class Predict(Struct, frozen=True, tag=True, array_like=True):
    """The distribution over the next token of a prompt; nothing is generated. Answered by one `Predicted`."""

    request_id: int
    messages: tuple[ChatMessage, ...]
    sampling: SamplingParams
    top_k: int = 20
    text: str = ""
    """A prompt in place of `messages`; no template is applied."""
    cacheable: bool = False
    """As in `Generate`."""


class Score(Struct, frozen=True, tag=True, array_like=True):
    """Compute how likely a given text is, token by token. Answered by `Scored`… and always by one `ScoreFinished`."""

    request_id: int
    text: str
    top_k: int = 10
    n_ctx: int = 0
    """Tokens of context for scoring, as llama-perplexity's `-c`; 0 is the whole window."""


class Forget(Struct, frozen=True, tag=True, array_like=True):
    """Delete the saved states of conversations, from every model, and do not save what is still in the cache.

    No answer. A later `Generate` that names one of them may be saved again.
    """

    conversations: tuple[int, ...]


class Bench(Struct, frozen=True, tag=True, array_like=True):
    """Measure the model alone, as llama-bench does: random tokens, no sampling, in a separate context.

    One of `n_prompt` and `n_gen` is 0. Answered by one `BenchMeasured` per repetition and always by one
    `BenchFinished`; the worker does nothing else meanwhile.
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
    """End a request now; the text so far is kept and `GenerationFinished` gives `abort`."""

    request_id: int


class Ping(Struct, frozen=True, tag=True, array_like=True):
    """Check that the worker is alive. A separate thread answers with `Pong`, also during a load or a decode."""


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
