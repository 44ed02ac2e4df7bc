"""`tok history export` and `import`: the round trip, what is there already, and hostile files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from app.config.paths import data_dir
from app.store.store import Store
from tests.unit.cli.history.conftest import HOSTILE, with_store


def erase() -> None:
    shutil.rmtree(data_dir())


def test_a_json_export_comes_back_identical_into_an_empty_store(tok, two, tmp_path: Path) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    tok("history", "rm", "2")
    tok("history", "restore", "2")
    assert tok("history", "export", "--all", "-o", str(first)).code == 0
    erase()
    outcome = tok("history", "import", str(first), "--json")
    assert [each["id"] for each in outcome.json["added"]] == [1, 2]
    tok("history", "export", "--all", "-o", str(second))
    assert first.read_bytes() == second.read_bytes()
    (sea, _) = json.loads(first.read_text())["conversations"]
    assert [row["parent"] for row in sea["messages"]] == [None, 1, 1]
    assert sea["tip"] == 2
    assert sea["messages"][1]["generation"]["usage"] == {"n_prompt": 12, "n_cached": 3, "n_generated": 5}
    assert sea["messages"][1]["sampling"]["temperature"] == 0.3


def test_traces_and_settings_come_back(tok, two, tmp_path: Path) -> None:
    file = tmp_path / "all.json"
    tok("history", "export", "1", "-o", str(file))
    traced = tok("export", "trace", "1", "--json").json
    erase()
    tok("history", "import", str(file))
    assert tok("export", "trace", "1", "--json").json == traced

    async def look(store: Store) -> None:
        settings = (await store.conversation(1)).settings
        assert settings
        assert (settings.model, settings.preset.system) == ("/models/tiny.gguf", "Be brief.")

    with_store(look)


def test_a_second_import_adds_nothing_even_to_a_conversation_that_was_continued(tok, two, tmp_path: Path) -> None:
    file = tmp_path / "all.json"
    tok("history", "export", "--all", "-o", str(file), "--json")

    async def continue_it(store: Store) -> None:
        from app.domain.conversation import Role

        await store.add_message(1, 2, Role.USER, "And the lake?")
        await store.rename(1, "Waters")

    with_store(continue_it)
    assert tok("history", "import", str(file), "--json").json == {"added": [], "n_stored": 2, "skipped": {}}
    assert tok("history", "import", str(file)).err == "tok: 2 were stored already\n"


def test_markdown_holds_what_is_shown(tok, two, tmp_path: Path) -> None:
    file = tmp_path / "talk.md"
    assert tok("history", "export", "1", "2", "-o", str(file)).err == f"tok: 2 conversations written to {file}\n"
    text = file.read_text()
    assert text.count("---\ntitle: ") == 2
    assert not set("\x1b\x07\u202e") & set(text)
    assert tok("history", "export", "1", "-o", "-").out == tok("history", "show", "1").out


def test_the_page_holds_what_is_shown(tok, two, tmp_path: Path) -> None:
    file = tmp_path / "talk.html"
    assert tok("history", "export", "--all", "-o", str(file), "--json").json["format"] == "html"
    text = file.read_text()
    assert "<title>2 conversations</title>" in text
    assert "<p>Very deep.</p>" in text
    assert not set("\x1b\x07\u202e") & set(text)


def test_a_file_is_replaced_only_if_asked(tok, two, tmp_path: Path) -> None:
    file = tmp_path / "talk.md"
    file.write_text("mine")
    outcome = tok("history", "export", "1", "-o", str(file))
    assert (outcome.code, file.read_text()) == (2, "mine")
    assert tok("history", "export", "1", "-o", str(file), "--overwrite").code == 0
    assert "The sea" in file.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "x.md"], "give conversation numbers, or --all"),
        (["1", "--all", "-o", "x.md"], "give conversation numbers, or --all"),
        (["9", "-o", "x.md"], "there is no conversation 9"),
        (["1", "-o", "-", "--json"], "--json cannot be combined with -o -"),
        (["1"], "Missing option"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_a_usage_error_and_writes_nothing(
    tok, two, arguments, message: str, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = tok("history", "export", *arguments)
    assert outcome.code == 2
    assert message in outcome.err
    assert list(tmp_path.glob("*.md")) == []


ROW: dict[str, Any] = {"role": "user", "content": "Hi", "created_ms": 1}
TALK: dict[str, Any] = {"title": "A", "created_ms": 1, "updated_ms": 1, "messages": [ROW]}
REPLY: dict[str, Any] = {**ROW, "role": "assistant", "parent": 1}
TOO_LARGE = {"model": "", "preset": "", "seed": 2**70, "finish_reason": "stop"}


def document(*talks: Any) -> dict[str, Any]:
    return {"format": "tokscope-history", "version": 1, "conversations": list(talks)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no valid JSON"),
        ("\x00\xff", "no valid JSON"),
        ("[" * 100_000, "no valid JSON"),
        ("{}", "not an export that tokscope can read"),
        ("7", "not an export that tokscope can read"),
        ({**document(), "version": 2}, "version 2 of the format is not known"),
        ({**document(), "conversations": 3}, "`conversations` is not an array"),
        (document(3), "conversations[0]"),
        (document({}), "conversations[0]: `messages` is missing"),
        (document(TALK, {**TALK, "messages": [{**ROW, "role": "king"}]}), "conversations[1].messages[0]"),
        (document({**TALK, "messages": [{**ROW, "parent": 1}]}), "the parent 1, which is not before it"),
        (document({**TALK, "tip": 2}), "the tip is 2 of 1 messages"),
        (document({**TALK, "created_ms": 10**40}), "conversations[0]"),
        (document({**TALK, "created_ms": -1}), "-1 is not a time"),
        (document({**TALK, "messages": [{**ROW, "generation": TOO_LARGE}]}), "conversations[0]"),
        (document({**TALK, "messages": [ROW, {**REPLY, "generation": TOO_LARGE}]}), "conversations[0]"),
        (
            document({**TALK, "messages": [ROW, {**REPLY, "trace": {"format": 1, "n_tokens": 1, "data": "%"}}]}),
            "base64",
        ),
        (document({**TALK, "messages": [{**ROW, "thinking": {"start": 0, "end": 9, "answer": 9}}]}), "thinking"),
    ],
)
def test_a_hostile_file_is_a_clear_error_and_adds_nothing(tok, two, content, message: str, tmp_path: Path) -> None:
    file = tmp_path / f"bad{HOSTILE[:1]}.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    outcome = tok("history", "import", str(file))
    assert outcome.code == 1
    assert message in outcome.err
    assert "\x1b" not in outcome.err
    assert len(tok("history", "--json").json) == 2


def test_a_trace_that_cannot_be_read_is_no_trace(tok, tmp_path: Path) -> None:
    file = tmp_path / "odd.json"
    talk = {
        **TALK,
        "title": HOSTILE,
        "messages": [ROW, {**REPLY, "trace": {"format": 1, "n_tokens": 1, "data": "AAAA"}}],
    }
    file.write_text(json.dumps(document(talk)))
    outcome = tok("history", "import", str(file))
    assert outcome.code == 0
    assert "\x1b" not in outcome.err
    assert "no trace was stored" in tok("export", "trace", "1", "--json").err


def test_a_file_that_is_not_there_is_named(tok, tmp_path: Path) -> None:
    outcome = tok("history", "import", str(tmp_path / "none.json"))
    assert (outcome.code, "none.json" in outcome.err) == (1, True)
    assert "it is a folder" in tok("history", "import", str(tmp_path)).err


def test_a_chatgpt_export_is_read_once_and_what_is_left_out_is_named(tok, tmp_path: Path) -> None:
    def node(parent: str | None, role: str, text: str) -> dict[str, Any]:
        content = {"content_type": "text", "parts": [text]}
        return {"parent": parent, "message": {"author": {"role": role}, "create_time": 9, "content": content}}

    mapping = {"a": node(None, "user", "Hi"), "b": node("a", f"tool{HOSTILE}", "x"), "c": node("b", "assistant", "Yes")}
    file = tmp_path / "conversations.json"
    file.write_text(json.dumps([{"title": HOSTILE, "create_time": 9, "mapping": mapping, "current_node": "c"}]))
    outcome = tok("history", "import", str(file))
    assert outcome.code == 0
    assert "skipped 1 × tool" in outcome.err
    assert not {"\x1b", "\x07", "\u202e"} & set(outcome.err)
    assert tok("history", "import", str(file), "--json").json["n_stored"] == 1
    assert [each["content"] for each in tok("history", "show", "1", "--json").json["messages"]] == ["Hi", "Yes"]
