"""Rewards that misbehave on request: the text of the response says how."""

import asyncio
import ctypes
import gc
import os
import signal
import time

from rewards.outcome import Grade, Outcome
from rewards.registry import reward
from rewards.transcript import Transcript
from tasks.problem import TextTarget


@reward("misbehave", target=TextTarget)
def misbehave(target: TextTarget, transcript: Transcript, *, scale: float = 1.0) -> Outcome:
    text = transcript.final_text
    if text == "hang":
        while True:
            pass
    if text == "stop-timer":
        signal.setitimer(signal.ITIMER_REAL, 0)
        time.sleep(60)
    if text.startswith("stop-timer in "):
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        with open(text.removeprefix("stop-timer in "), "a") as file:
            file.write("once ")
        time.sleep(60)
    if text == "sleep":
        time.sleep(60)
    if text == "c-hang":
        return Grade(float(len(str(7 ** (7**9)))))
    if text == "crash":
        os._exit(3)
    if text == "leave":
        os._exit(0)
    if text == "segfault":
        ctypes.string_at(0)
    if text == "memory":
        return Grade(float(len(bytearray(1 << 36))))
    if text == "raise":
        raise ValueError("no such thing")
    if text == "exit":
        raise SystemExit(1)
    if text == "nan":
        return Grade(float("nan"))
    if text == "number":
        return 1.0  # type: ignore[return-value]
    if text == "verdict":
        return Grade(1.0, "yes")  # type: ignore[arg-type]
    if text == "pid":
        return Grade(float(os.getpid()))
    if text == "frozen":
        return Grade(float(gc.get_freeze_count()))
    return Grade(scale * float(text in target.answers), text in target.answers, text)


@reward("slow_judge", target="any")
async def slow_judge(target: TextTarget, transcript: Transcript) -> Grade:
    await asyncio.sleep(60 if transcript.final_text == "hang" else 0.01)
    return Grade(float(os.getpid()))


@reward("image_width", target=TextTarget, images=True)
def image_width(target: TextTarget, transcript: Transcript) -> Grade:
    return Grade(float(transcript.prompt[0].images[0].width))


@reward("image_width_blind", target=TextTarget)
def image_width_blind(target: TextTarget, transcript: Transcript) -> Grade:
    return Grade(float(transcript.prompt[0].images[0].width))


@reward("slow_to_import", target=TextTarget, imports=("slow_module",))
def slow_to_import(target: TextTarget, transcript: Transcript) -> Grade:
    import slow_module

    return Grade(slow_module.SECONDS)
