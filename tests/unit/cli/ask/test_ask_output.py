"""What `tok ask` prints in each format, and its exit codes."""

from __future__ import annotations

import pytest

from app.domain.generation import FinishReason, Stop
from app.protocol.events import EngineLost, LoadFailed
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import Load, Reply, reply

pytestmark = pytest.mark.usefixtures("model")


def test_plain_text_goes_to_stdout_with_one_newline_at_its_end(tok) -> None:
    outcome = tok("ask", "hi", engine=ScriptedEngine(["Rain falls."]))
    assert (outcome.code, outcome.out, outcome.err) == (0, "Rain falls.\n", "")


def test_a_reply_that_ends_its_line_gets_no_second_newline(tok) -> None:
    assert tok("ask", "hi", engine=ScriptedEngine([Reply(pieces=("a\n",))])).out == "a\n"


def test_without_streaming_the_text_is_the_same(tok) -> None:
    assert tok("ask", "hi", "--no-stream", engine=ScriptedEngine(["one two"])).out == "one two\n"


def test_json_has_the_documented_shape(tok, model) -> None:
    outcome = tok("ask", "hi", "--json", engine=ScriptedEngine(["Rain falls."]))
    assert outcome.code == 0
    assert outcome.json == {
        "text": "Rain falls.",
        "reasoning": "",
        "finish_reason": "stop",
        "stop": {"kind": "eog", "text": "<|im_end|>", "token_id": 2},
        "model": str(model),
        "preset": "balanced",
        "seed": 42,
        "usage": {"n_prompt": 20, "n_cached": 0, "n_generated": 3, "n_reasoning": 0},
        "timings": {
            "load_ms": 180.0,
            "queue_ms": 0.0,
            "prefill_ms": 20.0,
            "ttft_ms": 30.0,
            "decode_ms": 20.0,
            "reasoning_ms": 0.0,
            "prefill_tps": 1000.0,
            "decode_tps": 100.0,
        },
    }


def test_logprobs_add_each_token_with_its_alternatives(tok) -> None:
    outcome = tok("ask", "hi", "--json", "--logprobs", "2", engine=ScriptedEngine(["Rain"]))
    first, last = outcome.json["tokens"]
    assert first == {
        "id": 100,
        "text": "Rain",
        "p": 0.5,
        "logprob": pytest.approx(-0.693147),
        "rank": 1,
        "entropy": 2.0,
        "ms": 30.0,
        "origin": "sampled",
        "top": [{"id": 100, "text": "Rain", "p": 0.5}, {"id": 1002, "text": " alt2", "p": 0.25}],
    }
    assert last["text"] == "<|im_end|>"


def test_logprobs_of_zero_are_tokens_without_alternatives(tok) -> None:
    tokens = tok("ask", "hi", "--json", "--logprobs", "0", engine=ScriptedEngine(["Rain"])).json["tokens"]
    assert [token["top"] for token in tokens] == [[], []]


def test_jsonl_shows_each_event_as_it_happens(tok) -> None:
    engine = ScriptedEngine([reply("Rain falls.", n_prefill_steps=2)])
    lines = tok("ask", "hi", "--jsonl", engine=engine).lines
    assert [line["event"] for line in lines] == ["started", "prefill", "prefill", "text", "text", "finished"]
    assert lines[0]["n_prompt"] == 20
    assert lines[2] == {"event": "prefill", "n_done": 20, "n_total": 20, "ms": 20.0}
    assert "".join(line["text"] for line in lines if line["event"] == "text") == lines[-1]["text"] == "Rain falls."
    assert "tokens" not in lines[-1]


def test_jsonl_shows_tokens_where_they_are_asked_for(tok) -> None:
    lines = tok("ask", "hi", "--jsonl", "--logprobs", "1", engine=ScriptedEngine(["a b"])).lines
    assert [line["id"] for line in lines if line["event"] == "token"] == [100, 101, 2]


def test_stats_go_to_stderr(tok) -> None:
    outcome = tok("ask", "hi", "--stats", engine=ScriptedEngine([reply("Rain falls.", n_cached=12)]))
    assert outcome.out == "Rain falls.\n"
    assert "8 new + 12 cached tokens · 8.0 ms · 1000 tok/s" in outcome.err
    assert "end of turn '<|im_end|>'" in outcome.err


def test_a_stop_string_is_named(tok) -> None:
    engine = ScriptedEngine([reply("one", stop=Stop("string", "END"))])
    assert tok("ask", "hi", "--json", engine=engine).json["stop"] == {"kind": "string", "text": "END", "token_id": None}


@pytest.mark.parametrize("flag", ["--json", "--jsonl"])
def test_a_lost_engine_keeps_the_text_and_exits_with_5(tok, flag: str) -> None:
    outcome = tok("ask", "hi", flag, engine=ScriptedEngine([reply("one two three", dies_after=2)]))
    report = outcome.lines[-1]
    assert outcome.code == 5
    assert (report["text"], report["finish_reason"]) == ("one two", "error")
    assert (report["error"]["kind"], report["error"]["code"]) == ("engine_lost", 5)
    assert "killed by SIGKILL" in report["error"]["message"]


def test_a_lost_engine_in_plain_text(tok) -> None:
    outcome = tok("ask", "hi", engine=ScriptedEngine([reply("one two three", dies_after=2)]))
    assert (outcome.code, outcome.out) == (5, "one two\n")
    assert outcome.err.startswith("tok: the engine was lost: killed by SIGKILL\nhint: ")


