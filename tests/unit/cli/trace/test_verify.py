"""`tok replay --verify`: the same run, another run, and what is said before."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.domain.generation import FinishReason
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import Reply, reply


@pytest.fixture
def path(tok, model, tmp_path: Path) -> Path:
    path = tmp_path / "run.jsonl"
    engine = ScriptedEngine(["one two three"])
    assert tok("trace", "x", "-o", str(path), "--exact", "--seed", "5", engine=engine).code == 0
    return path


def test_the_same_run_is_the_same_and_is_asked_for_by_its_ids(tok, path) -> None:
    engine = ScriptedEngine(["one two three"])
    outcome = tok("replay", "--verify", str(path), engine=engine)
    assert (outcome.code, outcome.out) == (0, "all the same: 4 tokens, with the same p\n")
    assert outcome.err == "tok: running 4 tokens again\n"
    request = engine.requests[0]
    assert (request.sampling.exact, request.sampling.seed, request.cacheable) == (True, 5, False)
    assert request.prompt_ids[:3] == (1, 301, 302)
    assert engine.loads[0].options.n_slots == 1
    assert (engine.loads[0].options.n_ctx, engine.loads[0].options.n_threads) == (8192, 2)
    assert engine.closed


def test_a_difference_is_reported_with_its_number_and_both_tokens(tok, path) -> None:
    text = path.read_text().replace('"id":101,"text":" two","ms"', '"id":9,"text":" zwei","ms"')
    path.write_text(text)
    engine = ScriptedEngine(["one two three"])
    outcome = tok("replay", "--verify", str(path), engine=engine)
    assert (outcome.code, outcome.out) == (
        1,
        "token 2 of 4 differs: recorded ' zwei' (#9, p 0.500000, rank 1), now ' two' (#101, p 0.500000, rank 1)\n"
        "before it: 1 token the same, p differs by at most 0\n",
    )
    assert engine.dropped == [engine.requests[0].request_id]


@pytest.mark.parametrize(
    ("now", "first"),
    [
        (
            Reply(pieces=("one", " two"), finish=FinishReason.LENGTH),
            {"token": 3, "recorded": {"id": 102, "text": " three", "p": 0.25, "rank": 2}, "computed": None},
        ),
        (
            Reply(pieces=("one", " two", " three", " four")),
            {
                "token": 4,
                "recorded": {"id": 2, "text": "<|im_end|>", "p": 0.5, "rank": 1},
                "computed": {"id": 103, "text": " four", "p": 0.5, "rank": 1},
            },
        ),
    ],
)
def test_a_run_that_ends_elsewhere_differs(tok, path, now, first) -> None:
    outcome = tok("replay", "--verify", str(path), "--json", engine=ScriptedEngine([now]))
    assert outcome.code == 1
    assert outcome.json["same"] is False
    assert outcome.json["first_difference"] == first


def test_a_run_that_goes_on_where_the_recorded_one_was_cut_is_the_same(tok, path) -> None:
    path.write_text("\n".join(path.read_text().splitlines()[:4]) + "\n")
    assert tok("replay", "--verify", str(path)).code == 2
    outcome = tok("replay", "--verify", str(path), "--partial", "--json", engine=ScriptedEngine(["one two three"]))
    assert (outcome.code, outcome.json) == (
        0,
        {"same": True, "n_recorded": 2, "n_same": 2, "max_dp": 0.0, "first_difference": None, "warnings": []},
    )


def test_another_p_is_reported_of_the_same_tokens(tok, path) -> None:
    path.write_text(path.read_text().replace('"p":0.5,"logprob"', '"p":0.375,"logprob"', 1))
    outcome = tok("replay", "--verify", str(path), engine=ScriptedEngine(["one two three"]))
    assert (outcome.code, outcome.out) == (0, "all the same: 4 tokens, p differs by at most 0.12\n")


def test_what_makes_a_difference_likely_is_said_before(tok, model, tmp_path) -> None:
    path = tmp_path / "other.jsonl"
    assert tok("trace", "x", "-o", str(path), engine=ScriptedEngine(["one"])).code == 0
    path.write_text(path.read_text().replace("llama-cpp-python 0.3.36 (scripted)", "an older build"))
    old = model.read_bytes()
    model.write_bytes(old + b"\0")
    outcome = tok("replay", "--verify", str(path), engine=ScriptedEngine(["one"]))
    assert outcome.code == 0
    reported = outcome.err.splitlines()
    assert reported[0].startswith("tok: another model file: recorded ")
    assert reported[1:] == [
        "tok: another build: recorded an older build, here llama-cpp-python 0.3.36 (scripted)",
        "tok: it was not recorded with --exact: a close draw may differ",
        "tok: running 2 tokens again",
    ]


def test_a_refused_request_and_a_lost_engine_are_failures(tok, path) -> None:
    refused = Reply(finish=FinishReason.ERROR, error="no room", hint="less")
    outcome = tok("replay", "--verify", str(path), engine=ScriptedEngine([refused]))
    assert (outcome.code, outcome.err.splitlines()[1:]) == (1, ["tok: no room", "hint: less"])
    lost = reply("one two", dies_after=1)
    assert tok("replay", "--verify", str(path), engine=ScriptedEngine([lost])).code == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--verify", "--speed", "2"], "--speed and --theme cannot be used with --verify"),
        (["-m", "other"], "--model and --json need --verify"),
        (["--speed", "65"], "Invalid value for '--speed': 65 is more than 64"),
    ],
)
def test_options_that_make_no_sense_together_are_usage_errors(tok, path, arguments, message) -> None:
    outcome = tok("replay", str(path), *arguments)
    assert (outcome.code, outcome.err.splitlines()[0]) == (2, f"tok: {message}")


def test_without_a_terminal_a_replay_says_so(tok, path) -> None:
    outcome = tok("replay", str(path))
    assert outcome.code == 2
    assert outcome.err.startswith("tok: the chat needs a terminal")


def test_a_trace_without_its_tokens_is_damaged_not_the_same(tok, path) -> None:
    kept = [line for line in path.read_text().splitlines() if not line.startswith('{"event":"token"')]
    path.write_text("\n".join(kept) + "\n")
    outcome = tok("replay", "--verify", str(path), engine=ScriptedEngine(["one two three"]))
    assert outcome.code == 2
    assert "the trace is damaged: 0 of the 4 tokens in its last line are present" in outcome.err
    outcome = tok("replay", "--verify", "--partial", str(path), engine=ScriptedEngine(["one two three"]))
    assert (outcome.code, outcome.err) == (2, f"tok: {path.name}: the trace has no tokens to compare\n")
