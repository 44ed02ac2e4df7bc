"""Reuse: the cells of a prompt that need not be computed: its own slot's, another's, another context's, the archive's.

What a slot loses to another conversation goes to the archive, where it is long enough to be worth it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from collections.abc import Sequence as Many
from typing import Protocol

from app.engine.core.backend import AdapterSet, Backend, State
from app.engine.core.checkpoints import Checkpoints
from app.engine.core.sequence import Sequence
from app.engine.core.slots import Slot, SlotState, SlotTable, common_prefix

WORTH = 256
"""Copying cells, or reading them from disk, pays where it saves the computing of this many tokens."""
_FEW, _CHEAP = 4, 16
"""Between two contexts a state is copied where that saves the computing of more than a few tokens, and of at least
1/16 of the tokens that it holds: a token is copied a hundred times as fast as it is computed."""


class Saved(Protocol):
    """A conversation's beginning in the archive."""

    @property
    def tokens(self) -> list[int]:
        """The ids whose cells were saved."""
        ...

    def load(self) -> State | None:
        """Its cells; None where they are gone or damaged."""
        ...

    def reject(self) -> None:
        """Says that the cells did not fit, so that they are not offered again."""
        ...


class Archive(Protocol):
    """Keeps states beyond the life of their slot. `app.engine.kvstore` keeps them in files."""

    def find(self, prompt: Many[int], at_least: int, whole: bool) -> Saved | None:
        """What has the longest prefix in common with `prompt`, `at_least` tokens; `whole`: all of it must be."""
        ...

    def save(self, tokens: Many[int], state: State, conversation: int) -> None:
        """Takes a state of a conversation; returns before it is written."""
        ...

    def under(self, adapters: AdapterSet) -> Archive:
        """The part that holds cells computed with these adapters."""
        ...

    def take_notices(self) -> list[str]:
        """What the user should know, once."""
        ...


