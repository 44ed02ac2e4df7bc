"""`tok history` and `tok export trace`: what is listed, and that a page holds no markup of a model's."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from pathlib import Path

import pytest

from app.config.paths import config_file, database_file
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import Reply

pytestmark = pytest.mark.usefixtures("model")

HOSTILE = (
    '</script><script>alert("1")</script>',
    " <img src=x onerror='alert(2)'>",
    " {{data}} &amp;",
    " \u202egnp.exe",
)


@pytest.fixture
def talk(tok) -> None:
    """Conversation 1 about rain, with two replies; conversation 2 that is hostile."""
    tok("ask", "Name rain", engine=ScriptedEngine(["Drizzle, hail."]))
    tok("ask", "Another", "-c", engine=ScriptedEngine(["Sleet."]))
    tok("ask", "<b>Break</b> it", engine=ScriptedEngine([Reply(pieces=HOSTILE)]))


def test_without_conversations_nothing_is_listed_and_nothing_made(tok) -> None:
    outcome = tok("history")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "tok: no conversations yet\n")
    assert tok("history", "--json").json == []
    assert not database_file().exists()
    outcome = tok("export", "trace", "1", "--json")
    assert (outcome.code, outcome.json["error"]["message"]) == (2, "there is no conversation 1: nothing is stored yet")


@pytest.mark.parametrize("arguments", [("history",), ("export", "trace", "1", "--json")])
def test_a_data_folder_that_is_none_is_an_error(tok, tmp_path, monkeypatch, arguments) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TOKSCOPE_DATA_DIR", str(tmp_path / "file"))
    outcome = tok(*arguments)
    assert outcome.code == 1
    assert outcome.err == (
        f"tok: {tmp_path}/file/conversations.db: cannot be opened (Not a directory)\n"
        "hint: Set TOKSCOPE_DATA_DIR to a readable folder.\n"
    )


@pytest.mark.usefixtures("talk")
def test_history_lists_the_newest_first_with_the_size_of_their_traces(tok) -> None:
    header, *rows = tok("history").out.splitlines()
    assert header.split() == ["ID", "WHEN", "KIND", "MESSAGES", "TRACES", "TITLE"]
    pattern = r"(\d)\s+\d{4}-\d\d-\d\d \d\d:\d\d\s+ask\s+(\d)\s+\d KiB\s+(.*)"
    assert [re.fullmatch(pattern, row).groups() for row in rows] == [  # pyright: ignore[reportOptionalMemberAccess]
        ("2", "2", "<b>Break</b> it"),
        ("1", "4", "Name rain"),
    ]
    listed = tok("history", "--json").json
    keys = ["id", "title", "created", "updated", "n_messages", "trace_bytes", "kind"]
    assert [list(each) for each in listed] == [keys] * 2
    assert all(each["trace_bytes"] > 100 for each in listed)


@pytest.mark.usefixtures("talk")
def test_history_finds_words_and_says_when_there_is_more(tok) -> None:
    assert [each["id"] for each in tok("history", "hail", "drizzle", "--json").json] == [1]
    outcome = tok("history", "zebra")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "tok: no conversation matches\n")
    outcome = tok("history", "-n", "1")
    assert (len(outcome.out.splitlines()), outcome.err) == (2, "tok: showing the newest 1; use -n for more\n")


@pytest.mark.usefixtures("talk")
def test_json_has_each_token_with_its_part_of_the_text(tok) -> None:
    document = tok("export", "trace", "1", "--json").json
    assert document["title"] == "Name rain"
    assert [each["role"] for each in document["messages"]] == ["user", "assistant", "user", "assistant"]
    reply = document["messages"][1]
    assert reply["generation"]["preset"] == "balanced"
    trace = reply["trace"]
    assert [(token["text"], token["shown"]) for token in trace["tokens"]] == [
        ("Drizzle,", "Drizzle,"),
        (" hail.", " hail."),
        ("<|im_end|>", ""),
    ]
    assert (trace["rest"], len(trace["prompt"]), len(trace["tokens"][0]["top"])) == ("", 20, 40)
    assert document["messages"][0]["trace"] is None


@pytest.mark.usefixtures("talk")
def test_a_wrong_number_of_a_reply_is_reported_with_the_right_ones(tok) -> None:
    outcome = tok("export", "trace", "77", "--message", "--json")
    assert outcome.code == 1
    assert outcome.json["error"]["message"].endswith("there is no message 77")
    where = "`tok export trace ID --json` lists those of another conversation as `id`"
    assert outcome.json["error"]["hint"] == f"the replies of conversation 2 have the number 6: {where}"
    outcome = tok("export", "trace", "1", "--message", "--json")
    assert outcome.json["error"]["hint"] == f"the replies of conversation 1 have the numbers 2, 4: {where}"
    assert "an `id`" in " ".join(tok("export", "trace", "--help").out.split())


@pytest.mark.usefixtures("talk")
def test_one_reply_is_exported_by_its_number(tok) -> None:
    document = tok("export", "trace", "4", "--message", "--json").json
    assert [each["content"] for each in document["messages"]] == ["Another", "Sleet."]
    outcome = tok("export", "trace", "3", "--message", "--json")
    assert (outcome.code, outcome.json["error"]["message"]) == (2, "message 3 is not a reply")
    assert outcome.json["error"]["hint"].startswith("the replies of conversation 1 have the numbers 2, 4: ")
    assert tok("export", "trace", "77", "--json").code == 1


@pytest.mark.usefixtures("talk")
def test_a_page_is_one_file_whose_policy_allows_its_own_script_alone(tok, tmp_path: Path) -> None:
    out = tmp_path / "out.html"
    outcome = tok("export", "trace", "2", "--html", str(out))
    assert (outcome.code, outcome.out, outcome.err) == (0, "", f"tok: written to {out}\n")
    page = out.read_text(encoding="utf-8")
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", page, re.DOTALL)
    assert [attributes for attributes, _ in scripts] == [' type="application/json" id="data"', ""]
    style = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)[0]
    policy = html.unescape(re.findall(r'Content-Security-Policy" content="([^"]*)"', page)[0])
    assert policy == (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(scripts[1][1])}'; base-uri 'none'"
    )
    assert not re.search(r"https?:|src=|href=|@import|url\(", page.replace(scripts[0][1], ""))
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", scripts[1][1])
    assert "<title>&lt;b&gt;Break&lt;/b&gt; it</title>" in page


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@pytest.mark.usefixtures("talk")
def test_hostile_text_is_data_and_nothing_else(tok, tmp_path: Path) -> None:
    out = tmp_path / "out.html"
    tok("export", "trace", "2", "--html", str(out))
    page = out.read_text(encoding="utf-8")
    data = re.findall(r'id="data">(.*?)</script>', page, re.DOTALL)[0]
    assert not set("<>&'") & set(data)
    assert data.isascii()
    document = json.loads(data)
    shown = [token["shown"] for token in document["messages"][1]["trace"]["tokens"]]
    assert shown == [*HOSTILE[:3], " ⟨U+202E⟩gnp.exe", ""]
    assert "{{data}}" not in page.replace(data, "")
    assert page.count("alert(") == data.count("alert(")


@pytest.mark.usefixtures("talk")
def test_an_existing_page_stays_unless_it_may_be_replaced(tok, tmp_path: Path) -> None:
    out = tmp_path / "out.html"
    out.write_text("mine")
    assert tok("export", "trace", "1", "--html", str(out)).code == 2
    assert out.read_text() == "mine"
    assert tok("export", "trace", "1", "--html", str(out), "--overwrite").code == 0
    assert out.read_text().startswith("<!doctype html>")


def test_a_file_of_tok_trace_is_exported_too(tok, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    tok("trace", "Say hi", "-s", "Be brief.", "-o", str(path), "--stages", engine=ScriptedEngine(["Hi there."]))
    document = tok("export", "trace", str(path), "--json").json
    assert [(each["role"], each["content"]) for each in document["messages"]] == [
        ("user", "Say hi"),
        ("assistant", "Hi there."),
    ]
    assert len(document["messages"][1]["trace"]["tokens"]) == 3


def test_what_was_never_traced_is_reported(tok) -> None:
    with config_file().open("a", encoding="utf-8") as file:
        file.write("[trace]\nkeep = false\n")
    tok("ask", "x", engine=ScriptedEngine(["Rain"]))
    assert tok("history").out.splitlines()[1].split()[5] == "–"
    outcome = tok("export", "trace", "1", "--json")
    assert (outcome.code, outcome.json["error"]["message"]) == (2, "no trace was stored for it")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["1"], "no output given: use --html FILE or --json"),
        (["1", "--json", "--html", "x.html"], "no output given: use --html FILE or --json"),
        (["no.jsonl", "--json"], "there is no file no.jsonl"),
        (["no.jsonl", "--message", "--json"], "--message needs the number of a reply, got 'no.jsonl'"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(tok, arguments, message) -> None:
    outcome = tok("export", "trace", *arguments)
    assert (outcome.code, outcome.err.splitlines()[0]) == (2, f"tok: {message}")
