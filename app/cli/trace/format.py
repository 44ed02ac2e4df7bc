"""The format of a trace file: JSON lines, each an object with `event`; wire values as objects with named keys."""

from __future__ import annotations

import math
import re
from functools import cache
from itertools import accumulate, pairwise
from typing import Any, TypeVar, cast

import msgspec
from msgspec import Struct, inspect

from app.analysis.recording import ModelOfRecord
from app.domain.generation import ContextPolicy, PromptSpans
from app.domain.sampling import SamplingParams
from app.domain.trace import PromptToken
from app.protocol.commands import ChatMessage
from app.protocol.events import ContextShifted, ContextTrimmed, GenerationFinished, PrefillProgress, TokensGenerated

S = TypeVar("S", bound=Struct)


def to_named(value: object) -> Any:  # noqa: ANN401 -- whatever JSON can carry
    """Returns `value` as dicts, lists and plain values; every field of a struct by its name."""
    match value:
        case Struct():
            return {name: to_named(getattr(value, name)) for name in value.__struct_fields__}
        case list() | tuple():
            return [to_named(item) for item in cast("tuple[object, ...]", value)]
        case dict():
            return {key: to_named(item) for key, item in cast("dict[str, object]", value).items()}
        case float():
            return value if math.isfinite(value) else None
        case _:
            return value


def from_named(data: object, kind: type[S]) -> S:
    """Builds a struct of `kind`, strictly typed. Raises ValueError that names what is missing or wrong."""
    try:
        return msgspec.convert(_as_wire(data, _type_of(kind)), kind)
    except msgspec.ValidationError as error:
        raise ValueError(_with_name(str(error), kind)) from None


@cache
def _type_of(kind: type[Struct]) -> inspect.Type:
    return inspect.type_info(kind)


def _with_name(message: str, kind: type[Struct]) -> str:
    """Names the field that msgspec gives by number."""
    names = ("", *kind.__struct_fields__) if kind.__struct_config__.tag else kind.__struct_fields__
    return re.sub(r"`\$\[(\d+)\]", lambda match: f"`{names[int(match[1])]}", message, count=1)


def _as_wire(data: object, kind: inspect.Type) -> object:
    """Puts the values in the order and the shape that `msgspec.convert` expects of `kind`."""
    match kind:
        case inspect.StructType() if isinstance(data, dict):
            return _struct(cast("dict[str, object]", data), kind)
        case inspect.VarTupleType() if isinstance(data, list):
            return [_as_wire(item, kind.item_type) for item in cast("list[object]", data)]
        case inspect.UnionType() if data is not None:
            return _as_wire(data, next((t for t in kind.types if isinstance(t, inspect.StructType)), kind.types[0]))
        case inspect.FloatType() if data is None:
            return -math.inf
        case _:
            return data


def _struct(data: dict[str, object], kind: inspect.StructType) -> object:
    values: dict[str, object] = {}
    for field in kind.fields:
        if field.name in data:
            values[field.name] = _as_wire(data[field.name], field.type)
        elif field.required:
            raise ValueError(f"`{field.name}` is missing")
    if not kind.array_like:
        return values
    # An array has no holes: what is missing is filled up with defaults.
    fields = [
        values[field.name] if field.name in values else msgspec.to_builtins(_default(field)) for field in kind.fields
    ]
    return fields if kind.tag is None else [kind.tag, *fields]


def _default(field: inspect.Field) -> object:
    return field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default


FORMAT = "tokscope-trace"
VERSION = 1
HEADER, TOKEN, TEXT, END = "header", "token", "text", "end"

KINDS: dict[str, type[PrefillProgress | ContextTrimmed | ContextShifted | GenerationFinished]] = {
    "prefill": PrefillProgress,
    "trimmed": ContextTrimmed,
    "shifted": ContextShifted,
    END: GenerationFinished,
}
"""The events whose lines carry the fields of the event, but for the request's id."""


class Header(Struct, frozen=True, kw_only=True):
    """The first line, but for `event`."""

    format: str = FORMAT
    version: int = VERSION
    tokscope: str
    """The program's version."""
    time: str
    build: str
    """Of llama.cpp; the same as in `model`."""
    model: ModelOfRecord
    preset: str
    sampling: SamplingParams
    seed: int
    speculate: bool | None
    n_prompt: int
    n_cached: int
    n_restored: int = 0
    n_shared: int = 0
    spans: PromptSpans
    notices: tuple[str, ...] = ()
    messages: tuple[ChatMessage, ...]
    prompt: tuple[PromptToken, ...] = ()
    context: ContextPolicy = "stop"
    """What was to happen where the window fills."""


def header_line(header: Header) -> dict[str, Any]:
    """The header as it is written."""
    return {"event": HEADER} | to_named(header)


def event_line(name: str, at_ms: float, event: Struct) -> dict[str, Any]:
    """One of `KINDS`."""
    fields = to_named(event)
    del fields["request_id"]
    return {"event": name, "at_ms": round(at_ms, 3)} | fields


def token_lines(before_ms: float, event: TokensGenerated) -> list[dict[str, Any]]:
    """One line a token, each with its own time; `shown` is the text that it brought to the screen.

    `before_ms` is the time of the token before. Where `n_bytes` do not cut the text, the last token shows it all.
    """
    if not event.tokens:
        return [{"event": TEXT, "at_ms": round(before_ms, 3), "shown": event.text}] if event.text else []
    times = accumulate((token.ms for token in event.tokens), initial=before_ms)
    next(times)
    return [
        {"event": TOKEN, "at_ms": round(at_ms, 3)} | to_named(token) | {"shown": shown}
        for token, at_ms, shown in zip(event.tokens, times, _shown(event), strict=True)
    ]


def _shown(event: TokensGenerated) -> list[str]:
    data = event.text.encode()
    ends = list(accumulate(token.n_bytes for token in event.tokens))
    try:
        if ends[-1] == len(data):
            return [data[start:end].decode() for start, end in pairwise([0, *ends])]
    except UnicodeDecodeError:
        pass
    return [""] * (len(ends) - 1) + [event.text]