class Reuse:
    """Fills slots for the sequences of one context."""

    def __init__(
        self,
        backend: Backend,
        slots: SlotTable,
        archive: Archive | None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`wall` tells the Unix time, for what is read from disk."""
        self._wall = wall
        self._backend = backend
        self._slots = slots
        self._archive = archive
        self.checkpoints = Checkpoints(backend, slots)
        self._beside: list[Reuse] = []

    def stand_beside(self, other: Reuse) -> None:
        """From now on each of the two takes cells over from the other: two contexts of one model."""
        self._beside.append(other)
        other._beside.append(self)

    def fill(self, sequence: Sequence, slot: Slot, n_common: int) -> int:
        """Leaves in the claimed slot the tokens that begin the prompt; returns how many.

        At least one token is computed again: the cache keeps no logits.
        """
        n_own = 0 if sequence.params.exact else self.checkpoints.reach(slot, min(n_common, len(sequence.prompt) - 1))
        if len(slot.tokens) >= WORTH and 2 * n_own < len(slot.tokens):
            self.keep(slot)
        slot.adapters = sequence.adapters
        if sequence.params.exact:
            n_cached = self._cut(slot, 0)
        elif n_moved := self._move(sequence, slot, n_own):
            n_cached = self._cut(slot, n_moved)
        elif self._backend.unified:
            n_cached = self._share(sequence, slot, min(n_own, len(slot.tokens)))
        else:
            n_cached = self._restore(sequence, slot, n_own) or self._copy(sequence, slot, n_own)
            n_cached = self._cut(slot, n_cached or min(n_own, len(slot.tokens)))
            if not n_cached:
                sequence.n_restored = sequence.n_shared = 0
        slot.private = (slot.private and n_cached > 0) or not sequence.cacheable
        slot.conversation = sequence.conversation
        return n_cached

    def keep(self, slot: Slot) -> None:
        """Saves what lies in a slot, where that is worth it and allowed."""
        if self._archive and len(slot.tokens) >= WORTH and not slot.private and not slot.shifted:
            state = self._backend.read_state(slot.seq_id)
            if state is not None:
                self._archive.under(slot.adapters).save(slot.tokens, state, slot.conversation)

    def forget(self, conversations: Collection[int]) -> None:
        """Saves nothing of these conversations; what lies of them in no one's slot is given up at once."""
        for slot in self._slots.slots:
            if slot.conversation not in conversations:
                continue
            slot.private = True
            if slot.state is SlotState.RESIDENT:
                self._backend.clear(slot.seq_id)
                slot.cut(0)
                slot.state = SlotState.FREE

    def keep_all(self, deadline_s: float) -> None:
        """Saves all slots, the one used last first; begins none after `deadline_s` of `time.perf_counter`."""
        for slot in sorted(self._slots.slots, key=lambda slot: -slot.last_used):
            if time.perf_counter() < deadline_s:
                self.keep(slot)

    def _cut(self, slot: Slot, n_past: int) -> int:
        if n_past < len(slot.tokens) and not (n_past and self._backend.truncate(slot.seq_id, n_past)):
            n_past = self.checkpoints.rewind(slot, n_past)
        slot.cut(n_past)
        return n_past

    def _share(self, sequence: Sequence, slot: Slot, n_own: int) -> int:
        """In one pool of cells a prefix is shared, not copied."""
        n_own = self._cut(slot, n_own)
        donor, n_shared = self._donor(sequence, slot)
        if donor is None or n_shared <= n_own or not self._usable(donor.tokens, n_shared):
            return n_own
        self._backend.clear(slot.seq_id)
        self._backend.share(donor.seq_id, slot.seq_id, n_shared)
        self._slots.share(donor, slot, n_shared)
        slot.private = donor.private
        sequence.n_shared = n_shared
        return n_shared

    def _move(self, sequence: Sequence, slot: Slot, n_own: int) -> int:
        """Copies a state from a context beside this one; 0 where that does not pay, or none is to be had."""
        others = [reuse for reuse in self._beside if reuse._backend.partial_removal]
        if not others or not self._backend.partial_removal:
            return 0
        found = [(reuse, *reuse._donor(sequence, None)) for reuse in others]
        other, donor, n_there = max(found, key=lambda each: each[2])
        n_saved = n_there - max(n_own, self._donor(sequence, slot)[1])
        if donor is None or n_saved < _FEW or n_saved * _CHEAP < len(donor.tokens):
            return 0
        state = other._backend.read_state(donor.seq_id)
        if state is None or not self._put(slot, len(donor.tokens), state, other._backend.n_streams):
            return 0
        slot.copy(donor, len(donor.tokens))
        slot.private = donor.private
        sequence.n_shared, sequence.moved = n_there, True
        return n_there

    def _copy(self, sequence: Sequence, slot: Slot, n_own: int) -> int:
        """Between streams the donor's whole state is copied; 0 where that does not pay."""
        donor, n_shared = self._donor(sequence, slot)
        if donor is None or n_shared < n_own + WORTH or not self._usable(donor.tokens, n_shared):
            return 0
        state = self._backend.read_state(donor.seq_id)
        if state is None or not self._put(slot, len(donor.tokens), state):
            return 0
        slot.copy(donor, len(donor.tokens))
        slot.private = donor.private
        sequence.n_shared = n_shared
        return n_shared

    def _restore(self, sequence: Sequence, slot: Slot, n_own: int) -> int:
        """Reads the archive, where it saves much more computing than a copy would; 0 where it does not."""
        if not self._archive:
            return 0
        archive = self._archive.under(sequence.adapters)
        n_there = max(n_own, self._donor(sequence, slot)[1])
        saved = archive.find(sequence.prompt, n_there + WORTH, not self._backend.partial_removal)
        state = saved.load() if saved else None
        n_restored = 0
        if saved and state is not None:
            tokens = saved.tokens
            if self._put(slot, len(tokens), state):
                slot.restore(tokens, self._wall())
                n_restored = min(common_prefix(tokens, sequence.prompt), len(sequence.prompt) - 1)
                slot.private = False
            else:
                saved.reject()
        sequence.notices += archive.take_notices()
        sequence.n_restored = n_restored
        return n_restored

    def _put(self, slot: Slot, n_tokens: int, state: State, n_streams: int | None = None) -> bool:
        """Empties a slot and fills its cells; leaves none where the state turns out not to be that of `n_tokens`."""
        slot.cut(0)
        fits = (
            self._backend.write_state(slot.seq_id, state, n_streams) and self._backend.n_cells(slot.seq_id) == n_tokens
        )
        if not fits:
            self._backend.clear(slot.seq_id)
        return fits

    def _donor(self, sequence: Sequence, slot: Slot | None) -> tuple[Slot | None, int]:
        """Another slot, in use or not, with the longest common prefix."""
        others = [other for other in self._slots.slots if other is not slot and not other.shifted]
        if not others:
            return None, 0
        n_common = {other.seq_id: other.common(sequence.prompt, sequence.adapters) for other in others}
        donor = max(others, key=lambda other: n_common[other.seq_id])
        return donor, min(n_common[donor.seq_id], len(sequence.prompt) - 1)

    def _usable(self, tokens: Many[int], n_common: int) -> bool:
        """A state that cannot be cut must be wanted whole."""
        return self._backend.partial_removal or n_common == len(tokens)
