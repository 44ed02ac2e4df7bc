"""Checkpoints for models whose memory cannot be truncated (recurrent and hybrid ones).

Such a model can only continue from its present state. Copies of the state are therefore taken at likely prefixes of
later prompts: after the system prompt, at the end of each reply that a turn follows, and before the last token of each
prompt. A copy is small for these models; cells that can be truncated stay in the cache.
"""

from __future__ import annotations

from app.engine.core.backend import Backend
from app.engine.core.sequence import Sequence, SequencePhase
from app.engine.core.slots import Checkpoint, Slot, SlotTable

MAX_BYTES = 256 << 20
"""Maximum size of all checkpoints of a context."""
MOST_OF_A_SLOT = 16
_APART = 32
"""A place closer than this to the cached tokens is not worth a separate decode."""


class Checkpoints:
    """Takes checkpoints and returns to them; does nothing if the memory can be truncated."""

    def __init__(self, backend: Backend, slots: SlotTable, max_bytes: int = MAX_BYTES) -> None:
        self._backend = backend
        self._slots = slots
        self._max_bytes = max_bytes

    def begin(self, sequence: Sequence) -> None:
        """Takes a checkpoint of the cached tokens, and plans where the prefill stops for further ones."""
        if self._backend.partial_removal or sequence.params.exact or sequence.slot is None:
            return
        n_cached, n_last = len(sequence.slot.tokens), len(sequence.prompt) - 1
        self._take(sequence.slot)
        spans = sequence.spans
        for place in (spans.n_system, spans.n_system + spans.n_history):
            if n_cached + _APART <= place < n_last and place not in sequence.stops:
                sequence.stops.append(place)
        if n_last > n_cached:
            sequence.stops.append(n_last)

    def reached(self, sequence: Sequence) -> None:
        """Takes a checkpoint if the sequence has reached a planned place, or if an exact one has finished a chunk."""
        if self._backend.partial_removal or sequence.slot is None:
            return
        exact = sequence.params.exact and sequence.phase is SequencePhase.PREFILL
        if exact or sequence.n_past in sequence.stops:
            self._take(sequence.slot)

    def reach(self, slot: Slot, n_past: int) -> int:
        """Returns how many of the first `n_past` tokens of a slot can be kept."""
        n_tokens = len(slot.tokens)
        if n_past >= n_tokens:
            return n_tokens
        # In one pool, others may have taken any of the cells outside the window.
        is_whole = not (self._backend.unified and self.hides(n_tokens)) or n_past == n_tokens - 1
        if self._backend.partial_removal and n_past >= slot.whole_from and is_whole:
            return n_past
        return max((each.n_tokens for each in slot.checkpoints if each.n_tokens <= n_past), default=0)

    def hides(self, n_tokens: int) -> bool:
        """Whether a sliding window may hide the first of `n_tokens` tokens; some windows see half as far back."""
        return 0 < self._backend.n_window < 2 * n_tokens

    def rewind(self, slot: Slot, n_past: int) -> int:
        """Returns to the longest checkpoint of at most `n_past` tokens; returns its length."""
        while n_kept := max((each.n_tokens for each in slot.checkpoints if each.n_tokens <= n_past), default=0):
            found = next(each for each in slot.checkpoints if each.n_tokens == n_kept)
            if self._backend.rewind(slot.seq_id, found.state, n_kept):
                slot.cut(n_kept)
                return n_kept
            slot.checkpoints.remove(found)
        self._backend.clear(slot.seq_id)
        slot.cut(0)
        return 0

    def _take(self, slot: Slot) -> None:
        n_tokens = len(slot.tokens)
        if not n_tokens or slot.shifted or any(each.n_tokens == n_tokens for each in slot.checkpoints):
            return
        state = self._backend.checkpoint(slot.seq_id)
        if state is None or len(state) > self._max_bytes:
            return
        slot.checkpoints.append(Checkpoint(n_tokens, state))
        slot.checkpoints.sort(key=lambda each: each.n_tokens)  # an exact run passes the kept checkpoints
        while len(slot.checkpoints) > MOST_OF_A_SLOT:
            del slot.checkpoints[1]  # the first checkpoint is the system prompt's
        self._make_room(slot)

    def _make_room(self, latest: Slot) -> None:
        """Removes the oldest checkpoints of the least recently used slot until the rest fit; those of `latest` last."""
        slots = [slot for slot in self._slots.slots if slot is not latest]
        order = [*sorted(slots, key=lambda slot: slot.last_used), latest]
        n_bytes = sum(len(each.state) for slot in order for each in slot.checkpoints)
        for slot in order:
            while n_bytes > self._max_bytes and slot.checkpoints:
                n_bytes -= len(slot.checkpoints.pop(0).state)
