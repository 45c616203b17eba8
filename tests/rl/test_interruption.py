"""What the first and the second Ctrl-C do, and what they say."""

import asyncio
import signal
from contextlib import nullcontext

import pytest

from rl.interruption import Interruption


@pytest.mark.parametrize(
    ("deferred", "signals", "ended", "told"),
    [
        (True, 1, False, ["ends after this step"]),
        (True, 2, True, ["ends after this step", "ends now"]),
        (False, 1, True, ["ends now"]),
    ],
)
def test_a_stage_that_can_be_continued_ends_at_the_second_and_any_other_at_the_first(
    deferred: bool, signals: int, ended: bool, told: list[str]
) -> None:
    heard: list[str] = []

    async def program() -> bool:
        interruption = Interruption(heard.append)
        try:
            with interruption.deferred() if deferred else nullcontext():
                for _ in range(signals):
                    signal.raise_signal(signal.SIGINT)
                    await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            return True
        assert interruption.asked
        return False

    assert asyncio.run(program()) is ended
    assert [sentence.partition(";")[0].partition(",")[0] for sentence in heard] == told
