"""Reading a clock."""

from rewards.answer import final_answer
from rewards.outcome import Grade
from rewards.plain import stated_answer
from rewards.registry import reward
from rewards.transcript import Transcript
from rewards.visual.clock import StatedTime, stated_time
from tasks.problem import ClockTarget

MAX_CHARS = 2000


@reward("clock", target=ClockTarget, version="4")
def grade_clock(target: ClockTarget, transcript: Transcript, *, tolerance: float = 0.0) -> Grade:
    """1 when the stated time is at most `tolerance` minutes away on the dial: of 12 hours for a gold of a dial, else of 24.

    Seconds count when the gold has them; an answer without them then means the full minute. The part is the distance in minutes.
    """
    text = stated_answer(final_answer(transcript.final_text))
    stated = stated_time(text) if text and len(text) <= MAX_CHARS else None
    if stated is None or text is None:
        return Grade(0.0, False)
    distance = _distance(target, stated)
    right = distance <= tolerance + 1e-9
    return Grade(float(right), right, text, {"minutes_off": distance})


def _distance(target: ClockTarget, stated: StatedTime) -> float:
    seconds = (stated.hour - target.hour) * 3600 + (stated.minute - target.minute) * 60
    if target.second is not None:
        seconds += (stated.second or 0) - target.second
    dial = (12 if target.twelve_hour else 24) * 3600
    return min(seconds % dial, -seconds % dial) / 60
