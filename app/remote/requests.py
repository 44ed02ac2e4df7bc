"""A `Generate` as the body of a request. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

from msgspec import Struct

from app.protocol.commands import ChatMessage, Generate
from app.remote.fields import table
from app.remote.parameters import sampling_fields
from app.remote.servers import OLLAMA, Server


class ChatRequest(Struct, frozen=True):
    """What is sent, and what cannot be."""

    path: str
    body: dict[str, Any]
    ignored: tuple[str, ...] = ()
    """Sampling parameters that have no effect on the server."""


_NEEDED = frozenset(
    {
        *("model", "messages", "stream", "stop", "max_tokens", "max_completion_tokens", "num_predict", "options"),
        *("response_format", "format", "structured_outputs", "regex", "grammar"),
    }
)
"""Fields without which a reply would not be what was asked for; others may be left out if a server refuses them."""


class Target(Struct, frozen=True):
    """Where requests go."""

    server: Server
    model: str
    """As the server names it."""
    n_ctx: int = 0
    """The window that the user wants, in tokens; 0 leaves it to the server."""


def chat_request(command: Generate, target: Target, seed: int, refused: Collection[str] = ()) -> ChatRequest:
    """The request for one reply, without the fields that the server has refused before.

    Raises GenerationError for a constraint that the server does not take.
    """
    server = target.server
    sampling = command.sampling
    fields, ignored = sampling_fields(sampling, server)
    # A server counts the prompt, so only it could leave turns out.
    ignored += ["context"] if command.context_policy != "stop" else []
    fields["seed"] = seed
    if sampling.max_tokens is not None:
        fields[server.max_tokens] = sampling.max_tokens
    if server.n_ctx and target.n_ctx:
        fields[server.n_ctx] = target.n_ctx
    n_top = min(command.trace_top_k, server.max_top)
    extra = dict(server.extra) | ({"logprobs": True, "top_logprobs": n_top} if n_top else {})
    if server is OLLAMA:
        placed = {name: fields.pop(name) for name in ("format",) if name in fields}
        fields = placed | {"options": {name: value for name, value in fields.items() if name not in refused}}
    body = {"model": target.model, "messages": _messages(command.messages), "stream": True, **fields, **extra}
    return ChatRequest(
        server.path, {name: value for name, value in body.items() if name not in refused}, tuple(ignored)
    )


def refused_fields(request: ChatRequest, reason: str) -> set[str]:
    """The fields of a request that an error of the server names and that a reply can do without."""
    names = {*request.body, *table(request.body, "options")} - _NEEDED
    found = {name for name in names if re.search(rf"\b{name}\b", reason)}
    # `top_logprobs` without `logprobs` is refused in turn.
    return found | ({"logprobs", "top_logprobs"} & names if found & {"logprobs", "top_logprobs"} else set())


def _messages(messages: Sequence[ChatMessage]) -> list[dict[str, str]]:
    return [{"role": message.role.value, "content": message.content[message.answer_at :]} for message in messages]
