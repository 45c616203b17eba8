"""A reward that hangs or ends its process, as the response says."""

import os

from rewards.outcome import Grade
from rewards.registry import reward
from rewards.transcript import Transcript
from tasks.problem import TextTarget


@reward("failing", target=TextTarget)
def fail(target: TextTarget, transcript: Transcript) -> Grade:
    while transcript.final_text == "hang":
        pass
    os._exit(3)
