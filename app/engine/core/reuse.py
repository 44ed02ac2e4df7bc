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
"""Cells are copied where that saves the computing of more than a few tokens, and of at least 1/16 of the tokens that
are copied: a token is copied a hundred times as fast as it is computed."""
_WAIT = 16
"""Tokens that another sequence is computing are waited for, to be copied, where they are at least so many."""


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
    """Keeps states beyond the life of their slot. `app.engine.kv.store` keeps them in files."""

    def find(self, prompt: Many[int], at_least: int, usable: Callable[[int, int], bool]) -> Saved | None:
        """What has the longest prefix in common with `prompt`, `at_least` tokens.

        `usable`: whether of a state of so many tokens (second) so many (first) can be used.
        """
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
        """`wall` returns the Unix time, for states read from disk."""
        self._wall = wall
        self._backend = backend
        self._slots = slots
        self._archive = archive
        self.checkpoints = Checkpoints(backend, slots)
        self.prefilling: Callable[[], Many[Sequence]] = tuple
        """The sequences whose prompts are being computed now."""
        self._beside: list[Reuse] = []

    def link_peer(self, other: Reuse) -> None:
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
            n_cached = self._begin_anew(slot, n_common)
        else:
            n_there = self._move(sequence, slot, n_own)
            if not n_there and not self._backend.unified:
                n_there = self._restore(sequence, slot, n_own)
            n_there = n_there or self._copy(sequence, slot, n_own)
            n_cached = self._cut(slot, n_there or n_own)
            sequence.cache.n_restored = min(sequence.cache.n_restored, n_cached)
            sequence.cache.n_shared = min(sequence.cache.n_shared, n_cached)
        # A system prompt alone makes nothing private: another conversation begins with it by itself.
        slot.private = (slot.private and n_cached > sequence.spans.n_system) or not sequence.cache.cacheable
        slot.conversation = sequence.cache.conversation
        return n_cached

    def to_come(self, sequence: Sequence) -> bool:
        """Whether others, here or in a context beside, are computing so much of its prompt that a sequence should wait.

        Where a state must be taken at its very end, the other's prefill is made to stop there.
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
        """How many tokens of its prompt can be had from those whose prompts are not being computed."""
        n_most, n_there = len(sequence.prompt) - 1, 0
        for reuse in (self, *self._beside):
            busy = [other.slot for other in reuse.prefilling()]
            for slot in reuse._slots.slots:
                if slot.tokens and not slot.shifted and not any(slot is each for each in busy):
                    n = min(slot.common(sequence.prompt, sequence.adapters), n_most)
                    n_there = max(n_there, reuse.checkpoints.reach(slot, n))
        return n_there

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
        n_past = self.checkpoints.reach(slot, n_past)
        if n_past < len(slot.tokens) and not (n_past and self._backend.truncate(slot.seq_id, n_past)):
            n_past = self.checkpoints.rewind(slot, n_past)
        slot.cut(n_past)
        return n_past

    def _begin_anew(self, slot: Slot, n_common: int) -> int:
        """Empties a slot; checkpoints of what is computed again now stay."""
        kept = [each for each in slot.checkpoints if each.n_tokens <= n_common]
        self._backend.clear(slot.seq_id)
        slot.cut(0)
        slot.checkpoints = kept
        return 0

    def _move(self, sequence: Sequence, slot: Slot, n_own: int) -> int:
        """Copies a state from a context beside this one; 0 where that does not pay, or none is to be had."""
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
        """The slot whose state serves another context best, and how much of it.

        A state that the window has left holes in serves none: then a finished reply is given up for its prompt.
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
        """Takes over the cells of another slot: shared in one pool, else copied; 0 where that does not pay."""
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
        """Reads the archive, where it saves much more computing than a copy would; 0 where it does not."""
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
        """Fills a slot with the state of another one."""
        if state is None or not self._take(slot, len(donor.tokens), state):
            return False
        slot.copy(donor, len(donor.tokens))
        slot.whole_from = self._whole_from(len(donor.tokens))
        slot.private = donor.private
        return True

    def _take(self, slot: Slot, n_tokens: int, state: State) -> bool:
        """Empties a slot and fills its cells; leaves none where the state turns out not to be that of `n_tokens`."""
        slot.cut(0)
        fits = self._backend.write_state(slot.seq_id, state) and self._backend.n_cells(slot.seq_id) == n_tokens
        if not fits:
            self._backend.clear(slot.seq_id)
        return fits

    def _donor(self, sequence: Sequence, slot: Slot | None, *, by_state: bool = False) -> tuple[Slot | None, int]:
        """Another slot, in use or not, from which most of the prompt can be had, and how much that is.

        `by_state`: only by its state.
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
        """How many of its first `n_common` tokens the state of a slot brings into another one."""
        n = self.checkpoints.reach(donor, n_common)
        return n if not self._backend.partial_removal or self._usable(n, len(donor.tokens)) else 0

    def _usable(self, n_common: int, n_saved: int) -> bool:
        """Whether the first `n_common` tokens of a state of `n_saved` can be used: it may have to be wanted whole."""
        if not self._backend.partial_removal:
            return n_common == n_saved
        return n_common >= n_saved - 1 or not self.checkpoints.hides(n_saved)

    def _whole_from(self, n_saved: int) -> int:
        """What a state of so many tokens can be cut to."""
        return n_saved - 1 if self.checkpoints.hides(n_saved) else 0
