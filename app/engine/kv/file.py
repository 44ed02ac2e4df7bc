"""The file of one saved KV state (magic, version, key, conversation, checksums, tokens, state) and its removal."""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from app.domain.files import open_regular, read_regular

VERSION = 2
_MAGIC = b"TOKSKV\r\n"
_HEADER = struct.Struct("<8sI32sqIQII")
"""Magic, version, key, conversation, tokens, bytes of payload, its CRC-32, CRC-32 of the fields before it and of the
token ids."""
_OWNED = struct.Struct("<8sI32sq")
"""The first fields of the header."""
_CHUNK_BYTES = 4 << 20

State = npt.NDArray[np.uint8]
Ids = npt.NDArray[np.int32]


class UnfitError(Exception):
    """The file is invalid; the message continues `a saved state`."""


class GivenUpError(Exception):
    """The write was stopped."""


@dataclass(frozen=True, eq=False)
class StateFile:
    """The header and token ids of a file."""

    path: Path
    ids: Ids
    n_bytes: int
    crc: int


def file_bytes(ids: Ids, state: State) -> int:
    """Returns the size in bytes of the file for a state."""
    return _HEADER.size + ids.nbytes + state.nbytes


def conversation_of(path: Path) -> int | None:
    """Returns the conversation of a saved state, 0 if it has none; None if this version cannot read the file.

    Raises OSError.
    """
    head = read_regular(path, _OWNED.size)
    if len(head) < _OWNED.size:
        return None
    magic, version, _, conversation = _OWNED.unpack(head)
    return conversation if (magic, version) == (_MAGIC, VERSION) else None


def read_header(path: Path, key: bytes) -> StateFile:
    """Reads all but the payload. Raises UnfitError, OSError."""
    with open(open_regular(path), "rb") as file:
        head = file.read(_HEADER.size)
        if len(head) < _HEADER.size:
            raise UnfitError("is cut short")
        magic, version, its_key, _, n_tokens, n_bytes, crc, head_crc = _HEADER.unpack(head)
        if (magic, version, its_key) != (_MAGIC, VERSION, key):
            raise UnfitError("is of another format or model")
        if os.fstat(file.fileno()).st_size != _HEADER.size + 4 * n_tokens + n_bytes:
            raise UnfitError("is cut short")
        ids = file.read(4 * n_tokens)
    if zlib.crc32(ids, zlib.crc32(head[:-4])) != head_crc:
        raise UnfitError("is damaged")
    return StateFile(path, np.frombuffer(ids, np.int32), n_bytes, crc)


def read_payload(file: StateFile) -> State:
    """Reads the state and marks the file as used now. Raises UnfitError, OSError."""
    state = np.empty(file.n_bytes, np.uint8)
    with file.path.open("rb", buffering=0) as stream:
        stream.seek(_HEADER.size + file.ids.nbytes)
        n_read = 0
        while n_read < file.n_bytes and (n := stream.readinto(state.data[n_read:])):
            n_read += n
    if n_read < file.n_bytes or zlib.crc32(state.data) != file.crc:
        raise UnfitError("is damaged")
    os.utime(file.path)
    return state


def write(
    path: Path, key: bytes, ids: Ids, state: State, must_stop: Callable[[], bool], conversation: int = 0
) -> StateFile:
    """Writes a private file atomically. Raises OSError; GivenUpError if `must_stop` returns True."""
    crc = zlib.crc32(state.data)
    head = _HEADER.pack(_MAGIC, VERSION, key, conversation, len(ids), state.nbytes, crc, 0)[:-4]
    head += struct.pack("<I", zlib.crc32(ids.tobytes(), zlib.crc32(head)))
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with os.fdopen(_locked(temporary), "wb") as stream:
            stream.write(head + ids.tobytes())
            for start in range(0, state.nbytes, _CHUNK_BYTES):
                if must_stop():
                    raise GivenUpError
                stream.write(state.data[start : start + _CHUNK_BYTES])
            stream.flush()
            os.fsync(stream.fileno())
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return StateFile(path, ids, state.nbytes, crc)


def _locked(path: Path) -> int:
    """Creates a file that `remove_abandoned` leaves alone as long as this process has it open. Raises OSError."""
    while True:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
        if os.fstat(fd).st_nlink:
            return fd
        os.close(fd)  # deleted before it was locked


def remove_abandoned(path: Path) -> None:
    """Deletes an incomplete file. Raises OSError if a process still writes it, or if it cannot be deleted."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    finally:
        os.close(fd)


def kv_folder(cache: Path) -> Path:
    """Returns the folder of saved states in the cache folder."""
    return cache / "kv"


def remove_states(folder: Path, conversations: Collection[int]) -> int:
    """Deletes the states of conversations, incomplete ones too, and files of unreadable formats; returns how many.

    Logs files that cannot be deleted.
    """
    n_removed = 0
    for path in (*folder.glob("*.kv"), *folder.glob("*.tmp")):
        try:
            conversation = conversation_of(path)
            if conversation in conversations or (conversation is None and path.suffix == ".kv"):
                path.unlink(missing_ok=True)
                n_removed += 1
        except FileNotFoundError:
            continue  # another instance has deleted it
        except OSError as error:
            with suppress(OSError):
                os.write(2, f"cannot delete a saved state: {error}\n".encode())
    return n_removed