def test_a_refused_request_exits_with_1(tok) -> None:
    engine = ScriptedEngine([Reply(finish=FinishReason.ERROR, error="bad batch", hint="try less")])
    outcome = tok("ask", "hi", "--json", engine=engine)
    assert outcome.code == 1
    assert outcome.json["error"] == {"code": 1, "kind": "failed", "message": "bad batch", "hint": "try less"}


def test_a_prompt_that_does_not_fit_is_an_error(tok) -> None:
    engine = ScriptedEngine([Reply(finish=FinishReason.CONTEXT, n_prompt=9000)])
    outcome = tok("ask", "hi", "--json", engine=engine)
    assert (outcome.code, outcome.json["finish_reason"]) == (1, "context")
    assert "9000 tokens, the context window holds 8192" in outcome.json["error"]["message"]


def test_a_full_context_is_reported_on_stderr(tok) -> None:
    outcome = tok("ask", "hi", engine=ScriptedEngine([reply("one two", finish=FinishReason.CONTEXT)]))
    assert (outcome.code, outcome.out) == (0, "one two\n")
    assert "context window is full" in outcome.err


@pytest.mark.parametrize(
    ("load", "code", "kind"),
    [
        (LoadFailed("bad magic", "get it again"), 4, "model"),
        (EngineLost(-6, "killed by SIGABRT"), 5, "engine_lost"),
    ],
)
def test_a_model_that_does_not_load(tok, load, code: int, kind: str) -> None:
    outcome = tok("ask", "hi", "--json", engine=ScriptedEngine(loads=[Load(outcome=load)], loaded=False))
    assert outcome.code == code
    assert outcome.json["error"]["kind"] == kind
    assert load.reason in outcome.json["error"]["message"]


def test_the_engine_is_always_closed(tok) -> None:
    engine = ScriptedEngine(["x"])
    tok("ask", "hi", engine=engine)
    assert engine.closed


def test_hostile_text_is_made_visible_only_on_a_terminal(tok, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = Reply(pieces=("a\x1b]0;title\x07b",))
    assert tok("ask", "hi", engine=ScriptedEngine([hostile])).out == "a\x1b]0;title\x07b\n"
    monkeypatch.setattr("app.cli.common.console.stdout_is_terminal", lambda: True)
    assert tok("ask", "hi", engine=ScriptedEngine([hostile])).out == "a␛]0;title␇b\n"


def test_what_was_left_out_is_reported_on_stderr(tok) -> None:
    outcome = tok("ask", "hi", engine=ScriptedEngine([reply("fine", trimmed=(4, 900))]))
    assert (outcome.code, outcome.out) == (0, "fine\n")
    assert "the 4 oldest messages (900 tokens) left out" in outcome.err


@pytest.mark.parametrize("more", [[], ["--no-stream"]], ids=["stream", "whole"])
@pytest.mark.parametrize(
    ("pieces", "out"),
    [
        ((), ""),
        (("",), ""),
        (("\n",), ""),
        (("\n", "\r\n"), ""),
        (("a\n\n",), "a\n"),
        (("a", "\n", "\n"), "a\n"),
        (("a\r\n", "\r\n"), "a\n"),
        (("a\r", "\n"), "a\n"),
        (("a\n", "\nb"), "a\n\nb\n"),
        (("\n", "a"), "\na\n"),
        (("a\n ",), "a\n \n"),
    ],
)
def test_an_answer_ends_with_one_newline_and_an_empty_one_is_nothing(tok, pieces, out: str, more) -> None:
    outcome = tok("ask", "hi", *more, engine=ScriptedEngine([Reply(pieces=pieces)]))
    assert (outcome.code, outcome.out, outcome.err) == (0, out, "")


def test_several_answers_end_with_one_newline_each(tok) -> None:
    engine = ScriptedEngine([Reply(pieces=("a\n\n",)), Reply(pieces=("\n",)), Reply(pieces=("c",))])
    out = tok("ask", "hi", "-n", "3", "--seed", "7", engine=engine).out
    assert out.splitlines()[1:3] == ["a", ""]
    assert out.endswith("]\nc\n")
    assert "\n\n\n" not in out


def test_the_text_of_json_stays_as_it_was(tok) -> None:
    assert tok("ask", "hi", "--json", engine=ScriptedEngine([Reply(pieces=("a\n\n",))])).json["text"] == "a\n\n"


def test_newlines_are_held_back_only_until_text_follows(tok, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr("app.cli.common.console.write_out", written.append)
    tok("ask", "hi", engine=ScriptedEngine([Reply(pieces=("a\n", "b\n", "\n"))]))
    assert written == ["a", "\nb", "\n"]


def test_a_request_that_waits_for_paused_ones_says_so_before_it_begins(tok) -> None:
    outcome = tok("ask", "hi", engine=ScriptedEngine([reply("fine", held_by=(4, 5))]))
    assert (outcome.code, outcome.out) == (0, "fine\n")
    assert outcome.err.splitlines()[:2] == [
        "tok: waiting: 2 paused requests hold all slots",
        "hint: resume or stop one of them, or press Ctrl+C to give up",
    ]
    lines = tok("ask", "hi", "--jsonl", engine=ScriptedEngine([reply("fine", held_by=(4,))])).lines
    assert lines[0] == {"event": "waiting", "held_by": [4]}


def test_several_answers_that_wait_say_so_once(tok) -> None:
    waits = reply("fine", held_by=(4,))
    outcome = tok("ask", "hi", "-n", "2", engine=ScriptedEngine([waits, waits]))
    assert outcome.err.count("tok: waiting: a paused request holds the only slot") == 1
