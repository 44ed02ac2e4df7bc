"""`tok bench` over the scripted engine: which rows come, in which form, and what ends a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.cli.bench.run import SUITES
from app.protocol.events import LoadFailed
from tests.fakes.engine_events import make_lost, make_ready
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import Load, Reply

WORDS = tuple(f" w{i}" for i in range(20))


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine(default=Reply(pieces=WORDS, n_prompt=230, n_cached=20))


def names(report: dict) -> list[str]:
    return [row["name"] for row in report["rows"]]


def test_basic_rows_as_json(tok, model, engine) -> None:
    outcome = tok("bench", "-r", "2", "--json", engine=engine)
    assert outcome.code == 0
    report = outcome.json
    assert names(report)[:9] == [
        "load",
        "pp512",
        "tg128",
        "whole loop",
        "whole loop, no trace",
        "whole loop / tg128",
        "cost of the trace",
        "TTFT cold",
        "TTFT warm",
    ]
    prefill = report["rows"][1]
    assert (prefill["values"], prefill["mean"], prefill["unit"]) == ([100.0, 100.0], 100.0, "tokens/s")
    assert report["environment"]["quant"] == "Q4_1"
    assert [(b.n_prompt, b.n_gen, b.warm_up) for b in engine.benches] == [
        (512, 0, True),
        (512, 0, False),
        (0, 128, True),
        (0, 128, False),
    ]
    traced = [request.trace_top_k for request in engine.requests[:5]]
    assert traced == [10, 10, 0, 10, 0]
    assert "basic: pp512: 100 tokens/s" in outcome.err
    assert engine.closed


def test_a_request_that_ends_too_soon_to_be_aborted_ends_the_suite_alone(tok, model, engine) -> None:
    report = tok("bench", "-r", "1", "--suite", "basic", "--suite", "depth", "--json", engine=engine).json
    assert names(report)[-3:] == ["the rest", "pp512 @ d4096", "tg128 @ d4096"]
    assert report["rows"][-3]["missing"] == "the request ended before it could be aborted"
    assert [bench.depth for bench in engine.benches[-2:]] == [4096, 4096]


def test_all_suites_have_rows(tok, model, engine) -> None:
    report = tok("bench", "-r", "1", "--suite", "all", "--json", engine=engine).json
    assert list(dict.fromkeys(row["suite"] for row in report["rows"])) == list(SUITES)
    assert all(row["missing"] or row["values"] for row in report["rows"])
    drafted = [request for request in engine.requests if request.speculate]
    assert len(drafted) == 8
    slots = [load.options.n_slots for load in engine.loads]
    assert slots == [2, 2, 2, 2, 16, 2]
    assert sum(request.cacheable for request in engine.requests) == 1


def test_a_draft_model_is_loaded_for_its_rows_alone(tok, model, engine) -> None:
    arguments = ("bench", "-r", "1", "--suite", "speculation", "--draft", str(model), "--json")
    rows = tok(*arguments, engine=engine).json["rows"]
    assert [load.options.draft for load in engine.loads] == [None, str(model), None]
    assert len([row for row in rows if row["name"].endswith(", draft model")]) == 8
    bad = ScriptedEngine(default=Reply(pieces=WORDS), loads=[Load(), Load(outcome=LoadFailed("another vocabulary"))])
    rows = tok(*arguments, engine=bad).json["rows"]
    assert rows[-1]["missing"] == "cannot load the model: another vocabulary"


def test_what_a_model_cannot_hold_is_said(tok, model) -> None:
    small = [Load(outcome=make_ready(n_ctx=1024, n_ctx_train=2048, n_slots=4)) for _ in range(5)]
    engine = ScriptedEngine(default=Reply(pieces=WORDS), loads=small)
    options = [text for name in ("depth", "reuse", "batch") for text in ("--suite", name)]
    rows = tok("bench", "-r", "1", *options, "--json", engine=engine).json["rows"]
    missing = {row["name"]: row["missing"] for row in rows if row["missing"]}
    assert missing["pp512 @ d4096"] == "the model was trained on 2048 tokens"
    assert missing["follow-up TTFT"] == "the context window holds 1024 tokens"
    assert missing["8 unrelated"] == "only 4 slots fit in memory"


def test_a_table_and_markdown_against_an_earlier_run(tok, model, engine, tmp_path: Path) -> None:
    earlier = tmp_path / "earlier.json"
    earlier.write_text(tok("bench", "-r", "1", "--suite", "depth", "--json", engine=engine).out, encoding="utf-8")
    table = tok("bench", "-r", "1", "--suite", "depth", "--compare", str(earlier), engine=ScriptedEngine()).out
    assert "1.00× the same" in table
    assert "before: another" not in table
    assert "pp512 @ d4096  █" in table
    markdown = tok(
        "bench", "-r", "1", "--suite", "depth", "--markdown", "--compare", str(earlier), engine=ScriptedEngine()
    )
    assert "| depth | pp512 @ d4096 | 100 | – | tokens/s | 1 | 1.00× the same |" in markdown.out


def test_a_run_of_another_model_is_reported(tok, model, engine, tmp_path: Path) -> None:
    earlier = tmp_path / "earlier.json"
    report = tok("bench", "-r", "1", "--suite", "depth", "--json", engine=engine).json
    report["environment"] |= {"file": "other.gguf", "n_threads": 99}
    earlier.write_text(json.dumps(report), encoding="utf-8")
    out = tok("bench", "-r", "1", "--suite", "depth", "--compare", str(earlier), engine=ScriptedEngine()).out
    assert [line for line in out.splitlines() if "another" in line] == [
        "before: another file, other.gguf",
        "before: another n_threads, 99",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--suite", "no"], "there is no suite `no`"),
        (["--json", "--markdown"], "exclude each other"),
        (["-r", "0"], "0 is less than 1"),
        (["--compare", "/no/such/file"], "cannot read /no/such/file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_usage_error_measures_nothing(tok, model, engine, arguments: list[str], message: str) -> None:
    outcome = tok("bench", *arguments, engine=engine)
    assert outcome.code == 2
    assert message in outcome.err
    assert engine.loads == []


def test_an_engine_that_dies_ends_the_run(tok, model) -> None:
    engine = ScriptedEngine(loads=[Load(outcome=make_lost())])
    outcome = tok("bench", "--json", engine=engine)
    assert outcome.code == 5
    assert json.loads(outcome.out)["error"]["kind"] == "engine_lost"
    assert engine.closed
