"""Continuations of one prompt: a second context on the same model, in which sequences share cells.

It is apart from the conversations' own context because a llama_context is either unified or in streams; either takes
over what the other has computed.
"""

from __future__ import annotations

from app.engine.core.scheduler import Scheduler
from app.engine.native.context import NativeContext

MAX_BRANCHES = 16


class Branches:
    """A second context, whose sequences share the cells of what they have in common."""

    def __init__(self, beside: NativeContext, main: Scheduler) -> None:
        """`main`: of the context `beside`. Raises ContextError where memory does not allow it."""
        self.context = beside.branching(MAX_BRANCHES)
        self.scheduler = Scheduler(self.context)
        self.scheduler.reuse.stand_beside(main.reuse)
