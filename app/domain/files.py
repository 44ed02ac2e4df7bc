"""Opens untrusted paths: a pipe or device in place of a file must not hang the program."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from pathlib import Path

_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISDIR, "a folder"),
)


def open_regular(path: Path, flags: int = os.O_RDONLY, mode: int = 0o600) -> int:
    """Returns a file descriptor, as `os.open` does, without ever waiting for another process.

    Raises OSError, also if `path` is neither a regular file nor the null device; `strerror` then says what it is.
    """
    try:
        fd = os.open(path, flags | getattr(os, "O_NONBLOCK", 0), mode)
    except OSError as error:
        # Opening a pipe without a reader, or a socket, gives this.
        if error.errno == errno.ENXIO:
            raise OSError(error.errno, "it is a pipe or a socket, not a regular file", str(path)) from None
        raise
    info = os.fstat(fd)
    if stat.S_ISREG(info.st_mode) or (stat.S_ISCHR(info.st_mode) and info.st_rdev == os.stat(os.devnull).st_rdev):
        return fd
    os.close(fd)
    kind = next((name for is_kind, name in _KINDS if is_kind(info.st_mode)), "a device")
    raise OSError(errno.EINVAL, f"it is {kind}, not a regular file", str(path))


def read_regular(path: Path, n_bytes: int = -1) -> bytes:
    """Returns the content of a file, at most the first `n_bytes`. Raises OSError, as `open_regular` does."""
    with open(open_regular(path), "rb") as file:
        return file.read(n_bytes)


def replace_private(path: Path, data: bytes) -> None:
    """Writes a file atomically: a new file is private, an existing one keeps its mode. Raises OSError."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(open_regular(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
