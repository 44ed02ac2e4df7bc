"""What lies in the cells of a llama_context: counted, taken away, shared, saved and moved, sequence by sequence.

Knows no token and no batch; checks what would abort the process.
"""

from __future__ import annotations

from app.engine.native.bindings import C, Native
from app.engine.native.state import PARTIAL, Part, State, in_streams, partial_bytes, read_state, write_state


class NativeMemory:
    """The cells' part of a context, which sets the handle, and the memory's with it, whenever it is opened."""

    n_slots: int
    unified: bool
    """Whether the sequences lie in one pool and may share cells."""
    can_shift: bool
    n_window: int
    """See `Backend.n_window`."""
    _parts: tuple[Part, ...]
    _handle: Native = None
    _memory: Native = None

    def __init__(self) -> None:
        self._sources: set[int] = set()
        self._targets: set[int] = set()
        """Streams that the next decode copies from, and to."""

    @property
    def n_streams(self) -> int:
        """See `Backend.n_streams`."""
        return 1 if self.unified else self.n_slots

    def truncate(self, seq_id: int, n_past: int) -> bool:
        """See `Backend.truncate`."""
        return bool(C.llama_memory_seq_rm(self._memory, self._checked(seq_id), n_past, -1))

    def share(self, source: int, target: int) -> None:
        """See `Backend.share`. A range of positions would abort the process in some caches: it is always all."""
        self._refuse_lent(target)
        C.llama_memory_seq_cp(self._memory, self._checked(source), self._checked(target), -1, -1)
        if not self.unified:
            self._sources.add(source)
            self._targets.add(target)

    def settled(self) -> None:
        """Says that a decode has begun, which makes the copies first."""
        self._sources.clear()
        self._targets.clear()

    def read_state(self, seq_id: int, n_streams: int | None = None) -> State | None:
        """See `Backend.read_state`."""
        if not self._handle or self._checked(seq_id) in self._targets:
            return None
        state = read_state(self._handle, seq_id)
        if state is None or n_streams in (None, self.n_streams):
            return state
        try:
            return in_streams(state, self._parts, partial_bytes(self._handle, seq_id), self.n_streams, n_streams)
        except ValueError:
            return None

    def write_state(self, seq_id: int, state: State) -> bool:
        """See `Backend.write_state`."""
        self._refuse_lent(seq_id)
        self.clear(seq_id)
        fits = write_state(self._handle, seq_id, state)
        if not fits:
            self.clear(seq_id)
        return fits

    def checkpoint(self, seq_id: int) -> State | None:
        """See `Backend.checkpoint`."""
        return read_state(self._handle, self._checked(seq_id), PARTIAL)

    def rewind(self, seq_id: int, checkpoint: State, n_past: int) -> bool:
        """See `Backend.rewind`."""
        self._refuse_lent(seq_id)
        fits = write_state(self._handle, self._checked(seq_id), checkpoint, PARTIAL)
        return fits and self.truncate(seq_id, n_past) and self.n_cells(seq_id) == n_past

    def shift(self, seq_id: int, n_keep: int, n_discard: int) -> None:
        """See `Backend.shift`; the keys are rotated to their new positions by the next decode."""
        if not self.can_shift or not 0 <= n_keep < n_keep + n_discard <= self.n_cells(seq_id):
            raise ValueError(f"cannot discard {n_discard} cells at {n_keep}")  # llama.cpp would abort the process
        C.llama_memory_seq_rm(self._memory, seq_id, n_keep, n_keep + n_discard)
        C.llama_memory_seq_add(self._memory, seq_id, n_keep + n_discard, -1, -n_discard)

    def clear(self, seq_id: int) -> None:
        """See `Backend.clear`."""
        C.llama_memory_seq_rm(self._memory, self._checked(seq_id), -1, -1)

    def n_cells(self, seq_id: int) -> int:
        """See `Backend.n_cells`."""
        return int(C.llama_memory_seq_pos_max(self._memory, self._checked(seq_id))) + 1

    def _refuse_lent(self, seq_id: int) -> None:
        if seq_id in self._sources or seq_id in self._targets:
            raise ValueError(f"the cells of sequence {seq_id} are still to be copied")

    def _checked(self, seq_id: int) -> int:
        if not 0 <= seq_id < self.n_slots:
            raise ValueError(f"sequence {seq_id} of {self.n_slots}")  # llama.cpp would abort the process
        return seq_id
