"""Reuses cells of a prompt instead of computing them: from its slot, another slot, another context or the archive.

When another conversation takes a slot, its cells go to the archive if they are many enough to be worth it.
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
"""Copying cells, or reading them from disk, pays if it saves the computation of this many tokens."""
_FEW, _CHEAP = 4, 16
"""Cells are copied if that saves the computation of more than a few tokens and of at least 1/16 of the copied tokens;
copying a token is a hundred times as fast as computing it."""
_WAIT = 16
"""A sequence waits to copy what another one is computing if it is at least this many tokens."""


class Saved(Protocol):
    """A saved prefix of a conversation in the archive."""

    @property
    def tokens(self) -> list[int]:
        """The ids whose cells were saved."""
        ...

    def load(self) -> State | None:
        """Returns the cells; None if they are gone or damaged."""
        ...

    def reject(self) -> None:
        """Reports that the cells did not fit, so that they are not offered again."""
        ...


class Archive(Protocol):
    """Keeps states after their slot is reused. `app.engine.kv.store` keeps them in files."""

    def find(self, prompt: Many[int], at_least: int, usable: Callable[[int, int], bool]) -> Saved | None:
        """Returns the state with the longest common prefix with `prompt`, of `at_least` tokens.

        `usable(n, n_state)`: whether the first `n` tokens of a state of `n_state` tokens can be used.
        """
        ...

    def save(self, tokens: Many[int], state: State, conversation: int) -> None:
        """Queues the state of a conversation for writing; returns at once."""
        ...

    def under(self, adapters: AdapterSet) -> Archive:
        """Returns the archive of cells computed with these adapters."""
        ...

    def take_notices(self) -> list[str]:
        """Returns the new notices for the user."""
        ...


class Reuse:
    """Fills the slots of one context with reusable cells."""

    def __init__(
        self,
        backend: Backend,
        slots: SlotTable,
        archive: Archive | None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`wall` returns the Unix time, for states read from disk."""
        self._wall = wall
        self._backend = backend
        self._slots = slots
        self._archive = archive
        self.checkpoints = Checkpoints(backend, slots)
        self.prefilling: Callable[[], Many[Sequence]] = tuple
        """The sequences in prefill."""
        self._beside: list[Reuse] = []

    def link_peer(self, other: Reuse) -> None:
        """Lets this context and `peer`, of the same model, take cells from each other."""
        self._beside.append(other)
        other._beside.append(self)

    def fill(self, sequence: Sequence, slot: Slot, n_common: int) -> int:
        """Fills the claimed slot with a prefix of the prompt; returns its length in tokens.

        At least one token is recomputed, because the cache keeps no logits.
        """
        n_own = 0 if sequence.params.exact else self.checkpoints.reach(slot, min(n_common, len(sequence.prompt) - 1))
        if len(slot.tokens) >= WORTH and 2 * n_own < len(slot.tokens):
            self.keep(slot)
        slot.adapters = sequence.adapters
        if sequence.params.exact:
            n_cached = self._begin_anew(slot, n_common)
        else:
            n_there = self._move(sequence, slot, n_own)
            if not n_there and not self._backend.unified:
                n_there = self._restore(sequence, slot, n_own)
            n_there = n_there or self._copy(sequence, slot, n_own)
            n_cached = self._cut(slot, n_there or n_own)
            sequence.cache.n_restored = min(sequence.cache.n_restored, n_cached)
            sequence.cache.n_shared = min(sequence.cache.n_shared, n_cached)
        # A system prompt alone is not private: other conversations begin with it too.
        slot.private = (slot.private and n_cached > sequence.spans.n_system) or not sequence.cache.cacheable
        slot.conversation = sequence.cache.conversation
        return n_cached

    def to_come(self, sequence: Sequence) -> bool:
        """Whether to wait for another sequence, here or in a linked context, that computes much of the same prompt.

        If a state can only be taken at its end, makes the other's prefill stop there.
        """
        if not any(reuse.prefilling() for reuse in (self, *self._beside)):
            return False
        n_there = self._at_hand(sequence)
        for reuse in (self, *self._beside):
            for other in reuse.prefilling():
                if other.params.exact or other.adapters != sequence.adapters:
                    continue
                n_common = min(common_prefix(other.prompt, sequence.prompt), len(sequence.prompt) - 1)
                shares = reuse is self and self._backend.unified
                enough = 1 if shares else max(_WAIT, len(other.prompt) // _CHEAP)
                if n_common <= other.n_past or n_common - n_there < enough:
                    continue
                leaves_holes = (shares or reuse is not self) and self.checkpoints.hides(len(other.prompt))
                must_stop = leaves_holes or not self._backend.partial_removal
                if must_stop and n_common < len(other.prompt) and n_common not in other.stops:
                    other.stops.append(n_common)
                return True
        return False

    def _at_hand(self, sequence: Sequence) -> int:
        """Returns how many tokens of its prompt sequences that have finished their prefill can provide."""
        n_most, n_there = len(sequence.prompt) - 1, 0
        for reuse in (self, *self._beside):
            busy = [other.slot for other in reuse.prefilling()]
            for slot in reuse._slots.slots:
                if slot.tokens and not slot.shifted and not any(slot is each for each in busy):
                    n = min(slot.common(sequence.prompt, sequence.adapters), n_most)
                    n_there = max(n_there, reuse.checkpoints.reach(slot, n))
        return n_there

    def keep(self, slot: Slot) -> None:
        """Saves the state of a slot if that is allowed and worth it."""
        if self._archive and len(slot.tokens) >= WORTH and not slot.private and not slot.shifted:
            state = self._backend.read_state(slot.seq_id)
            if state is not None:
                self._archive.under(slot.adapters).save(slot.tokens, state, slot.conversation)

    def forget(self, conversations: Collection[int]) -> None:
        """Stops saving these conversations; clears their cells in free slots at once."""
        for slot in self._slots.slots:
            if slot.conversation not in conversations:
                continue
            slot.private = True
            if slot.state is SlotState.RESIDENT:
                self._backend.clear(slot.seq_id)
                slot.cut(0)
                slot.state = SlotState.FREE

    def keep_all(self, deadline_s: float) -> None:
        """Saves all slots, most recently used first; starts none after `deadline_s` of `time.perf_counter`."""
        for slot in sorted(self._slots.slots, key=lambda slot: -slot.last_used):
            if time.perf_counter() < deadline_s:
                self.keep(slot)

    def _cut(self, slot: Slot, n_past: int) -> int:
        n_past = self.checkpoints.reach(slot, n_past)
        if n_past < len(slot.tokens) and not (n_past and self._backend.truncate(slot.seq_id, n_past)):
            n_past = self.checkpoints.rewind(slot, n_past)
        slot.cut(n_past)
        return n_past

    def _begin_anew(self, slot: Slot, n_common: int) -> int:
        """Empties a slot; keeps the checkpoints of tokens that are recomputed now."""
        kept = [each for each in slot.checkpoints if each.n_tokens <= n_common]
        self._backend.clear(slot.seq_id)
        slot.cut(0)
        slot.checkpoints = kept
        return 0

    def _move(self, sequence: Sequence, slot: Slot, n_own: int) -> int:
        """Copies a state from a linked context; 0 if that does not pay or is impossible."""
        found = [(reuse, *reuse._for_another(sequence)) for reuse in self._beside]
        other, donor, n_there = max(found, key=lambda each: each[2], default=(self, None, 0))
        n_saved = n_there - max(n_own, self._donor(sequence, slot)[1])
        if donor is None or n_saved < _FEW or n_saved * _CHEAP < len(donor.tokens):
            return 0
        if not other._copied(donor, n_there):
            other._cut(donor, n_there)
        state = other._backend.read_state(donor.seq_id, self._backend.n_streams)
        if not self._put(slot, donor, state):
            return 0
        sequence.cache.n_shared, sequence.cache.moved = n_there, True
        return n_there

    def _for_another(self, sequence: Sequence) -> tuple[Slot | None, int]:
        """Returns the slot with the best state for another context, and its usable tokens.

        A state with holes from a sliding window is unusable; a finished reply is then truncated to its prompt.
        """
        donor, n_there = self._donor(sequence, None, by_state=True)
        idle = [slot for slot in self._slots.open if slot.tokens and not slot.shifted]
        for slot in idle:
            n = min(slot.common(sequence.prompt, sequence.adapters), len(sequence.prompt) - 1)
            n = self.checkpoints.reach(slot, n)
            if n > n_there and (2 * n >= len(slot.tokens) or slot.conversation == sequence.cache.conversation > 0):
                donor, n_there = slot, n
        return donor, n_there

    def _copy(self, sequence: Sequence, slot: Slot, n_own: int) -> int:
        """Takes the cells of another slot, shared in one pool, else copied; 0 if that does not pay."""
        donor, n_shared = self._donor(sequence, slot)
        n_saved = n_shared - n_own
        if donor is None or n_saved < 1:
            return 0
        if not self._backend.unified and (n_saved < _FEW or n_saved * _CHEAP < len(donor.tokens)):
            return 0
        if self._backend.unified or not self._copied(donor, n_shared):
            self._share(donor, slot)
        elif not self._put(slot, donor, self._backend.read_state(donor.seq_id)):
            return 0
        sequence.cache.n_shared = n_shared
        return n_shared

    def _share(self, donor: Slot, slot: Slot) -> None:
        self._backend.clear(slot.seq_id)
        self._backend.share(donor.seq_id, slot.seq_id)
        slot.private = donor.private
        if self._backend.unified:
            self._slots.share(donor, slot, len(donor.tokens))
        else:
            slot.copy(donor, len(donor.tokens))
            donor.lent = True

    def _restore(self, sequence: Sequence, slot: Slot, n_own: int) -> int:
        """Reads a state from the archive if it saves much more than a copy would; else 0."""
        if not self._archive:
            return 0
        archive = self._archive.under(sequence.adapters)
        n_there = max(n_own, self._donor(sequence, slot)[1])
        saved = archive.find(sequence.prompt, n_there + WORTH, self._usable)
        state = saved.load() if saved else None
        n_restored = 0
        if saved and state is not None:
            tokens = saved.tokens
            if self._take(slot, len(tokens), state):
                slot.restore(tokens, self._wall())
                slot.whole_from = self._whole_from(len(tokens))
                n_restored = min(common_prefix(tokens, sequence.prompt), len(sequence.prompt) - 1)
                slot.private = False
            else:
                saved.reject()
        sequence.cache.notices += archive.take_notices()
        sequence.cache.n_restored = n_restored
        return n_restored

    def _put(self, slot: Slot, donor: Slot, state: State | None) -> bool:
        """Fills a slot with the state of another."""
        if state is None or not self._take(slot, len(donor.tokens), state):
            return False
        slot.copy(donor, len(donor.tokens))
        slot.whole_from = self._whole_from(len(donor.tokens))
        slot.private = donor.private
        return True

    def _take(self, slot: Slot, n_tokens: int, state: State) -> bool:
        """Replaces the cells of a slot by a state; leaves none if the state is not of `n_tokens` tokens."""
        slot.cut(0)
        fits = self._backend.write_state(slot.seq_id, state) and self._backend.n_cells(slot.seq_id) == n_tokens
        if not fits:
            self._backend.clear(slot.seq_id)
        return fits

    def _donor(self, sequence: Sequence, slot: Slot | None, *, by_state: bool = False) -> tuple[Slot | None, int]:
        """Returns the slot, in use or not, that can provide most of the prompt, and how many tokens.

        `by_state`: count only what its state provides.
        """
        best, best_n = None, 0
        for other in self._slots.slots:
            if other is slot or other.shifted or not other.tokens:
                continue
            n = min(other.common(sequence.prompt, sequence.adapters), len(sequence.prompt) - 1)
            n = self._copied(other, n) if by_state else self.checkpoints.reach(other, n)
            if n > best_n or (best and n == best_n and len(other.tokens) < len(best.tokens)):
                best, best_n = other, n
        return best, best_n

    def _copied(self, donor: Slot, n_common: int) -> int:
        """How many of its first `n_common` tokens another slot gets from the state of a slot."""
        n = self.checkpoints.reach(donor, n_common)
        return n if not self._backend.partial_removal or self._usable(n, len(donor.tokens)) else 0

    def _usable(self, n_common: int, n_saved: int) -> bool:
        """Whether the first `n_common` tokens of a state of `n_saved` are usable; some states are usable only whole."""
        if not self._backend.partial_removal:
            return n_common == n_saved
        return n_common >= n_saved - 1 or not self.checkpoints.hides(n_saved)

    def _whole_from(self, n_saved: int) -> int:
        """Returns the shortest prefix that a state of `n_saved` tokens can be truncated to."""
        return n_saved - 1 if self.checkpoints.hides(n_saved) else 0
