"""`tok tokenize`, `tok next` and `tok inspect` over the scripted engine: data, lines, what a terminal shows, errors."""

from __future__ import annotations

import io
import json
import math
import os
import signal
from pathlib import Path

import pytest

from app.cli.score.inspection import InspectRun, TsvReport
from app.domain.conversation import Role
from app.domain.trace import Prediction, StageTrace, TopToken
from app.protocol.commands import ChatMessage
from tests.fakes.engine_events import kept, make_lost, make_token
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import Load

pytestmark = pytest.mark.usefixtures("model")
COMMANDS = (("tokenize", "a b"), ("next", "a b"), ("inspect", "a b"))


def piped(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, data)
    os.close(write_end)
    os.dup2(read_end, 0)
    os.close(read_end)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(open(0, "rb", closefd=False)))  # noqa: SIM115 -- fd 0 stays


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch):
    kept_fd = os.dup(0)
    yield lambda data: piped(monkeypatch, data)
    os.dup2(kept_fd, 0)
    os.close(kept_fd)


def test_tokens_are_an_array_with_places_in_bytes(tok) -> None:
    engine = ScriptedEngine()
    outcome = tok("tokenize", "Grüße an <|im_end|>", "--json", engine=engine)
    assert outcome.code == 0
    assert outcome.json == [
        {"id": 300, "text": "Grüße", "start": 0, "end": 7},
        {"id": 301, "text": " an", "start": 7, "end": 10},
        {"id": 302, "text": " <|im_end|>", "start": 10, "end": 21},
    ]
    assert not engine.tokenized[0].parse_special
    assert engine.loads[0].options.n_slots == 1


def test_control_tokens_are_meant_only_with_special(tok) -> None:
    outcome = tok("tokenize", "a<|im_end|>", "--special")
    assert outcome.out.splitlines() == ["id\tstart\tend\ttext", '300\t0\t1\t"a"', '2\t1\t11\t"<|im_end|>"']


def test_a_terminal_shows_where_one_token_ends_and_the_next_begins(tok, terminal) -> None:
    out = tok("tokenize", "a b\n<|im_end|>", "--special").out
    assert out.splitlines() == [
        "\x1b[36ma\x1b[0m\x1b[2m│\x1b[0m\x1b[33m b\x1b[0m\x1b[2m│\x1b[0m\x1b[36m↵\x1b[0m",
        "\x1b[2m│\x1b[0m\x1b[7m<|im_end|>\x1b[0m",
        "",
        "4 tokens · 14 bytes",
    ]


