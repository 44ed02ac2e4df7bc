"""Our JSON: all that is stored of conversations. The manual's `json` topic has its schema.

A trace is the store's packed blob in base64; `tok export trace --json` prints a trace for other programs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

import msgspec
from msgspec import Struct
from msgspec.structs import asdict, replace

from app.archive.checks import NotUnderstoodError, check_tree
from app.domain.archive import ArchivedConversation, ArchivedMessage, ImportedFile, PackedTrace
from app.domain.conversation import Message, ReplyState
from app.domain.generation import Stop, Thinking, Timings, Usage
from app.domain.sampling import SamplingParams

FORMAT = "tokscope-history"
VERSION = 1

_BY_POSITION: Mapping[str, type[Struct]] = {"stop": Stop, "usage": Usage, "timings": Timings}
"""Values of a generation that msgspec writes as arrays; the file has objects."""


def as_document(conversations: Iterable[ArchivedConversation]) -> dict[str, Any]:
    """Returns the JSON document."""
    return {"format": FORMAT, "version": VERSION, "conversations": [_talk(each) for each in conversations]}


def _talk(conversation: ArchivedConversation) -> dict[str, Any]:
    return {
        **msgspec.to_builtins(replace(conversation, messages=())),
        "messages": [_row(each) for each in conversation.messages],
    }


def _row(archived: ArchivedMessage) -> dict[str, Any]:
    message = archived.message
    row: dict[str, Any] = {"parent": message.parent_id, **msgspec.to_builtins(message)}
    for name in ("id", "conversation_id", "parent_id", "attachments"):
        del row[name]
    row["thinking"] = message.thinking and asdict(message.thinking)
    if record := message.generation:
        for name in _BY_POSITION:
            value = getattr(record, name)
            row["generation"][name] = value and asdict(value)
    if archived.sampling:
        row["sampling"] = msgspec.to_builtins(archived.sampling)
    if archived.trace:
        row["trace"] = msgspec.to_builtins(archived.trace)
    return row


def read_document(document: Mapping[str, Any]) -> ImportedFile:
    """Reads a document of FORMAT. Raises NotUnderstoodError, which names the place."""
    version = document.get("version")
    if version != VERSION:
        raise NotUnderstoodError(f"version {version!r} of the format is not known", "Update tokscope.")
    talks = document.get("conversations")
    if not isinstance(talks, list):
        raise NotUnderstoodError("`conversations` is not an array")
    return ImportedFile(tuple(_conversation(number, talk) for number, talk in enumerate(cast("list[Any]", talks))))


def _conversation(number: int, talk: Any) -> ArchivedConversation:  # noqa: ANN401 -- whatever the file has there
    place = f"conversations[{number}]"
    try:
        rows = talk["messages"]
        head = msgspec.convert({**talk, "messages": []}, ArchivedConversation)
        messages: list[ArchivedMessage] = []
        for index, row in enumerate(rows):
            place = f"conversations[{number}].messages[{index}]"
            messages.append(_message(index + 1, row))
        place = f"conversations[{number}]"
        found = replace(head, messages=tuple(messages))
        check_tree(found)
    except (NotUnderstoodError, msgspec.ValidationError, LookupError, TypeError, AttributeError) as error:
        reason = f"`{error.args[0]}` is missing" if isinstance(error, KeyError) else str(error)
        raise NotUnderstoodError(f"{place}: {reason}") from error
    return found


def _message(number: int, row: dict[str, Any]) -> ArchivedMessage:
    fields = {**row, "id": number, "conversation_id": 0, "parent_id": row.get("parent")}
    fields["thinking"] = _from_object(Thinking, row.get("thinking"))
    if generation := row.get("generation"):
        fields["generation"] = {
            **generation,
            **{name: _from_object(kind, generation.get(name)) for name, kind in _BY_POSITION.items()},
        }
    message = msgspec.convert(fields, Message)
    if message.state is ReplyState.STREAMING:
        message = replace(message, state=ReplyState.INTERRUPTED)
    return ArchivedMessage(
        message,
        msgspec.convert(row.get("sampling"), SamplingParams | None),
        msgspec.convert(row.get("trace"), PackedTrace | None),
    )


def _from_object(kind: type[Struct], value: dict[str, Any] | None) -> list[Any] | None:
    if value is None:
        return None if kind in (Stop, Thinking) else []
    return [value.get(field.name, field.default) for field in msgspec.structs.fields(kind)]
