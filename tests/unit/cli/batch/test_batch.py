"""`tok batch` over a scripted engine: lines in, lines out, order, mistakes, resuming, losses, Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from app.cli.common.launching import EngineLauncher
from app.cli.main import main
from app.config.paths import config_file
from app.domain.generation import FinishReason
from app.protocol.events import EngineLost
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import Reply, reply

pytestmark = pytest.mark.usefixtures("model")


class Files:
    """An input and an output."""

    def __init__(self, folder: Path) -> None:
        self.source, self.output = folder / "in.jsonl", folder / "out.jsonl"

    def give(self, *lines: object) -> None:
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        self.source.write_text("".join(f"{text}\n" for text in texts))

    @property
    def results(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.output.read_text().splitlines()]

    def arguments(self, *more: str) -> list[str]:
        return ["batch", str(self.source), "-o", str(self.output), *more]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def prompts(n: int) -> Sequence[dict[str, object]]:
    return [{"prompt": f"p{index}", "id": f"i{index}"} for index in range(n)]


def asked(engine: ScriptedEngine) -> list[str]:
    return [request.messages[-1].content for request in engine.requests]


def texts(files: Files) -> list[object]:
    return [result.get("text") for result in files.results]


def test_a_line_has_the_documented_shape(tok, files: Files) -> None:
    files.give({"prompt": "x", "id": "a"}, {"prompt": "y"})
    outcome = tok(*files.arguments("--parallel", "1"), engine=ScriptedEngine(["Rain falls.", "two"]))
    assert (outcome.code, outcome.out) == (0, "")
    first, second = files.results
    assert first == {
        "index": 0,
        "id": "a",
        "text": "Rain falls.",
        "reasoning": "",
        "finish_reason": "stop",
        "usage": {"n_prompt": 20, "n_cached": 0, "n_generated": 3, "n_reasoning": 0},
        "timings": {
            "queue_ms": 0.0,
            "prefill_ms": 20.0,
            "ttft_ms": 30.0,
            "decode_ms": 20.0,
            "reasoning_ms": 0.0,
            "prefill_tps": 1000.0,
            "decode_tps": 100.0,
        },
    }
    assert (second["index"], second["id"], second["text"]) == (1, None, "two")


def test_lines_keep_their_order_though_they_end_in_another(tok, files: Files) -> None:
    files.give(*prompts(6))
    engine = ScriptedEngine([reply("a long reply of many words indeed"), *(reply(f"r{i}") for i in range(1, 6))])
    assert tok(*files.arguments("--parallel", "3"), engine=engine).code == 0
    assert [result["id"] for result in files.results] == [f"i{index}" for index in range(6)]
    assert texts(files) == ["a long reply of many words indeed", "r1", "r2", "r3", "r4", "r5"]


def test_as_many_are_in_flight_as_wanted_and_the_engine_has_a_slot_for_each(files: Files) -> None:
    files.give(*prompts(5))
    engine = ScriptedEngine(gated=True)
    seen: list[int] = []

    async def act() -> None:
        await engine.release()
        seen.append(len(engine.requests))
        engine.run_free()

    assert main(files.arguments("--parallel", "3"), beside(engine, act)) == 0
    assert seen == [3]
    assert engine.loads[0].options.n_slots == 3
    assert len(engine.requests) == 5


def test_a_line_overrides_the_flags_and_they_the_preset(tok, files: Files) -> None:
    files.give({"prompt": "x"}, {"prompt": "y", "temperature": 0, "json_schema": {"type": "array"}, "stop": ["."]})
    engine = ScriptedEngine()
    tok(*files.arguments("--parallel", "1", "--temperature", "0.3", "--max-tokens", "9", "--speculate"), engine=engine)
    first, second = (request.sampling for request in engine.requests)
    assert (first.temperature, first.max_tokens, first.min_p) == (0.3, 9, 0.1)
    assert (second.temperature, second.max_tokens, second.stop) == (0.0, 9, (".",))
    assert json.loads(second.json_schema) == {"type": "array"}
    assert all(request.speculate and not request.shares_prefix for request in engine.requests)


def test_messages_and_system_prompts(tok, files: Files) -> None:
    said = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    files.give({"messages": said}, {"messages": [{"role": "system", "content": "own"}, *said]})
    engine = ScriptedEngine()
    tok(*files.arguments("-s", "Be brief.", "--parallel", "1"), engine=engine)
    heard = [[(m.role.value, m.content) for m in request.messages] for request in engine.requests]
    turns = [("user", "a"), ("assistant", "b"), ("user", "c")]
    assert heard == [[("system", "Be brief."), *turns], [("system", "own"), *turns]]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON: "),
        ('{"prompt": "\\ud800"}', "not JSON: "),
        ("[1]", "not a JSON object"),
        ("{}", "either `prompt` or `messages`"),
        ('{"prompt": "x", "messages": []}', "either `prompt` or `messages`"),
        ('{"prompt": " "}', "`prompt` must be text"),
        ('{"prompt": 1}', "`prompt` must be text"),
        ('{"messages": []}', "must end with a message of the user"),
        ('{"messages": [{"role": "bot", "content": ""}]}', "`messages` is wrong"),
        ('{"prompt": "x", "id": true}', "`id` must be text or a whole number"),
        ('{"prompt": "x", "temprature": 1}', "unknown key `temprature`"),
        ('{"prompt": "x", "top_p": 2}', "`top_p` is wrong"),
        ('{"prompt": "x", "grammar": "a", "json_schema": "b"}', "exclude each other"),
    ],
)
def test_a_bad_line_is_reported_with_its_number_and_the_rest_is_done(
    tok, files: Files, line: str, message: str
) -> None:
    files.give({"prompt": "x"}, "", line, {"prompt": "y"})
    outcome = tok(*files.arguments(), engine=ScriptedEngine(["one", "two"]))
    assert outcome.code == 1
    assert outcome.err.startswith("tok: line 3: ")
    assert message in outcome.err.splitlines()[0]
    first, bad, last = files.results
    assert (first["text"], last["index"], last["text"]) == ("one", 2, "two")
    assert message in bad["error"]["message"]
    assert (bad["index"], bad["error"]["kind"], "text" in bad) == (1, "usage", False)


def test_a_bad_line_keeps_its_id_and_a_hint(tok, files: Files) -> None:
    files.give({"id": 7, "promt": "x"})
    tok(*files.arguments())
    assert files.results[0]["id"] == 7
    assert files.results[0]["error"]["hint"] == "did you mean `prompt`?"


def test_what_the_engine_says_of_a_prompt_is_reported_once(tok, files: Files) -> None:
    files.give(*prompts(3))
    scripts = [reply("a", notices=("no template",)), reply("b", notices=("no template", "cut")), reply("c")]
    outcome = tok(*files.arguments("--parallel", "1"), engine=ScriptedEngine(scripts))
    assert (outcome.code, texts(files)) == (0, ["a", "b", "c"])
    assert [line for line in outcome.err.splitlines() if line.startswith("tok: index")] == [
        "tok: index 0: no template",
        "tok: index 1: cut",
    ]


def test_a_refused_request_is_an_error_line(tok, files: Files) -> None:
    files.give("", *prompts(2))
    engine = ScriptedEngine([Reply(finish=FinishReason.ERROR, error="the grammar is wrong at line 1", hint="x"), "two"])
    outcome = tok(*files.arguments("--parallel", "1"), engine=engine)
    assert outcome.code == 1
    assert "line 2: the grammar is wrong at line 1" in outcome.err
    bad, good = files.results
    error = {"code": 1, "kind": "failed", "message": "line 2: the grammar is wrong at line 1", "hint": "x"}
    assert bad == {"index": 0, "id": "i0", "error": error}
    assert good["text"] == "two"


def test_an_output_is_gone_on_with_and_its_broken_line_cut_off(tok, files: Files) -> None:
    files.give(*prompts(4))
    tok(*files.arguments("--parallel", "1"), engine=ScriptedEngine(["r0", "r1", "r2", "r3"]))
    whole = files.output.read_bytes()
    lines = whole.splitlines(keepends=True)
    files.output.write_bytes(b"".join(lines[:2]) + lines[2][:20])
    engine = ScriptedEngine(["r2", "r3"])
    outcome = tok(*files.arguments("--parallel", "1"), engine=engine)
    assert (outcome.code, asked(engine)) == (0, ["p2", "p3"])
    assert files.output.read_bytes() == whole
    assert "2 of 4 lines are answered already" in outcome.err


def test_a_complete_output_loads_nothing(tok, files: Files) -> None:
    files.give(*prompts(1))
    tok(*files.arguments(), engine=ScriptedEngine(["r0"]))
    engine = ScriptedEngine()
    assert tok(*files.arguments(), engine=engine).code == 0
    assert not engine.loads


def test_failures_of_an_earlier_run_count(tok, files: Files) -> None:
    files.give("{", *prompts(1))
    assert tok(*files.arguments()).code == 1
    assert tok(*files.arguments()).code == 1


@pytest.mark.parametrize(
    "text",
    [
        '{"index": 0, "id": "other"}\n',
        '{"index": 1, "id": "i0"}\n',
        "precious notes\n",
        "[]\n",
        '{"index": 0, "id": "i0"}\n{"index": 1, "id": "i1"}\n{"index": 2, "id": "i2"}\n',
    ],
    ids=["id", "index", "text", "list", "longer"],
)
def test_another_files_content_is_never_lost(tok, files: Files, text: str) -> None:
    files.give(*prompts(2))
    files.output.write_text(text)
    outcome = tok(*files.arguments())
    assert outcome.code == 2
    assert "--overwrite" in outcome.err
    assert files.output.read_text() == text


def test_overwrite_begins_anew(tok, files: Files) -> None:
    files.give(*prompts(1))
    files.output.write_text("old\n")
    assert tok(*files.arguments("--overwrite"), engine=ScriptedEngine(["r0"])).code == 0
    assert texts(files) == ["r0"]


def test_input_and_output_must_differ(tok, files: Files) -> None:
    files.give(*prompts(1))
    before = files.source.read_text()
    assert tok("batch", str(files.source), "-o", str(files.source), "--overwrite").code == 2
    assert files.source.read_text() == before


def test_a_missing_input(tok, files: Files) -> None:
    assert tok(*files.arguments()).code == 2
    assert not files.output.exists()


def test_an_empty_input_is_done(tok, files: Files) -> None:
    files.give()
    assert tok(*files.arguments()).code == 0
    assert files.results == []


def test_standard_output_takes_the_lines(tok, files: Files) -> None:
    files.give(*prompts(2))
    outcome = tok("batch", str(files.source), "-o", "-", "--parallel", "1", engine=ScriptedEngine(["a", "b"]))
    assert [line["text"] for line in outcome.lines] == ["a", "b"]


def test_counts_go_to_standard_error(tok, files: Files) -> None:
    files.give("{", *prompts(1))
    err = tok(*files.arguments("--parallel", "1")).err
    assert err.splitlines()[-1] == "tok: 2 of 2 lines, 1 failed"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_ends_the_run_and_is_reported(tok, files: Files) -> None:
    files.give(*prompts(3))
    engine = ScriptedEngine()
    outcome = tok("batch", str(files.source), "-o", "/dev/full", "--parallel", "2", engine=engine)
    assert outcome.code == 1
    assert "tok: cannot write /dev/full: No space left on device" in outcome.err
    assert engine.closed


def test_lines_in_flight_are_asked_again_after_a_loss(tok, files: Files) -> None:
    files.give(*prompts(3))
    engine = ScriptedEngine([reply("r0 lost", dies_after=1), "r0", "r1", "r2"])
    assert tok(*files.arguments("--parallel", "1"), engine=engine).code == 0
    assert texts(files) == ["r0", "r1", "r2"]
    assert asked(engine) == ["p0", "p0", "p1", "p2"]


def test_a_line_that_loses_the_engine_twice_is_an_error_and_the_rest_is_done(tok, files: Files) -> None:
    files.give(*prompts(2))
    engine = ScriptedEngine([reply("a", dies_after=0), reply("a", dies_after=0), "r1"])
    assert tok(*files.arguments("--parallel", "1"), engine=engine).code == 1
    bad, good = files.results
    assert (bad["error"]["kind"], good["text"]) == ("engine_lost", "r1")


def test_an_engine_that_cannot_be_had_again_ends_the_run(tok, files: Files, monkeypatch) -> None:
    files.give(*prompts(4))
    engine = ScriptedEngine(["r0"])
    generate = engine.generate

    async def dying(command):
        if len(engine.requests) < 1:
            async for event in generate(command):
                yield event
        else:
            yield EngineLost(None, "it died too often")

    monkeypatch.setattr(engine, "generate", dying)
    outcome = tok(*files.arguments("--parallel", "1"), engine=engine)
    assert outcome.code == 5
    assert "run the same command to resume" in outcome.err
    assert texts(files) == ["r0"]


def beside(engine: ScriptedEngine, act) -> EngineLauncher:
    tasks = []

    def make() -> ScriptedEngine:
        tasks.append(asyncio.ensure_future(act()))
        return engine

    return EngineLauncher(make)


def test_ctrl_c_keeps_what_is_complete_and_the_rest_is_left_for_later(tok, files: Files) -> None:
    files.give(*prompts(3))
    engine = ScriptedEngine(["r0", "r1 long", "r2"], gated=True)

    async def act() -> None:
        for _ in range(3):
            await engine.release(1)
        os.kill(os.getpid(), signal.SIGINT)

    assert main(files.arguments("--parallel", "1"), beside(engine, act)) == 130
    assert texts(files) == ["r0"]
    assert engine.aborted == [engine.requests[1].request_id]
    again = ScriptedEngine(["r1", "r2"])
    assert tok(*files.arguments("--parallel", "1"), engine=again).code == 0
    assert texts(files) == ["r0", "r1", "r2"]


def test_a_broken_configuration_is_reported_before_anything_is_read(tok, files: Files) -> None:
    config_file().write_text("preset = 1\n")
    assert tok(*files.arguments()).code == 3
