"""`tok ask` between real pipes, files and terminals, with the real worker and the real model."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.terminal import TOK, Terminal

pytestmark = [pytest.mark.model]

LONG = "Write a very long story about the sea"
ENDLESS = ("--temperature", "0", "--max-tokens", "2000")


@contextmanager
def tok(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    pipe = subprocess.PIPE
    with subprocess.Popen([*TOK, *arguments], stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe) as process:
        try:
            yield process
        finally:
            process.kill()


def shell(line: str) -> subprocess.CompletedProcess[bytes]:
    """Runs a line of shell in which `tok` is this very program."""
    command = f"tok() {{ '{sys.executable}' -m app \"$@\"; }}; {line}"
    return subprocess.run(
        ["bash", "-c", command], stdin=subprocess.DEVNULL, capture_output=True, timeout=50, check=False
    )


def worker_of(process: subprocess.Popen[bytes]) -> int:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(children[0])


def test_a_reader_of_one_line_ends_it_quietly() -> None:
    done = shell(f"tok ask '{LONG}' --temperature 0 | head -c 1 >/dev/null; echo ${{PIPESTATUS[*]}}")
    assert (done.stdout, done.stderr) == (b"0 0\n", b"")


def test_closed_standard_output_is_reported() -> None:
    done = shell("tok ask hi --max-tokens 3 >&-")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"tok: standard output is closed\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_reported() -> None:
    done = shell("tok ask hi --max-tokens 3 > /dev/full")
    assert done.returncode == 1
    assert done.stderr == b"tok: cannot write to standard output: No space left on device\n"


def test_standard_input_is_read_from_a_pipe() -> None:
    done = shell("echo 'What is rain?' | tok ask --json --max-tokens 1")
    assert json.loads(done.stdout)["usage"]["n_generated"] == 1


def test_more_input_than_any_context_holds_is_refused_early() -> None:
    done = shell("head -c 10000000 /dev/zero | tr '\\0' a | tok ask sum --json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["kind"] == "usage"


def test_json_is_one_valid_object() -> None:
    done = shell("tok ask 'Say hi' --json --logprobs 3 --seed 1 --max-tokens 4")
    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert len(report["tokens"]) == report["usage"]["n_generated"] == 4
    for token in report["tokens"]:
        assert [top["p"] for top in token["top"]] == sorted((top["p"] for top in token["top"]), reverse=True)


def test_the_same_seed_gives_the_same_answer() -> None:
    texts = [shell("tok ask 'Say hi' --json --seed 7 --max-tokens 12 --no-save").stdout for _ in range(2)]
    first, second = (json.loads(text) for text in texts)
    assert first["text"] == second["text"]
    assert first["seed"] == 7


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_keeps_the_text_and_the_json(number: signal.Signals) -> None:
    with tok("ask", LONG, "--jsonl", *ENDLESS) as process:
        assert process.stdout
        while json.loads(process.stdout.readline())["event"] != "text":
            pass
        process.send_signal(number)
        rest, errors = process.communicate(timeout=20)
    report = json.loads(rest.splitlines()[-1])
    assert process.returncode == 128 + number
    assert (report["event"], report["finish_reason"]) == ("finished", "abort")
    assert report["text"]
    assert errors == b""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds the worker through /proc")
def test_a_killed_worker_is_reported_and_the_text_kept() -> None:
    with tok("ask", LONG, "--jsonl", *ENDLESS) as process:
        assert process.stdout
        while json.loads(process.stdout.readline())["event"] != "text":
            pass
        os.kill(worker_of(process), signal.SIGKILL)
        rest, _ = process.communicate(timeout=20)
    report = json.loads(rest.splitlines()[-1])
    assert process.returncode == 5
    assert (report["error"]["kind"], report["finish_reason"]) == ("engine_lost", "error")
    assert report["text"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds the worker through /proc")
def test_a_stopped_worker_is_reported_and_goes_on_when_it_wakes() -> None:
    with tok("ask", LONG, *ENDLESS) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.read(1)
        os.kill(worker_of(process), signal.SIGSTOP)
        reported = process.stderr.readline() + process.stderr.readline()
        assert re.fullmatch(
            rb"tok: the engine has not answered for \d s\nhint: waiting; press Ctrl-C to end it\n", reported
        )
        os.kill(worker_of(process), signal.SIGCONT)
        assert process.stderr.readline() == b"tok: the engine answers again\n"
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (143, b"")


def test_a_terminal_that_goes_away_ends_it_as_its_signal_does() -> None:
    with Terminal([*TOK, "ask", LONG, *ENDLESS]) as terminal:
        terminal.wait_for(r"\w+ \w+ \w+")
        terminal.hang_up()
        assert terminal.process.wait(20) == 129


def test_on_a_terminal_ctrl_c_ends_the_line() -> None:
    with Terminal([*TOK, "ask", LONG, *ENDLESS]) as terminal:
        terminal.wait_for(r"\w+ \w+ \w+")
        terminal.type("\x03")
        assert terminal.wait() == 130
        assert "Traceback" not in terminal.text
        assert terminal.termios() == terminal.termios_before
        assert terminal.raw.endswith(b"\n")
