"""Whether a worker that owes an answer gives signs of life. Pure: it counts the time that it is given.

Anything that the worker sends is a sign of life; one that has sent nothing for a while is asked for one. A tick counts
for its usual length at most, so that a suspended machine, a stopped app or a blocked event loop adds no silence.
"""

from __future__ import annotations

from app.client.engine import Stall

TICK_S = 0.5
_ASK_S = 1.0
"""Silence after which a sign of life is asked for."""


class Liveness:
    """The silence of one worker."""

    def __init__(self, start_s: float, silent_s: float, still_s: float) -> None:
        """The arguments are the silences after which a worker counts as stalled.

        Args:
            start_s: before its first event; it still reads its libraries then and cannot answer.
            silent_s: of the whole process.
            still_s: of the thread that computes, in a process that answers.
        """
        self._start_s = start_s
        self._started = False
        self._silent_s = silent_s
        self._still_limit_s = still_s
        self._quiet_s = 0.0
        self._still_s = 0.0
        self._asked = False

    @property
    def stall(self) -> Stall | None:
        """What is wrong; None while nothing is."""
        if self._quiet_s >= (self._silent_s if self._started else self._start_s):
            return Stall(self._quiet_s, answers=False)
        if self._still_s >= self._still_limit_s:
            return Stall(self._still_s + self._quiet_s, answers=True)
        return None

    def heard(self) -> None:
        """The worker sent something."""
        self._started = True
        self._quiet_s = self._still_s = 0.0

    def answered(self, still_s: float) -> None:
        """The worker answered, and said for how long its thread that computes has made no progress."""
        self._still_s = still_s
        self._asked = False

    def rest(self) -> None:
        """Nothing is owed any more."""
        self._quiet_s = self._still_s = 0.0

    def tick(self, elapsed_s: float) -> bool:
        """Counts time since the last tick; True where the worker is to be asked for a sign of life now."""
        self._quiet_s += min(elapsed_s, TICK_S)
        # A silent worker is asked once: what it does not answer would only fill its pipe.
        if not self._started or self._asked or (self._quiet_s < _ASK_S and not self._still_s):
            return False
        self._asked = True
        return True
