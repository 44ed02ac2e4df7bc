"""The SHA-256 of a model, as `cat PARTS… | sha256sum` prints it.

Remembered by size and time of change, because gigabytes take seconds: a file that was changed without either showing it
is taken for the old one.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from app.cli.common import console
from app.config.paths import cache_dir, ensure_dir
from app.domain import units
from app.domain.errors import ModelError
from app.domain.files import read_regular, replace_private
from app.domain.text import one_line
from app.models.shards import model_name, other_parts

_KEPT = 64
_CHUNK = 1 << 20
_LARGE = 1 << 30


class Digest(Struct, frozen=True):
    """The hash of a model, and what its files looked like."""

    sha256: str
    n_bytes: int
    changed: tuple[int, ...]
    """Each part's time of change, in nanoseconds."""


def model_parts(path: Path) -> list[Path]:
    """The files of a model, in order. Raises ModelError where one is missing."""
    is_split = model_name(path) != path.stem
    return [path, *other_parts(path, int(path.stem[-5:]) if is_split else 1)]


def model_digest(path: Path, *, begin: Callable[[int], None], stopped: Callable[[], bool]) -> Digest:
    """The hash of a model's file and of the parts beside it; blocks.

    Args:
        path: the first part.
        begin: hears how many bytes are to be read; not called where the hash is known.
        stopped: asked now and then whether nobody wants it any more.

    Raises:
        ModelError: a part cannot be read, or it was stopped.
    """
    parts = model_parts(path)
    try:
        seen = [part.stat() for part in parts]
        n_bytes, changed = sum(stat.st_size for stat in seen), tuple(stat.st_mtime_ns for stat in seen)
        known = _known()
        key = os.path.realpath(path)
        old = known.pop(key, None)
        if old is None or (old.n_bytes, old.changed) != (n_bytes, changed):
            begin(n_bytes)
            old = Digest(_sha256(parts, stopped), n_bytes, changed)
        known[key] = old
        _remember(dict(list(known.items())[-_KEPT:]))
    except OSError as error:
        raise ModelError(f"cannot read {one_line(str(path))}: {error.strerror}") from error
    return old


def _sha256(parts: list[Path], stopped: Callable[[], bool]) -> str:
    total = hashlib.sha256()
    for part in parts:
        with part.open("rb", buffering=0) as file:
            while chunk := file.read(_CHUNK):
                total.update(chunk)
                if stopped():
                    raise InterruptedError(errno.EINTR, "interrupted")
    return total.hexdigest()


def _file() -> Path:
    return cache_dir() / "model-hashes.json"


def _known() -> dict[str, Digest]:
    with suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(read_regular(_file()), type=dict[str, Digest])
    return {}


def _remember(known: dict[str, Digest]) -> None:
    # A cache that cannot be written is only slow.
    with suppress(OSError):
        ensure_dir(cache_dir())
        replace_private(_file(), msgspec.json.encode(known))


async def hash_model(path: Path) -> Digest:
    """The same beside the event loop; says on standard error when it takes long. Raises ModelError."""

    def begin(n_bytes: int) -> None:
        if n_bytes >= _LARGE:
            console.print_stderr(f"tok: hashing {one_line(path.name)} ({units.size(n_bytes)}), this once")

    stop = threading.Event()
    try:
        return await asyncio.to_thread(model_digest, path, begin=begin, stopped=stop.is_set)
    finally:
        stop.set()
