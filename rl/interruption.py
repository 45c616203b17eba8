"""Ctrl-C and SIGTERM."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Interruption:
    """The first signal asks a stage that can be continued to end after its step, and ends any other at once. The second ends everything.

    To be made in the task that it ends, once for a program. `tell` is given a sentence for whoever pressed the keys.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        task = asyncio.current_task()
        assert task is not None, "made outside of a task"
        self._task = task
        self._tell = tell
        self._deferred = False
        self.asked = False
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._ask)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """While this lasts the first signal only sets `asked`: whoever asked for it looks there."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    def _ask(self) -> None:
        if self.asked or not self._deferred:
            self._tell("ends now; the same command goes on from what is saved")
            self._task.cancel()
        else:
            self._tell("ends after this step, with a checkpoint that the same command goes on from; Ctrl-C again ends at once")
        self.asked = True
