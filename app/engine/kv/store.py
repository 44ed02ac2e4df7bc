"""Saved KV states of conversations, in a folder of limited size; the files are not trusted.

The key of a state covers the model's file, the build and everything that shapes the cells. A damaged or unfitting state
is deleted and reported, and the prompt is computed.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue

import numpy as np

from app.engine.core.backend import AdapterSet
from app.engine.kv import file as kvfile
from app.engine.kv.file import GivenUpError, Ids, State, StateFile, UnfitError, remove_states

MAX_BYTES = 2 << 30
_SHARD = re.compile(r"-\d{5}-of-\d{5}\.gguf$")
_EDGE_BYTES = 1 << 20
_MOST_WASTE = 4
"""A state is read if at least this share of it, 1/4, is needed."""


def state_key(model: Path, facts: Sequence[object]) -> bytes:
    """Returns 32 bytes that identify a model file (size, time, first and last MiB) and the layout `facts` of its cells.

    Raises OSError.
    """
    digest = hashlib.sha256(repr([kvfile.VERSION, *facts]).encode())
    for shard in sorted(model.parent.glob(_SHARD.sub("-*-of-*.gguf", model.name))) if _SHARD.search(model.name) else ():
        digest.update(f"{shard.name} {shard.stat().st_size} {shard.stat().st_mtime_ns}".encode())
    with model.open("rb") as file:
        status = os.fstat(file.fileno())
        digest.update(struct.pack("<QQ", status.st_size, status.st_mtime_ns))
        digest.update(file.read(_EDGE_BYTES))
        file.seek(max(0, status.st_size - _EDGE_BYTES))
        digest.update(file.read(_EDGE_BYTES))
    return digest.digest()


class Offer:
    """A saved state with the prefix of a prompt; implements `core.reuse.Saved`."""

    def __init__(self, store: KvStore, file: StateFile) -> None:
        self._store = store
        self._file = file

    @property
    def tokens(self) -> list[int]:
        """The ids of its cells."""
        return [int(token) for token in self._file.ids]

    def load(self) -> State | None:
        """Returns its cells; None without a notice if another instance has deleted the file."""
        try:
            return kvfile.read_payload(self._file)
        except OSError:
            self._store.forget(self._file.path)
        except UnfitError as error:
            self._store.discard(self._file.path, str(error))
        return None

    def reject(self) -> None:
        """Deletes the state, which the backend refused."""
        self._store.discard(self._file.path, "does not fit this model")


class KvStore:
    """The states of one key; implements `core.reuse.Archive`. All keys and instances share the folder."""

    def __init__(
        self,
        folder: Path,
        key: bytes,
        max_bytes: int = MAX_BYTES,
        facts: Callable[[AdapterSet], Sequence[object]] = tuple,
        forgotten: set[int] | None = None,
    ) -> None:
        """`facts` returns the part of the key for a set of adapters; `forgotten` are conversations not to save."""
        self._forgotten: set[int] = set() if forgotten is None else forgotten
        self._facts = facts
        self._others: dict[AdapterSet, KvStore] = {}
        self._folder = folder
        self._key = key
        self._max_bytes = max_bytes
        self._files: dict[str, StateFile] = {}
        self._scanned_ns = -1
        self._notices: list[str] = []
        self._lock = threading.Lock()
        self._queue: SimpleQueue[tuple[Ids, State, int] | None] = SimpleQueue()
        self._stop_at_s = float("inf")
        self._writer: threading.Thread | None = None
        self._is_failing = False
        self._clean()

    def under(self, adapters: AdapterSet) -> KvStore:
        """Implements `Archive.under` by a store with another key in the same folder."""
        if adapters and adapters not in self._others:
            key = hashlib.sha256(self._key + repr(self._facts(adapters)).encode()).digest()
            self._others[adapters] = KvStore(self._folder, key, self._max_bytes, forgotten=self._forgotten)
        return self._others[adapters] if adapters else self

    def find(self, prompt: Sequence[int], at_least: int, usable: Callable[[int, int], bool]) -> Offer | None:
        """Implements `Archive.find`."""
        self._scan()
        wanted = np.asarray(prompt, np.int32)
        best, best_n = None, max(1, at_least) - 1
        with self._lock:
            for file in self._files.values():
                n, n_saved = _common(file.ids, wanted), len(file.ids)
                if n > best_n and _MOST_WASTE * n >= n_saved and usable(min(n, len(wanted) - 1), n_saved):
                    best, best_n = file, n
        return Offer(self, best) if best else None

    def forget_conversations(self, conversations: Collection[int]) -> None:
        """Deletes the states of conversations, of every model, and saves none until `remember`."""
        self._forgotten |= set(conversations)
        remove_states(self._folder, conversations)

    def remember(self, conversation: int) -> None:
        """Allows a forgotten conversation to be saved again."""
        self._forgotten.discard(conversation)

    def save(self, tokens: Sequence[int], state: State, conversation: int = 0) -> None:
        """Implements `Archive.save`; writes nothing if a saved state already begins with these tokens."""
        ids = np.asarray(tokens, np.int32)
        self._scan()
        with self._lock:
            there = next((file for file in self._files.values() if _common(file.ids, ids) == len(ids)), None)
        if there:
            with suppress(OSError):
                os.utime(there.path)
            return
        self._queue.put((ids, state, conversation))
        if not self._writer:
            self._writer = threading.Thread(target=self._write_all, name="kvstore", daemon=True)
            self._writer.start()

    def take_notices(self) -> list[str]:
        """Implements `Archive.take_notices`."""
        notices, self._notices = self._notices, []
        return notices

    def close(self, timeout_s: float) -> None:
        """Waits for pending writes; gives up those that take longer than `timeout_s`."""
        self._stop_at_s = time.monotonic() + timeout_s
        for store in (self, *self._others.values()):
            store._finish(self._stop_at_s)

    def _finish(self, at_s: float) -> None:
        self._stop_at_s = at_s
        if self._writer:
            self._queue.put(None)
            self._writer.join(max(0.0, at_s - time.monotonic()))

    def discard(self, path: Path, why: str) -> None:
        """Deletes a file and adds a notice with the reason."""
        self.forget(path)
        with suppress(OSError):
            path.unlink(missing_ok=True)
        self._notices.append(f"a saved conversation state {why}: it was deleted, and the prompt is computed")

    def forget(self, path: Path) -> None:
        """Removes a file from the index."""
        with self._lock:
            self._files.pop(path.name, None)

    def _scan(self) -> None:
        """Reads the headers of new files."""
        try:
            changed_ns = self._folder.stat().st_mtime_ns
            if changed_ns == self._scanned_ns:
                return
            paths = {path.name: path for path in self._folder.glob(f"{self._prefix}-*.kv")}
        except OSError:
            return
        self._scanned_ns = changed_ns
        with self._lock:
            files = {name: file for name, file in self._files.items() if name in paths}
        for name in paths.keys() - files.keys():
            try:
                files[name] = kvfile.read_header(paths[name], self._key)
            except OSError:
                continue
            except UnfitError as error:
                self.discard(paths[name], str(error))
        with self._lock:
            self._files = files

    @property
    def _prefix(self) -> str:
        return self._key.hex()[:16]

    # Writing, on its own thread

    def _write_all(self) -> None:
        while (job := self._queue.get()) is not None:
            try:
                self._write(*job)
            except GivenUpError:
                pass  # the worker ends
            except OSError as error:
                self._failed(error)
            else:
                self._is_failing = False
            del job  # the cells would otherwise stay in memory until the next save

    def _failed(self, error: OSError) -> None:
        """Adds one notice that saving fails, until it works again."""
        if not self._is_failing:
            self._is_failing = True
            why = error.strerror or str(error)
            self._notices.append(f"this conversation's state cannot be saved ({why}): it is computed again next time")
            os.write(2, f"cannot save states in {self._folder}: {error}\n".encode(errors="replace"))

    def _clean(self) -> None:
        """Deletes incomplete files of dead writers."""
        for path in self._folder.glob("*.tmp"):
            with suppress(OSError):  # another instance has deleted it, or the folder is not writable
                kvfile.remove_abandoned(path)

    def _write(self, ids: Ids, state: State, conversation: int) -> None:
        size = kvfile.file_bytes(ids, state)
        if size > self._max_bytes or conversation in self._forgotten:
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._make_room(size)
        path = self._folder / f"{self._prefix}-{hashlib.sha256(ids.tobytes()).hexdigest()[:16]}.kv"
        new = kvfile.write(path, self._key, ids, state, lambda: time.monotonic() > self._stop_at_s, conversation)
        if conversation in self._forgotten:  # while it was written
            path.unlink(missing_ok=True)
            return
        with self._lock:
            continued = [f for f in self._files.values() if _common(f.ids, ids) == len(f.ids) < len(ids)]
            self._files[path.name] = new
        for file in continued:
            self.forget(file.path)
            file.path.unlink(missing_ok=True)

    def _make_room(self, size: int) -> None:
        """Deletes the least recently used states until `size` more bytes fit, pending writes included."""
        files: list[tuple[float, int, Path]] = []
        total = size
        for path in self._folder.iterdir():
            with suppress(OSError):
                status = path.stat()
                total += status.st_size
                if path.suffix == ".kv":
                    files.append((status.st_mtime, status.st_size, path))
        for _, n, path in sorted(files):
            if total <= self._max_bytes:
                return
            with suppress(OSError):
                path.unlink()
            self.forget(path)
            total -= n


def _common(a: Ids, b: Ids) -> int:
    n = min(len(a), len(b))
    different = np.flatnonzero(a[:n] != b[:n])
    return int(different[0]) if len(different) else n
