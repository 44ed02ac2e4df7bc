"""Slots: the token ids and ages of the KV cache's sequences, and the choice of a slot for a request.

A finished request leaves its tokens RESIDENT, so that the next turn prefills only the new tokens.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from app.engine.core.backend import AdapterSet, State

_STRIDE = 256
_MOST = 0.75
_SPARED = 16
"""A conversation that would lose this many tokens keeps its slot while another slot is free."""


class SlotState(Enum):
    """State of a slot."""

    FREE = "free"
    RESIDENT = "resident"
    CLAIMED = "claimed"


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A copy of memory that cannot be truncated, after the first `n_tokens` of a slot."""

    n_tokens: int
    state: State


@dataclass
class Slot:
    """One sequence of the KV cache with its cells."""

    seq_id: int
    state: SlotState = SlotState.FREE
    tokens: list[int] = field(default_factory=list[int])
    """The ids in the KV cache, in order."""
    last_used: int = 0
    private: bool = False
    """Whether it has tokens that must not be written to disk."""
    conversation: int = 0
    """The conversation of its tokens, as in `Generate.conversation`."""
    adapters: AdapterSet = ()
    """The adapters of its cells."""
    shifted: bool = False
    """Whether some of its cells were computed with tokens in view that were forgotten."""

    checkpoints: list[Checkpoint] = field(default_factory=list[Checkpoint])
    """Checkpoints of prefixes of its tokens, shortest first."""
    computed_at: array[float] = field(default_factory=lambda: array("d"))
    """When each cell was computed or read from disk, in Unix seconds."""
    n_restored: int = 0
    """Number of first cells that were read from disk."""
    whole_from: int = 0
    """The shortest prefix that it can be truncated to: a saved state lacks the cells outside a sliding window."""
    lent: bool = False
    """Whether the next decode copies its cells to another stream; until then they must not change."""
    shared: dict[int, int] = field(default_factory=dict[int, int])
    """Number of first cells shared with another slot, by its seq_id.

    Each of two slots counts for itself; they share the smaller of both numbers.
    """

    def add(self, tokens: Sequence[int], at: float) -> None:
        """Adds tokens whose cells were computed `at` Unix seconds."""
        self.tokens += tokens
        self.computed_at.extend([at] * len(tokens))

    def cut(self, n_tokens: int) -> None:
        """Removes the tokens after the first `n_tokens`."""
        del self.tokens[n_tokens:], self.computed_at[n_tokens:]
        self.checkpoints = [each for each in self.checkpoints if each.n_tokens <= n_tokens]
        self.n_restored = min(self.n_restored, n_tokens)
        self.whole_from = self.whole_from if n_tokens else 0
        if self.shared:
            self.shared = {other: min(n, n_tokens) for other, n in self.shared.items() if n_tokens}

    def restore(self, tokens: Sequence[int], at: float) -> None:
        """Replaces its tokens by others whose cells were read from disk `at` Unix seconds."""
        self.cut(0)
        self.add(tokens, at)
        self.n_restored = len(self.tokens)

    def copy(self, donor: Slot, n_tokens: int) -> None:
        """Replaces its tokens by another slot's first `n_tokens`, which keep their age."""
        self.cut(0)
        self.tokens += donor.tokens[:n_tokens]
        self.computed_at += donor.computed_at[:n_tokens]
        self.checkpoints = [each for each in donor.checkpoints if each.n_tokens <= n_tokens]
        self.n_restored = min(donor.n_restored, n_tokens)
        self.whole_from = donor.whole_from

    def forget(self, n_keep: int, n_discard: int) -> None:
        """Removes `n_discard` tokens after the first `n_keep`."""
        rest, since = self.tokens[n_keep + n_discard :], self.computed_at[n_keep + n_discard :]
        n_restored = max(0, self.n_restored - n_keep - n_discard)
        lacks = self.whole_from > 0
        self.cut(n_keep)
        self.n_restored += n_restored
        self.tokens += rest
        self.whole_from = len(self.tokens) if lacks else 0
        self.computed_at += since

    def common(self, prompt: Sequence[int], adapters: AdapterSet) -> int:
        """Number of its first cells that match `prompt`."""
        return common_prefix(self.tokens, prompt) if self.adapters == adapters else 0


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """Length of the longest common prefix of two id lists."""
    limit = min(len(a), len(b))
    start = 0
    while start < limit and a[start : start + _STRIDE] == b[start : start + _STRIDE]:
        start += _STRIDE
    start = min(start, limit)
    while start < limit and a[start] == b[start]:
        start += 1
    return start


