"""Slots: which token ids lie in which sequence of the KV cache, since when, and which slot a request gets.

A finished request leaves its tokens RESIDENT, so that the next turn prefills only what is new.
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
"""A conversation that would lose as many tokens to another one keeps its slot while a slot is free."""


class SlotState(Enum):
    """Who may use a slot."""

    FREE = "free"
    RESIDENT = "resident"
    CLAIMED = "claimed"


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """What a memory that cannot be cut held after the first `n_tokens` of a slot."""

    n_tokens: int
    state: State


@dataclass
class Slot:
    """One seq_id and its cells."""

    seq_id: int
    state: SlotState = SlotState.FREE
    tokens: list[int] = field(default_factory=list[int])
    """Exactly the ids in the KV cache, in order."""
    last_used: int = 0
    private: bool = False
    """Whether it holds tokens that must not be written to disk."""
    conversation: int = 0
    """Whose tokens it holds, as in `Generate.conversation`."""
    adapters: AdapterSet = ()
    """What its cells were computed with."""
    shifted: bool = False
    """Whether some of its cells were computed with tokens in view that are gone."""

    checkpoints: list[Checkpoint] = field(default_factory=list[Checkpoint])
    """Of beginnings of its tokens, none longer than them; the shortest first."""
    computed_at: array[float] = field(default_factory=lambda: array("d"))
    """When each of its cells was computed, or read from disk: Unix seconds."""
    n_restored: int = 0
    """Its first cells that were read from disk."""
    whole_from: int = 0
    """The shortest beginning that it can be cut to: a saved state lacks the cells that a sliding window hid."""
    lent: bool = False
    """Whether the next decode copies its cells to another stream: nothing may be written to them until then."""
    shared: dict[int, int] = field(default_factory=dict[int, int])
    """By the other's seq_id: how many of its first cells it has held together with another slot.

    Either of two slots forgets by itself, so that they share the smaller one of both numbers.
    """

    def add(self, tokens: Sequence[int], at: float) -> None:
        """Takes tokens whose cells were computed now, `at` Unix seconds."""
        self.tokens += tokens
        self.computed_at.extend([at] * len(tokens))

    def cut(self, n_tokens: int) -> None:
        """Forgets the tokens after the first `n_tokens`."""
        del self.tokens[n_tokens:], self.computed_at[n_tokens:]
        self.checkpoints = [each for each in self.checkpoints if each.n_tokens <= n_tokens]
        self.n_restored = min(self.n_restored, n_tokens)
        self.whole_from = self.whole_from if n_tokens else 0
        if self.shared:
            self.shared = {other: min(n, n_tokens) for other, n in self.shared.items() if n_tokens}

    def restore(self, tokens: Sequence[int], at: float) -> None:
        """Takes tokens in place of its own whose cells were read from disk now, `at` Unix seconds."""
        self.cut(0)
        self.add(tokens, at)
        self.n_restored = len(self.tokens)

    def copy(self, donor: Slot, n_tokens: int) -> None:
        """Takes another slot's first `n_tokens` in place of its own; they stay as old as they are."""
        self.cut(0)
        self.tokens += donor.tokens[:n_tokens]
        self.computed_at += donor.computed_at[:n_tokens]
        self.checkpoints = [each for each in donor.checkpoints if each.n_tokens <= n_tokens]
        self.n_restored = min(donor.n_restored, n_tokens)
        self.whole_from = donor.whole_from

    def forget(self, n_keep: int, n_discard: int) -> None:
        """Forgets `n_discard` tokens after the first `n_keep`."""
        rest, since = self.tokens[n_keep + n_discard :], self.computed_at[n_keep + n_discard :]
        n_restored = max(0, self.n_restored - n_keep - n_discard)
        lacks = self.whole_from > 0
        self.cut(n_keep)
        self.n_restored += n_restored
        self.tokens += rest
        self.whole_from = len(self.tokens) if lacks else 0
        self.computed_at += since

    def common(self, prompt: Sequence[int], adapters: AdapterSet) -> int:
        """How many of its cells are those that `prompt` begins with."""
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
        """How often everybody lost their slot."""
        self._clock = 0

    def claim(self, prompt: Sequence[int], adapters: AdapterSet = (), conversation: int = 0) -> tuple[Slot, int] | None:
        """Claims a slot for `prompt`; returns it with the length of the common prefix, None when all are claimed.

        Cells that were computed with other adapters have nothing in common with it.

        A slot is taken over where half of it goes on (a next turn) or it holds most of the prompt (a reply again, an
        edit); the longest prefix wins. Otherwise a free slot is taken, or the one used longest ago: an unrelated
        conversation is not destroyed for a shared system prompt. Nor is any that is not `conversation` (0: unknown)
        while a slot is free: the prefix can be copied there.
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
        """Those that can be claimed."""
        return [slot for slot in self.slots if slot.state is not SlotState.CLAIMED and not slot.lent]

    def settle(self) -> None:
        """Says that a decode has copied what was to be copied."""
        for slot in self.slots:
            slot.lent = False

    def share(self, donor: Slot, target: Slot, n_tokens: int) -> None:
        """Says that `target` now holds the first `n_tokens` cells of `donor` too, and nothing else."""
        target.copy(donor, n_tokens)
        shared = {other: min(n, n_tokens) for other, n in self.shared_by(donor).items()} | {donor.seq_id: n_tokens}
        for seq_id, n in shared.items():
            target.shared[seq_id] = self.slots[seq_id].shared[target.seq_id] = n

    def shared_by(self, slot: Slot) -> dict[int, int]:
        """How many of its first cells a slot holds together with others, by their seq_id; only those that share."""
        both = {other: min(n, self.slots[other].shared.get(slot.seq_id, 0)) for other, n in slot.shared.items()}
        return {other: n for other, n in both.items() if n}

    @property
    def full(self) -> bool:
        """Whether every slot is claimed."""
        return all(slot.state is SlotState.CLAIMED for slot in self.slots)

    def release(self, slot: Slot) -> None:
        """Gives a claimed slot back; its tokens stay for the next request that begins with them."""
        self._clock += 1
        slot.last_used = self._clock
        slot.state = SlotState.RESIDENT if slot.tokens else SlotState.FREE

    def reset(self) -> None:
        """Forgets everything: the context behind it is new."""
        self.n_resets += 1
        for slot in self.slots:
            slot.cut(0)
            slot.state, slot.lent = SlotState.FREE, False
