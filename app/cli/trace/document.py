"""A conversation with its traces as one JSON document, and as one page for a browser with no script from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any

from app.analysis.recording import Recording
from app.cli.trace.format import to_named
from app.cli.trace.stored import TracedMessage, utc_time
from app.domain.conversation import GenerationRecord, Message, ReplyState, Role
from app.domain.text import one_line, safe_text
from app.domain.trace import ReplyTrace


def document_of(
    title: str, messages: Sequence[TracedMessage], clean: Callable[[str], str] = lambda text: text
) -> dict[str, Any]:
    """Returns `{title, messages: [{id, role, content, …, trace}]}`; `clean` is applied to every text in it."""
    return {"title": clean(title), "messages": [_cleaned(_message(each), clean) for each in messages]}


def recorded(recording: Recording) -> tuple[str, list[TracedMessage]]:
    """The same of a trace file: a title and the messages."""
    said = [
        Message(id=n, conversation_id=0, parent_id=None, role=each.role, content=each.content, created_ms=0)
        for n, each in enumerate(recording.messages, 1)
        if each.role is not Role.SYSTEM
    ]
    finished = recording.finished
    record = finished and GenerationRecord(
        model=recording.model.title or recording.model.name,
        preset=recording.preset,
        seed=recording.started.seed,
        finish_reason=finished.finish_reason,
        stop=finished.stop,
        usage=finished.usage,
        timings=finished.timings,
        error=finished.error,
    )
    reply = Message(
        id=len(recording.messages) + 1,
        conversation_id=0,
        parent_id=None,
        role=Role.ASSISTANT,
        content=recording.text,
        created_ms=0,
        state=ReplyState.DONE if finished else ReplyState.INTERRUPTED,
        generation=record,
    )
    title = one_line(said[-1].content, 60) if said else recording.source
    return title, [*map(TracedMessage, said), TracedMessage(reply, recording.trace())]


def _message(traced: TracedMessage) -> dict[str, Any]:
    message = traced.message
    return {
        "id": message.id,
        "role": message.role,
        "created": utc_time(message.created_ms) if message.created_ms else None,
        "state": message.state,
        "content": message.content,
        "generation": to_named(message.generation),
        "trace": _trace(message.content, traced.trace) if traced.trace else None,
    }


def _trace(content: str, trace: ReplyTrace) -> dict[str, Any]:
    """The trace, each token with `shown`, its part of the content; `rest` is what no token accounts for."""
    data, named = content.encode(), to_named(trace)
    start = 0
    for token, end in zip(named["tokens"], trace.ends(), strict=True):
        token["shown"] = data[start:end].decode("utf-8", "replace")
        start = end
    return named | {"rest": data[start:].decode("utf-8", "replace")}


def _cleaned(value: Any, clean: Callable[[str], str]) -> Any:  # noqa: ANN401 -- whatever JSON can carry
    match value:
        case str():
            return clean(value)
        case list():
            return [_cleaned(item, clean) for item in value]  # pyright: ignore[reportUnknownVariableType] -- JSON
        case dict():
            return {key: _cleaned(item, clean) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType] -- JSON
        case _:
            return value


_ESCAPES = {ord(char): f"\\u{ord(char):04x}" for char in "<>&'"}


def render(title: str, messages: Sequence[TracedMessage]) -> bytes:
    """Returns the whole page."""
    style, script = _part("page.css"), _part("page.js")
    policy = f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; base-uri 'none'"
    data = json.dumps(document_of(title, messages, safe_text), allow_nan=False).translate(_ESCAPES)
    values = {
        "policy": html.escape(policy, quote=False),
        "title": html.escape(safe_text(title)),
        "style": style,
        "script": script,
        "data": data,
    }
    # Cut at the marks before anything is put in: what is put in may hold a mark.
    first, *rest = _part("page.html").split("{{")
    parts = [first]
    for part in rest:
        name, _, after = part.partition("}}")
        parts += [values[name], after]
    return "".join(parts).encode()


def _part(name: str) -> str:
    return resources.files("app.cli.trace").joinpath("page_parts", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
