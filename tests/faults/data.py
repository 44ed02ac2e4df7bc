"""Faults of files and of the disk: the store, the configuration, model files, standard output."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sqlite3
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.config.catalogue import load_catalogue
from app.config.paths import config_file, database_file
from app.config.settings import load_settings
from app.domain.errors import ModelError
from app.models.gguf import read_header
from tests.e2e.terminal import Terminal
from tests.fakes.tiny_gguf import gguf_bytes, llama_metadata, llama_tensors, write_tiny_gguf
from tests.faults.app import HOSTILE
from tests.faults.fault import Fault

_ROOT = Path(__file__).parents[2]
_CONFIGURATION = b"""theme = "graphite"
fps = 20
[presets.mine]
temperature = 0.7
stop = ["x"]
[keys]
stop = "f9"
"""
_NOT_KEPT = "the copy in the history: the answer is printed, and said not to be kept"


@dataclass(frozen=True)
class _Done:
    code: int
    out: str
    err: str


def _command(folder: Path, *arguments: str) -> list[str]:
    model = folder / "tiny.gguf"
    if not model.exists():
        write_tiny_gguf(model)
    named = ("-m", str(model)) if arguments[0] == "ask" else ()
    return [sys.executable, "-m", "tests.faults.scripted_tok", *arguments, *named]


async def _tok(folder: Path, *arguments: str, stdout: int | None = None, **environment: str) -> _Done:
    """`tok` to its end, which must come soon."""
    process = await asyncio.create_subprocess_exec(
        *_command(folder, *arguments),
        cwd=_ROOT,
        env=os.environ | environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE if stdout is None else stdout,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
    assert b"Traceback" not in err, err.decode()
    assert b"this is a bug" not in err, err.decode()
    return _Done(process.returncode or 0, (out or b"").decode(), err.decode())


def _assert_answered(done: _Done) -> str:
    """The answer is there; that it is not in the history is said."""
    assert done.out == "one two three\n", done
    assert done.code == 0, done
    return _NOT_KEPT if "not kept" in done.err or "not saved" in done.err.lower() else ""


async def _full_disk(folder: Path, draw: random.Random) -> str:
    limit = draw.choice((0, 1, 4096, 40_000, 100_000))
    return _assert_answered(await _tok(folder, "ask", "hi", TOK_FILE_BYTES=str(limit)))


async def _locked_store(folder: Path, draw: random.Random) -> str:
    _assert_answered(await _tok(folder, "ask", "hi"))
    lock = sqlite3.connect(database_file(), isolation_level=None)
    try:
        lock.execute("BEGIN EXCLUSIVE" if draw.random() < 0.5 else "BEGIN IMMEDIATE")
        return _assert_answered(await _tok(folder, "ask", "hi"))
    finally:
        lock.close()


async def _damaged_store(folder: Path, draw: random.Random) -> str:
    _assert_answered(await _tok(folder, "ask", "hi"))
    raw = bytearray(database_file().read_bytes())
    for _ in range(draw.choice((1, 8, 64))):
        raw[draw.randrange(len(raw))] ^= 1 << draw.randrange(8)
    if draw.random() < 0.3:
        del raw[draw.randrange(len(raw)) :]
    database_file().write_bytes(raw)
    lost = _assert_answered(await _tok(folder, "ask", "hi"))
    listed = json.loads((await _tok(folder, "history", "--json")).out)
    return lost or ("" if len(listed) == 2 else "what could not be read; the damaged file is set aside")


async def _no_data_folder(folder: Path, draw: random.Random) -> str:
    (folder / "data").write_text("a file where a folder is wanted")
    return _assert_answered(await _tok(folder, "ask", "hi"))


async def _no_configuration_folder(folder: Path, draw: random.Random) -> str:
    (folder / "config").write_text("a file where a folder is wanted")
    done = await _tok(folder, "ask", "hi")
    assert done.code == 3, done
    assert "`config.toml` cannot be read" in done.err, done
    return ""


async def _pipe_as_file(folder: Path, draw: random.Random) -> str:
    config_file().parent.mkdir(parents=True)
    os.mkfifo(config_file().with_name(draw.choice(("config.toml", "models.toml"))))
    done = await _tok(folder, "ask", "hi")
    assert done.code in (0, 3), done
    assert "pipe" in done.err or "regular file" in done.err, done
    return ""


async def _mutated_configuration(folder: Path, draw: random.Random) -> str:
    config_file().parent.mkdir(parents=True)
    text = bytearray(
        b'theme = "graphite"\nfps = 20\n[presets.mine]\ntemperature = 0.7\nstop = ["x"]\n[keys]\nstop = "f9"\n'
    )
    for _ in range(draw.choice((1, 3, 10))):
        at = draw.randrange(len(text))
        text[at : at + draw.randrange(4)] = draw.randbytes(draw.randrange(4))
    config_file().write_bytes(text)
    for problem in [*load_settings().problems, *load_catalogue().problems]:
        assert str(problem)
    return ""


async def _mutated_model(folder: Path, draw: random.Random) -> str:
    raw = bytearray(gguf_bytes(llama_metadata(), llama_tensors()))
    n_head = len(raw) - sum(tensor.n_bytes for tensor in llama_tensors())
    for _ in range(draw.choice((1, 1, 4))):
        at = draw.randrange(n_head)
        raw[at : at + 8] = draw.choice((draw.randbytes(8), struct.pack("<Q", 1 << draw.randrange(64))))
    path = folder / "m.gguf"
    path.write_bytes(raw[: draw.randrange(len(raw))] if draw.random() < 0.2 else raw)
    with suppress(ModelError):  # refused in words, or taken: nothing else
        read_header(path)
    return ""


async def _full_output(folder: Path, draw: random.Random) -> str:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        done = await _tok(folder, "ask", "hi", *draw.choice(((), ("--json",), ("--jsonl",))), stdout=full)
    finally:
        os.close(full)
    assert done.code == 1, done
    assert "No space left on device" in done.err, done
    return "what could not be written"


async def _hostile_answer(folder: Path, draw: random.Random) -> str:
    arguments = draw.choice(
        (("ask", "hi"), ("ask", "hi", "--json"), ("ask", "hi", "--jsonl"), ("ask", "hi", "-n", "2"))
    )
    with Terminal(_command(folder, *arguments), TOK_REPLY=HOSTILE) as terminal:
        assert terminal.wait(60) == 0
        assert b"\x1b" not in terminal.raw, terminal.raw
        assert b"\xc2\x9b" not in terminal.raw
        assert "\u202e".encode() not in terminal.raw
    return ""


FAULTS = (
    Fault("disk full", _full_disk, 10),
    Fault("history locked by another program", _locked_store, 4),
    Fault("history damaged", _damaged_store, 10),
    Fault("data folder cannot be made", _no_data_folder, 3),
    Fault("configuration folder cannot be read", _no_configuration_folder, 3),
    Fault("a pipe in place of a configuration file", _pipe_as_file, 4),
    Fault("configuration mutated", _mutated_configuration, 300),
    Fault("model file mutated", _mutated_model, 300),
    Fault("standard output full", _full_output, 3),
    Fault("answer full of escapes, printed on a terminal", _hostile_answer, 4),
)
