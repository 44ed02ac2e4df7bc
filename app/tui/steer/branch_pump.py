"""Brings the text of several replies to the screen at the pace of one."""

from __future__ import annotations

from collections.abc import Callable

from app.tui.flow.pump import Pump


class BranchPump(Pump):
    """Each reply keeps its own text; `flush` shows what has come of those that are seen."""

    def __init__(self, flush: Callable[[], None], tick: Callable[[], None]) -> None:
        super().__init__(lambda _text: None, tick)
        self._flush_all = flush

    def flush(self) -> None:
        """Shows what has come, and the figures when they are due."""
        self._flush_all()
        super().flush()

    def close(self) -> None:
        """Ends the task; nothing is shown any more."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
