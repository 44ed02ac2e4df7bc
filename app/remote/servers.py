"""The servers by kind: which parameters each takes, under which names, and what it reports. Tables.

Sources: llama.cpp's tools/server/server-schema.cpp; vLLM's and SGLang's ChatCompletionRequest; TGI's ChatRequest;
Ollama's api/types.go (`Options`); llama-cpp-python's server/types.py; the API references of OpenAI, OpenRouter and
LM Studio.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct, field


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


_CORE = _same("temperature", "top_p", "frequency_penalty", "presence_penalty")
_CHAT = "/chat/completions"
_USAGE = {"stream_options": {"include_usage": True}}
_LIVE_USAGE = {"stream_options": {"include_usage": True, "continuous_usage_stats": True}}


class Server(Struct, frozen=True, kw_only=True):
    """One kind of server."""

    title: str
    path: str = _CHAT
    """Of a chat request, below the API's address; it starts with `//` where it lies below the host."""
    sampling: Mapping[str, str] = field(default_factory=lambda: _CORE)
    """Fields of `SamplingParams` that it takes, with its names for them."""
    max_tokens: str = "max_tokens"
    n_ctx: str = ""
    """Option that sets the window, for a server whose requests choose it; empty for others."""
    extra: Mapping[str, Any] = field(default_factory=lambda: _USAGE)
    """Sent with every request, so that the server reports what it can."""
    max_top: int = 20
    """Most alternatives that it reports with a token; 0: it reports no log-probabilities."""
    schema: Literal["response_format", "format", ""] = "response_format"
    """Where a JSON schema goes; empty: nowhere."""
    regex: str = ""
    """Where a regular expression goes, as a path of keys with dots; empty: nowhere."""
    grammar: str = ""
    """Where a grammar in GBNF goes."""
    bias: Literal["ids", "any", ""] = "ids"
    """Whether tokens are biased by their ids, by their texts too, or not at all."""
    omits_off: bool = False
    """Whether it refuses values that do nothing, as TGI a `top_p` of 1."""


_LLAMA_NAMES = _same(
    *("top_k", "min_p", "typical_p", "top_n_sigma", "xtc_probability", "xtc_threshold", "repeat_penalty"),
    *("dry_multiplier", "dry_base", "dry_allowed_length", "dry_penalty_last_n", "dry_sequence_breakers"),
    *("dynatemp_range", "dynatemp_exponent", "adaptive_target", "adaptive_decay"),
    *("mirostat", "mirostat_tau", "mirostat_eta", "samplers"),
)

OTHER = Server(title="OpenAI API")
OPENAI = Server(title="OpenAI", max_tokens="max_completion_tokens")
LLAMA_SERVER = Server(
    title="llama-server",
    sampling=_CORE | _LLAMA_NAMES | {"penalty_last_n": "repeat_last_n"},
    extra=_USAGE | {"timings_per_token": True, "return_progress": True},
    max_top=100,
    grammar="grammar",
    bias="any",
)
VLLM = Server(
    title="vLLM",
    sampling=_CORE | _same("top_k", "min_p") | {"repeat_penalty": "repetition_penalty"},
    extra=_LIVE_USAGE,
    regex="structured_outputs.regex",
)
SGLANG = Server(
    title="SGLang",
    sampling=_CORE | _same("top_k", "min_p") | {"repeat_penalty": "repetition_penalty"},
    extra=_LIVE_USAGE,
    regex="regex",
)
TGI = Server(title="TGI", max_top=5, bias="", omits_off=True)
OLLAMA = Server(
    title="Ollama",
    path="//api/chat",
    sampling=_CORE
    | _same("top_k", "min_p", "typical_p", "repeat_penalty", "mirostat", "mirostat_tau", "mirostat_eta")
    | {"penalty_last_n": "repeat_last_n"},
    max_tokens="num_predict",
    n_ctx="num_ctx",
    extra={},
    schema="format",
    bias="",
)
LM_STUDIO = Server(title="LM Studio", sampling=_CORE | _same("top_k", "repeat_penalty"), max_top=0)
OPENROUTER = Server(
    title="OpenRouter",
    sampling=_CORE | _same("top_k", "min_p") | {"repeat_penalty": "repetition_penalty"},
    extra=_USAGE | {"usage": {"include": True}},
)
LLAMA_CPP_PYTHON = Server(
    title="llama-cpp-python",
    sampling=_CORE
    | _same("top_k", "min_p", "repeat_penalty", "mirostat_tau", "mirostat_eta")
    | {"mirostat": "mirostat_mode"},
    grammar="grammar",
)

_OWNERS = {
    "llamacpp": LLAMA_SERVER,
    "vllm": VLLM,
    "sglang": SGLANG,
    "library": OLLAMA,
    "organization_owner": LM_STUDIO,
    "me": LLAMA_CPP_PYTHON,
}
_HOSTS = {"openrouter.ai": OPENROUTER, "api.openai.com": OPENAI}


def server_of(host: str, model_id: str, owned_by: str) -> Server:
    """The kind of a server, by its host or by who it says owns a model that it lists."""
    if known := _HOSTS.get(host):
        return known
    if owned_by and owned_by == model_id:
        return TGI
    return _OWNERS.get(owned_by, OTHER)
