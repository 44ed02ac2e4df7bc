"""Long work that is independent of the loop, on one thread, one piece after another.

Running native code cannot be stopped, but it can be abandoned, so that nobody waits for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

Then = Callable[[], None]
"""The rest of the work, for the loop's thread."""


class _Task:
    def __init__(self, request_id: int, work: Callable[[], Then], failed: Callable[[str], None]) -> None:
        self.request_id = request_id
        self._work = work
        self._failed = failed
        self.then: Then = self.run

    def run(self) -> None:
        try:
            self.then = self._work()
        except Exception as error:  # any error must end only this request
            reason = str(error) or type(error).__name__
            self.then = lambda: self._failed(reason)


class Background:
    """A thread that starts with the first work; used from the loop's thread."""

    def __init__(self, wake: Callable[[], None]) -> None:
        """The thread calls `wake` after each piece; `take` then completes it."""
        self._wake = wake
        self._todo: SimpleQueue[_Task] = SimpleQueue()
        self._done: SimpleQueue[_Task] = SimpleQueue()
        self._wanted: dict[int, _Task] = {}
        self._thread: threading.Thread | None = None
        self._rest = threading.Condition()
        self._n_open = 0

    def start(self, request_id: int, work: Callable[[], Then], failed: Callable[[str], None]) -> None:
        """Queues work for a request; calls `failed` with the error if it fails."""
        task = self._wanted[request_id] = _Task(request_id, work, failed)
        with self._rest:
            self._n_open += 1
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="background", daemon=True)
            self._thread.start()
        self._todo.put(task)

    def take(self) -> None:
        """Completes finished work that was not abandoned."""
        while not self._done.empty():
            task = self._done.get()
            if self._wanted.get(task.request_id) is task:
                del self._wanted[task.request_id]
                task.then()

    def give_up(self, request_id: int) -> bool:
        """Abandons the work for a request; False if there is none."""
        return self._wanted.pop(request_id, None) is not None

    def wait(self, timeout_s: float | None = None) -> bool:
        """Waits until the thread is idle; False after `timeout_s`."""
        with self._rest:
            return self._rest.wait_for(lambda: not self._n_open, timeout_s)

    def _run(self) -> None:
        while True:
            task = self._todo.get()
            if self._wanted.get(task.request_id) is task:
                task.run()
            self._done.put(task)
            with self._rest:
                self._n_open -= 1
                self._rest.notify_all()
            self._wake()