class SlotTable:
    """All slots of a context."""

    def __init__(self, n_slots: int) -> None:
        self.slots = [Slot(i) for i in range(n_slots)]
        self.n_resets = 0
        """How often all slots were reset."""
        self._clock = 0

    def claim(self, prompt: Sequence[int], adapters: AdapterSet = (), conversation: int = 0) -> tuple[Slot, int] | None:
        """Claims a slot for `prompt`; returns it with the length of the common prefix, or None if all are claimed.

        Cells of other adapters have no common prefix.

        Takes the slot with the longest prefix if half of the slot continues (a next turn) or it holds most of the
        prompt (another reply, an edit). Otherwise takes a free slot or the least recently used one, so that an
        unrelated conversation is not lost for a shared system prompt. While a slot is free, other conversations than
        `conversation` (0: unknown) keep theirs: the prefix can be copied.
        """
        open_slots = self.open
        if not open_slots:
            return None
        n_common = {slot.seq_id: slot.common(prompt, adapters) for slot in open_slots}
        continued = [
            slot
            for slot in open_slots
            if 0 < len(slot.tokens) <= 2 * n_common[slot.seq_id]
            or n_common[slot.seq_id] >= _MOST * (len(prompt) - 1) > 0
        ]
        least = min(open_slots, key=lambda slot: (bool(slot.tokens), slot.last_used))
        best = max(continued, key=lambda slot: n_common[slot.seq_id]) if continued else least
        is_own = conversation > 0 and best.conversation == conversation
        if not is_own and not least.tokens and len(best.tokens) - n_common[best.seq_id] >= _SPARED:
            best = least
        best.state = SlotState.CLAIMED
        return best, n_common[best.seq_id]

    @property
    def open(self) -> list[Slot]:
        """The slots that can be claimed."""
        return [slot for slot in self.slots if slot.state is not SlotState.CLAIMED and not slot.lent]

    def settle(self) -> None:
        """Notes that a decode has made the pending copies."""
        for slot in self.slots:
            slot.lent = False

    def share(self, donor: Slot, target: Slot, n_tokens: int) -> None:
        """Notes that `target` now holds only the first `n_tokens` cells of `donor`."""
        target.copy(donor, n_tokens)
        shared = {other: min(n, n_tokens) for other, n in self.shared_by(donor).items()} | {donor.seq_id: n_tokens}
        for seq_id, n in shared.items():
            target.shared[seq_id] = self.slots[seq_id].shared[target.seq_id] = n

    def shared_by(self, slot: Slot) -> dict[int, int]:
        """Number of first cells that a slot shares, by the other's seq_id; slots that share none are left out."""
        both = {other: min(n, self.slots[other].shared.get(slot.seq_id, 0)) for other, n in slot.shared.items()}
        return {other: n for other, n in both.items() if n}

    @property
    def full(self) -> bool:
        """Whether every slot is claimed."""
        return all(slot.state is SlotState.CLAIMED for slot in self.slots)

    def release(self, slot: Slot) -> None:
        """Releases a claimed slot; its tokens stay for the next request with the same prefix."""
        self._clock += 1
        slot.last_used = self._clock
        slot.state = SlotState.RESIDENT if slot.tokens else SlotState.FREE

    def reset(self) -> None:
        """Empties all slots after the context was replaced."""
        self.n_resets += 1
        for slot in self.slots:
            slot.cut(0)
            slot.state, slot.lent = SlotState.FREE, False
