"""Grammars, several answers and batches with the real worker and the real model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.e2e.terminal import TOK, Terminal

pytestmark = [pytest.mark.model]


def tok(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*TOK, *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=55, check=False)


def test_an_answer_follows_its_grammar_and_shows_each_stage(tmp_path: Path) -> None:
    (tmp_path / "g.gbnf").write_text('root ::= "Yes." | "No."\n')
    done = tok("ask", "Is rain wet?", "--grammar", str(tmp_path / "g.gbnf"), "--json", "--trace-stages", "--seed", "1")
    report = json.loads(done.stdout)
    assert (done.returncode, report["text"] in ("Yes.", "No.")) == (0, True)
    for token in report["tokens"]:
        stages = token["stages"]
        assert stages[0]["n_in"] == 49152
        assert all(before["n_out"] == after["n_in"] for before, after in pairwise(stages))
        assert (stages[-1]["name"], len(stages[-1]["p"])) == ("dist", len(token["top"]))
        assert token["draw"]["low"] <= token["draw"]["u"] <= token["draw"]["high"] + 1e-6


def test_a_wrong_grammar_is_reported_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "g.gbnf").write_text('root ::= "yes" |\nrest ::= "no"\n')
    done = tok("ask", "x", "--grammar", str(tmp_path / "g.gbnf"), "--json")
    assert done.returncode == 1
    assert "line 2, column" in json.loads(done.stdout)["error"]["message"]


def test_several_answers_prefill_their_prompt_once() -> None:
    done = tok("ask", "Name a colour", "-n", "3", "--seed", "5", "--max-tokens", "6", "--json", "--no-save")
    choices = json.loads(done.stdout)["choices"]
    assert [choice["seed"] for choice in choices] == [5, 6, 7]
    n_prompt = choices[0]["usage"]["n_prompt"]
    assert [choice["usage"]["n_cached"] for choice in choices] == [0, n_prompt - 1, n_prompt - 1]
    assert all(choice["text"] for choice in choices)


def test_a_batch_that_is_cut_off_goes_on(tmp_path: Path) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    lines = [{"id": n, "prompt": f"Count to {n}", "max_tokens": 4, "seed": n} for n in range(4)]
    lines[2] |= {"max_tokens": 2000, "ban": ["<|im_end|>"]}
    source.write_text("\n".join(map(json.dumps, lines)))
    command = [*TOK, "batch", str(source), "-o", str(output), "--parallel", "2"]
    with Terminal(command, width=100) as terminal:
        terminal.wait_for(r"2/4")
        terminal.type("\x03")
        assert terminal.wait() == signal.SIGINT + 128
        assert terminal.termios() == terminal.termios_before
        assert "Traceback" not in terminal.text
    before = output.read_bytes()
    assert [json.loads(line)["id"] for line in before.splitlines()] == [0, 1]
    lines[2] |= {"max_tokens": 4}
    source.write_text("\n".join([*map(json.dumps, lines), "{"]))
    with output.open("ab") as file:
        file.write(b'{"index": 2, "id"')
    done = tok(*command[len(TOK) :])
    assert done.returncode == 1
    assert output.read_bytes().startswith(before)
    results = [json.loads(line) for line in output.read_bytes().splitlines()]
    assert [(result["index"], "error" in result) for result in results] == [
        (0, False),
        (1, False),
        (2, False),
        (3, False),
        (4, True),
    ]
    assert all(result["text"] and result["usage"]["n_generated"] <= 4 for result in results[:4])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds the worker through /proc")
def test_a_batch_goes_on_after_its_worker_was_killed(tmp_path: Path) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    long = {"prompt": "Write about the sea", "ban": ["<|im_end|>"], "max_tokens": 48}
    source.write_text("\n".join(json.dumps(long | {"id": n}) for n in range(3)))
    command = [*TOK, "batch", str(source), "-o", str(output), "--parallel", "1"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            until = time.monotonic() + 40
            while not (output.exists() and output.read_bytes()):
                assert time.monotonic() < until
                time.sleep(0.02)
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            os.kill(int(children[0]), signal.SIGKILL)
            _, errors = process.communicate(timeout=40)
        finally:
            process.kill()
    results = [json.loads(line) for line in output.read_bytes().splitlines()]
    assert (process.returncode, [result["usage"]["n_generated"] for result in results]) == (0, [48, 48, 48]), errors