def test_without_colours_the_bars_and_attributes_stay(tok, terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert tok("tokenize", "a b").out.splitlines()[0] == "a\x1b[2m│\x1b[0m b"


def test_hostile_text_cannot_reach_the_terminal(tok, terminal) -> None:
    out = tok("tokenize", "\x1b]0;owned\x07 \u202egnp").out
    assert "\x1b]" not in out
    assert "\x07" not in out
    assert "\u202e" not in out


def test_a_file_is_read_as_it_is(tok, tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_bytes("\ufeff a\r\nb\n".encode())
    engine = ScriptedEngine()
    assert tok("tokenize", "-f", str(file), engine=engine).code == 0
    assert engine.tokenized[0].text == "\ufeff a\r\nb\n"


@pytest.mark.parametrize("arguments", [(), ("-f", "-")])
def test_standard_input_is_read_as_it_is(tok, stdin, arguments: tuple[str, ...]) -> None:
    stdin(b"one two\n")
    engine = ScriptedEngine()
    assert tok("inspect", *arguments, engine=engine).code == 0
    assert engine.scored[0].text == "one two\n"


def test_the_next_token_as_json_is_what_is_documented(tok) -> None:
    engine = ScriptedEngine()
    outcome = tok("next", "Hello there", "-k", "6", "--json", "--temperature", "0.5", engine=engine)
    after = [kept(rank) for rank in range(1, 5)]
    texts = {1: " next"} | {n: f" alt{n}" for n in range(2, 7)}
    ids = {1: 100} | {n: 1000 + n for n in range(2, 7)}
    assert outcome.json == {
        "prompt": {"n_tokens": 9},
        "before": [{"id": ids[n], "text": texts[n], "p": 0.5**n, "rank": n} for n in range(1, 7)],
        "after": [{"id": ids[n], "text": texts[n], "p": after[n - 1], "rank": n} for n in range(1, 5)],
        "stages": [
            {"name": "top-k", "n_in": 49152, "n_out": 4, "cut": [1005, 1006]},
            {"name": "temperature", "n_in": 4, "n_out": 4, "cut": []},
            {"name": "dist", "n_in": 4, "n_out": 4, "cut": []},
        ],
    }
    asked = engine.predicted[0]
    assert asked.messages == (ChatMessage(Role.USER, "Hello there"),)
    assert (asked.sampling.temperature, asked.top_k, asked.text) == (0.5, 6, "")
    assert engine.requests == []


def test_a_raw_prompt_goes_without_messages(tok) -> None:
    engine = ScriptedEngine()
    assert tok("next", " as it is ", "--raw", "-p", "precise", engine=engine).code == 0
    assert (engine.predicted[0].text, engine.predicted[0].messages) == (" as it is ", ())


def test_the_system_prompt_goes_along(tok) -> None:
    engine = ScriptedEngine()
    tok("next", "Hi", "-s", "Be brief.", engine=engine)
    assert engine.predicted[0].messages[0] == ChatMessage(Role.SYSTEM, "Be brief.")


def test_the_next_token_in_a_pipe_is_lines_with_tabs(tok) -> None:
    lines = tok("next", "Hi", "-k", "5").out.splitlines()
    assert lines[:2] == ["rank\tid\tbefore\tafter\tcut_by\ttext", '1\t100\t0.5\t0.533333\t\t" next"']
    assert lines[5] == '5\t1005\t0.03125\t0\ttop-k\t" alt5"'


def test_the_next_token_in_a_terminal_is_a_table_with_bars(tok, terminal) -> None:
    engine = ScriptedEngine()
    engine.prediction = Prediction(
        1.5,
        0.25,
        (TopToken(7, " a\n", 0.5), TopToken(8, "東京", 0.5), TopToken(9, "x", 0.0)),
        (TopToken(7, " a\n", 1.0),),
        (StageTrace("top-k", 49152, 2, (0.5, 0.5, 0.0)), StageTrace("min-p", 2, 1, (1.0, 0.0, 0.0))),
    )
    out = tok("next", "Hi", engine=engine).out
    assert out.splitlines() == [
        "8 tokens of prompt · entropy 1.50 bits · end of reply: 25 %",
        "",
        "      token                       before                  after the chain",
        '   1  " a↵"                            50 %  █████▌           100 %  ███████████',
        '   2  "東京"                           50 %  █████▌       cut by min-p',
        '   3  "x"                               0 %               cut by top-k',
        "",
        "chain: top-k 49,152 → 2 · min-p 2 → 1",
    ]
    assert max(map(len, out.splitlines())) <= 80


def test_equal_candidates_share_a_rank(tok) -> None:
    engine = ScriptedEngine()
    top = tuple(TopToken(n, str(n), p) for n, p in enumerate((0.5, 0.2, 0.2, 0.1)))
    engine.prediction = Prediction(1.0, 0.0, top, top)
    assert [each["rank"] for each in tok("next", "x", "--json", engine=engine).json["before"]] == [1, 2, 2, 4]


def test_a_score_as_json(tok) -> None:
    engine = ScriptedEngine()
    outcome = tok("inspect", "a bb ccc", "-k", "1", "--ctx", "512", "--json", engine=engine)
    assert outcome.json == {
        "model": outcome.json["model"],
        "n_ctx": 512,
        "n_tokens": 3,
        "n_scored": 2,
        "nll": pytest.approx(3 * math.log(2)),
        "perplexity": pytest.approx(math.exp(1.5 * math.log(2))),
        "complete": True,
        "tokens": [
            entry("a", 100, 0, 1.0, 1, 0.0, []),
            entry(" bb", 101, 1, 0.5, 1, 2.0, [{"id": 101, "text": " bb", "p": 0.5}]),
            entry(" ccc", 102, 4, 0.25, 2, 2.0, [{"id": 1001, "text": " alt1", "p": 0.5}]),
        ],
    }
    assert (engine.scored[0].n_ctx, engine.loads[0].options.n_ctx) == (512, 512)


def entry(text: str, token: int, start: int, p: float, rank: int, entropy: float, top: list[object]) -> object:
    figures = {"p": p, "logprob": math.log(p), "rank": rank, "entropy": entropy}
    return {"id": token, "text": text, "start": start, "end": start + len(text), **figures, "top": top}


def test_a_score_in_a_pipe_is_lines_and_its_sum_is_reported_beside_them(tok) -> None:
    outcome = tok("inspect", "a\tb c")
    assert outcome.out.splitlines() == [
        "start\tend\tid\tp\tlogprob\trank\tentropy\ttext",
        '0\t1\t100\t1\t0\t1\t0.0000\t"a"',
        '1\t3\t101\t0.5\t-0.693147\t1\t2.0000\t"\\tb"',
        '3\t5\t102\t0.25\t-1.38629\t2\t2.0000\t" c"',
    ]
    assert outcome.err == "tok: perplexity 2.8284 over 2 scored of 3 tokens (all but the first)\n"


def test_without_colours_each_look_is_still_another_one(tok, terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    legend = tok("inspect", "a b").out.splitlines()[2].split(" · ")
    looks = [text.split("m")[0] if text.startswith("\x1b") else "" for text in legend]
    assert looks == ["", "\x1b[4", "\x1b[1", "\x1b[1;4", "\x1b[7"]


def test_a_token_that_cannot_come_leaves_no_perplexity(capsys: pytest.CaptureFixture[str]) -> None:
    tokens = [make_token("a"), make_token("b")]
    TsvReport().end(InspectRun("m", tokens=tokens, n_scored=1, nll=math.inf, complete=True))
    assert capsys.readouterr().err == "tok: no perplexity over 1 scored of 2 tokens: one of them has probability 0\n"


def test_one_token_has_no_perplexity(tok) -> None:
    outcome = tok("inspect", "a", "--json")
    assert (outcome.json["perplexity"], outcome.json["n_scored"]) == (None, 0)


@pytest.mark.parametrize(("command", "text"), COMMANDS)
def test_an_engine_that_cannot_load_is_reported(tok, command: str, text: str) -> None:
    engine = ScriptedEngine(loads=[Load(outcome=make_lost())], loaded=False)
    outcome = tok(command, text, "--json", engine=engine)
    assert (outcome.code, outcome.json["error"]["kind"]) == (5, "engine_lost")
    assert "killed by SIGKILL" in outcome.err
    assert engine.closed


@pytest.mark.parametrize(("command", "text"), COMMANDS)
def test_a_model_that_is_missing_is_reported(tok, command: str, text: str) -> None:
    outcome = tok(command, text, "-m", "/nowhere.gguf", "--json")
    assert (outcome.code, outcome.json["error"]["kind"]) == (4, "model")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tokenize", ""), "the text is missing"),
        (("tokenize", "a", "-f", "b"), "a TEXT and a --file exclude each other"),
        (("tokenize", "-f", "/nowhere"), "cannot read /nowhere: No such file or directory"),
        (("next", "--raw", "", "-k", "3"), "the text is missing"),
        (("next", "a", "--raw", "-s", "b"), "--raw and --system exclude each other"),
        (("inspect", "a", "--ctx", "2"), "--ctx"),
        (("next", "a", "-k", "0"), "-k"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(tok, arguments: tuple[str, ...], message: str) -> None:
    engine = ScriptedEngine()
    outcome = tok(*arguments, "--json", engine=engine)
    assert (outcome.code, outcome.json["error"]["code"]) == (2, 2)
    assert message in outcome.json["error"]["message"]
    assert not engine.loads


@pytest.mark.parametrize("command", ["next", "ask", "explain"])
def test_without_a_prompt_the_hint_names_the_command(tok, command: str) -> None:
    outcome = tok(command, "")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == f'tok: there is nothing to ask\nhint: tok {command} "Write a haiku about rain"\n'


def test_a_binary_file_is_refused(tok, tmp_path: Path) -> None:
    file = tmp_path / "b"
    file.write_bytes(b"\xff\x00")
    assert "is not text" in tok("inspect", "-f", str(file)).err
    file.write_bytes(b"ab\xff")
    assert "is not UTF-8 text (byte 2)" in tok("inspect", "-f", str(file)).err


class Pressed(ScriptedEngine):
    """Ctrl-C after the first tokens of a score."""

    async def score(self, command):
        async for event in super().score(command):
            yield event
            os.kill(os.getpid(), signal.SIGINT)
            await self._gate.until(lambda: command.request_id in self.aborted)


def test_ctrl_c_keeps_what_was_scored(tok) -> None:
    outcome = tok("inspect", "a b c d e f", "--json", engine=Pressed())
    assert outcome.code == 130
    assert (outcome.json["n_tokens"], outcome.json["complete"]) == (4, False)
    assert "error" not in outcome.json


def test_a_loss_in_the_middle_keeps_what_was_scored(tok) -> None:
    class Dying(ScriptedEngine):
        async def score(self, command):
            async for event in super().score(command):
                yield event
                yield make_lost()
                return

    outcome = tok("inspect", "a b c d e f", "--json", engine=Dying())
    assert outcome.code == 5
    assert (outcome.json["n_tokens"], outcome.json["error"]["kind"]) == (4, "engine_lost")
    assert json.dumps(outcome.json["tokens"][-1]["text"]) == '" d"'


def test_rows_have_one_header_even_where_the_first_tokens_are_of_no_bytes(capfd: pytest.CaptureFixture[str]) -> None:
    rows = TsvReport()
    rows.take([make_token("")])
    rows.take([make_token("a")])
    assert [line.split("\t")[0] for line in capfd.readouterr().out.splitlines()] == ["start", "0", "0"]
