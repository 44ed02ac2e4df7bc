"""`tok ask -n N`: what is sent, what is printed, what is kept."""

from __future__ import annotations

import asyncio
import json
import os
import signal

import pytest

from app.cli.common.launching import EngineLauncher
from app.cli.main import main
from app.config.paths import database_file
from app.domain.generation import DraftCounts, FinishReason
from app.store.store import Store
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import Reply, reply
from tests.fakes.stored import children

pytestmark = pytest.mark.usefixtures("model")


async def stored() -> list[str]:
    store = await Store.open(database_file())
    try:
        last = await store.last_conversation()
        asked = (await store.branch(last.id))[0]
        return [message.content for message in await children(store, last.id, asked.id)]
    finally:
        await store.close()


def test_text_comes_under_headings_in_order(tok) -> None:
    engine = ScriptedEngine(["one two three", "uno"])
    outcome = tok("ask", "x", "-n", "2", "--seed", "7", engine=engine)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == "[1/2 · seed 7]\none two three\n\n[2/2 · seed 8]\nuno\n"
    assert [request.shares_prefix for request in engine.requests] == [True, True]


def test_what_the_engine_says_of_the_prompt_is_reported_once(tok) -> None:
    engine = ScriptedEngine([reply("one", notices=("no template",)), reply("two", notices=("no template",))])
    assert tok("ask", "x", "-n", "2", engine=engine).err == "tok: no template\n"


def test_one_answer_is_alone_and_has_no_heading(tok) -> None:
    engine = ScriptedEngine(["one"])
    assert tok("ask", "x", "-n", "1", engine=engine).out == "one\n"
    assert not engine.requests[0].shares_prefix


def test_json_has_choices_and_an_aggregate(tok, model) -> None:
    engine = ScriptedEngine(["one two", reply("uno", n_cached=16)])
    report = tok("ask", "x", "-n", "2", "--seed", "7", "--json", "--logprobs", "0", engine=engine).json
    assert list(report) == ["choices", "model", "preset", "aggregate"]
    assert (report["model"], report["preset"]) == (str(model), "balanced")
    first, second = report["choices"]
    assert (first["index"], first["text"], first["seed"], first["finish_reason"]) == (0, "one two", 7, "stop")
    assert (second["index"], second["text"], second["seed"], second["usage"]["n_cached"]) == (1, "uno", 8, 16)
    assert [len(choice["tokens"]) for choice in report["choices"]] == [3, 2]
    # The first token of any is the second answer's, after 14 ms; the last one is the first's, after 30 + 20 ms.
    assert report["aggregate"] == {"n_generated": 5, "ms": 36.0, "tps": pytest.approx(4 / 0.036, abs=1e-3)}


def test_jsonl_events_carry_their_index(tok) -> None:
    engine = ScriptedEngine(["one two", "uno"])
    lines = tok("ask", "x", "-n", "2", "--jsonl", "--logprobs", "0", engine=engine).lines
    assert lines[-1]["event"] == "aggregate"
    for index, text in enumerate(["one two", "uno"]):
        events = [line for line in lines if line.get("index") == index]
        assert [event["event"] for event in events][:2] == ["started", "prefill"]
        assert "".join(event["text"] for event in events if event["event"] == "text") == text
        assert (events[-1]["event"], events[-1]["text"]) == ("finished", text)


def test_they_are_kept_as_replies_to_one_message(tok) -> None:
    tok("ask", "x", "-n", "3", engine=ScriptedEngine(["one", "two", "three"]))
    assert asyncio.run(stored()) == ["one", "two", "three"]


def test_one_that_fails_does_not_cost_the_others(tok) -> None:
    engine = ScriptedEngine(["one", Reply(finish=FinishReason.ERROR, error="bad batch")])
    outcome = tok("ask", "x", "-n", "2", "--json", engine=engine)
    assert outcome.code == 1
    first, second = outcome.json["choices"]
    assert (first["text"], "error" in first) == ("one", False)
    assert second["error"] == outcome.json["error"]
    assert outcome.err == "tok: answer 2: bad batch\n"


@pytest.mark.parametrize("n", ["0", "17", "x"])
def test_there_is_a_limit(tok, n: str) -> None:
    assert tok("ask", "x", "-n", n).code == 2


def test_stats_show_of_drafts_where_there_were_any(tok) -> None:
    counts = [DraftCounts(3, 12, 8), DraftCounts(0, 0, 0)]
    engine = ScriptedEngine([reply("one", drafting=counts[0]), reply("two", drafting=counts[1])])
    first, second, together = tok("ask", "x", "-n", "2", "--speculate", "--stats", engine=engine).err.splitlines()[-3:]
    assert first.endswith(" · 8 of 12 drafts accepted")
    assert second.endswith(" · nothing drafted")
    assert together.endswith(" · 8 of 12 drafts accepted")
    plain = tok("ask", "x", "-n", "2", "--stats", engine=ScriptedEngine(["one", "two"]))
    assert "draft" not in plain.err


def test_stats_have_a_line_for_each(tok) -> None:
    err = tok("ask", "x", "-n", "2", "--stats", engine=ScriptedEngine(["one", "two"])).err
    assert [line.split()[0] for line in err.splitlines()] == ["1", "2", "total"]


@pytest.mark.parametrize("flag", ["--json", "--jsonl", None])
def test_ctrl_c_keeps_what_came_of_each(flag: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    engine = ScriptedEngine(["one", "uno dos"], gated=True)
    tasks = []

    async def act() -> None:
        await engine.release(2)
        await engine.release(2)
        os.kill(os.getpid(), signal.SIGINT)

    def make() -> ScriptedEngine:
        tasks.append(asyncio.ensure_future(act()))
        return engine

    arguments = ["ask", "x", "-n", "2", "--seed", "1", *filter(None, [flag])]
    assert main(arguments, EngineLauncher(make)) == 130
    out = capsys.readouterr().out
    if flag == "--json":
        choices = json.loads(out)["choices"]
        assert [(choice["text"], choice["finish_reason"]) for choice in choices] == [("one", "stop"), ("uno", "abort")]
    elif flag == "--jsonl":
        finished = [line for line in map(json.loads, out.splitlines()) if line["event"] == "finished"]
        assert {(line["index"], line["text"]) for line in finished} == {(0, "one"), (1, "uno")}
    else:
        assert out == "[1/2 · seed 1]\none\n\n[2/2 · seed 2]\nuno\n"
    assert asyncio.run(stored()) == ["one", "uno"]
