"""ChatGPT's export: branches are kept, what has no text is counted, nothing crashes."""

from __future__ import annotations

from typing import Any

import pytest

from app.archive.chatgpt import is_chatgpt, read_chatgpt
from app.domain.conversation import Role


def node(parent: str | None, role: str, *parts: Any, kind: str = "text") -> dict[str, Any]:
    content = {"content_type": kind, "parts": list(parts)}
    return {"parent": parent, "message": {"author": {"role": role}, "create_time": 12.5, "content": content}}


def talk(**mapping: dict[str, Any]) -> dict[str, Any]:
    return {"title": "Sea", "create_time": 10.25, "update_time": 20, "mapping": mapping, "current_node": "first"}


BRANCHED = talk(
    root={"parent": None, "message": None},
    system=node("root", "system", ""),
    ask=node("system", "user", "How deep?"),
    search=node("ask", "tool", "results"),
    first=node("search", "assistant", "Deep."),
    second=node("ask", "assistant", "Eleven", "kilometres."),
    code=node("second", "assistant", kind="code"),
    picture=node("second", "user", {"asset": 1}, "What is this?", kind="multimodal_text"),
)


def test_branches_are_kept_and_nodes_without_text_are_left_out() -> None:
    assert is_chatgpt([BRANCHED])
    archive = read_chatgpt([BRANCHED])
    (found,) = archive.conversations
    assert (found.title, found.created_ms, found.updated_ms) == ("Sea", 10_250, 20_000)
    assert [(row.message.parent_id, row.message.role, row.message.content) for row in found.messages] == [
        (None, Role.USER, "How deep?"),
        (1, Role.ASSISTANT, "Deep."),
        (1, Role.ASSISTANT, "Eleven\n\nkilometres."),
        (3, Role.USER, "What is this?"),
    ]
    assert [message.content for message in found.branch] == ["How deep?", "Deep."]
    assert archive.skipped == {"tool message": 1, "code of assistant": 1, "part without text": 1}


@pytest.mark.parametrize(
    "damaged",
    [
        3,
        {},
        {"mapping": 3},
        {"mapping": {"a": 3}},
        {**BRANCHED, "create_time": float("inf")},
        {**BRANCHED, "create_time": -5},
        talk(a={"parent": ["x"], "message": None}),
    ],
)
def test_a_damaged_conversation_is_counted_and_the_others_are_read(damaged: Any) -> None:
    archive = read_chatgpt([damaged, BRANCHED])
    assert len(archive.conversations) == 1
    assert archive.skipped["damaged conversation"] == 1


def test_a_loop_and_an_empty_conversation_hold_no_text() -> None:
    archive = read_chatgpt([talk(a=node("b", "user", "x"), b=node("a", "user", "y")), talk()])
    assert archive.conversations == ()
    assert archive.skipped == {"conversation without text": 2}


def test_a_deep_tree_is_read() -> None:
    chain = {str(n): node(str(n - 1) if n else None, "user", "x") for n in range(5000)}
    assert len(read_chatgpt([talk(**chain)]).conversations[0].messages) == 5000
