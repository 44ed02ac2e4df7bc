"""The lines of a batch: from bytes to requests, or to what is wrong with them.

A line is `{"prompt" | "messages", "id"?, any field of SamplingParams?}`. Knows no file and no engine.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec
from msgspec import Struct

from app.cli.common.overrides import with_overrides
from app.config.problems import nearest
from app.domain.conversation import Role
from app.domain.errors import UsageError
from app.domain.sampling import Preset, SamplingParams
from app.domain.text import one_line
from app.protocol.commands import ChatMessage

LineId = str | int | None
_OWN = ("prompt", "messages", "id")
_KNOWN = (*_OWN, *SamplingParams.__struct_fields__)


class RawLine(Struct, frozen=True):
    """A line that is not blank."""

    index: int
    """Counts such lines from 0: its place in the output."""
    number: int
    """Counts all lines from 1: its place in the input."""
    data: bytes


class Request(Struct, frozen=True):
    """What one line asks."""

    index: int
    number: int
    id: LineId
    messages: tuple[ChatMessage, ...]
    sampling: SamplingParams


class BadLine(Struct, frozen=True):
    """A line that asks nothing that can be answered."""

    index: int
    number: int
    id: LineId
    error: str
    hint: str = ""


class _Said(Struct, frozen=True, forbid_unknown_fields=True):
    role: Role
    content: str


def split_lines(data: bytes) -> list[RawLine]:
    """Returns the lines that are not blank; a byte order mark at the beginning is passed over."""
    rows = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    filled = [(number, row) for number, row in enumerate(rows, 1) if row.strip()]
    return [RawLine(index, number, row) for index, (number, row) in enumerate(filled)]


def read_line(line: RawLine, preset: Preset) -> Request | BadLine:
    """Returns the request of a line: `preset` with the line's own values in place of its."""
    given: dict[str, Any] = {}
    line_id: LineId = None
    try:
        given = _object(line.data)
        line_id = _id(given.get("id"))
        _check_names(given)
        values = {key: value for key, value in given.items() if key not in _OWN}
        if isinstance(values.get("json_schema"), dict | bool):
            values["json_schema"] = msgspec.json.encode(values["json_schema"]).decode()
        sampling = with_overrides(preset.sampling, values)
        return Request(line.index, line.number, line_id, _messages(given, preset), sampling)
    except UsageError as error:
        return BadLine(line.index, line.number, line_id, str(error), error.hint)


def _object(data: bytes) -> dict[str, Any]:
    try:
        value: object = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise UsageError("not a JSON object", hint='as in {"prompt": "Write a haiku about rain"}')
    return cast("dict[str, Any]", value)


def _id(value: object) -> LineId:
    if value is None or (isinstance(value, str | int) and not isinstance(value, bool)):
        return value
    raise UsageError("`id` must be text or a whole number")


def _check_names(given: dict[str, Any]) -> None:
    for name in given:
        if name not in _KNOWN:
            close = nearest(name, _KNOWN)
            raise UsageError(f"unknown key `{one_line(name, 60)}`", f"did you mean `{close}`?" if close else "")


def _messages(given: dict[str, Any], preset: Preset) -> tuple[ChatMessage, ...]:
    if ("prompt" in given) == ("messages" in given):
        raise UsageError("a line needs either `prompt` or `messages`")
    prompt = given.get("prompt")
    if "prompt" in given and (not isinstance(prompt, str) or not prompt.strip()):
        raise UsageError("`prompt` must be text, and not empty")
    said = (_Said(Role.USER, prompt),) if isinstance(prompt, str) else _conversation(given["messages"])
    system = (ChatMessage(Role.SYSTEM, preset.system),) if preset.system and said[0].role is not Role.SYSTEM else ()
    return (*system, *(ChatMessage(one.role, one.content) for one in said))


def _conversation(value: object) -> tuple[_Said, ...]:
    try:
        said = msgspec.convert(value, tuple[_Said, ...])
    except msgspec.ValidationError as error:
        hint = 'as in [{"role": "user", "content": "Hi"}]; roles are system, user, assistant'
        raise UsageError(f"`messages` is wrong: {error}", hint) from error
    if not said or said[-1].role is not Role.USER:
        raise UsageError("`messages` must end with a message of the user")
    return said
