"""Function tests: the answer in one sandbox, the tests in another, values between them."""

import json
import os
import selectors
import subprocess
import time
from dataclasses import dataclass
from importlib import resources

from sandbox.isolation import choose
from sandbox.limits import Isolation, Limits
from sandbox.process import Confined
from tasks.problem import CodeTarget

LOOK_S = 0.05
_SOURCES = resources.files("rewards.code")
_WIRE = _SOURCES.joinpath("wire.py").read_text()
ANSWER_SIDE = _WIRE + _SOURCES.joinpath("answer_side.py").read_text()
TESTS_SIDE = _WIRE + _SOURCES.joinpath("tests_side.py").read_text()


class BrokenTestsError(RuntimeError):
    """The tests themselves cannot run: no answer can be judged by them."""


@dataclass(frozen=True, slots=True)
class Tested:
    """`fault`: why the tests after the first `num_run` did not run; `timeout`, `scratch`, `error`, or empty."""

    num_passed: int
    num_run: int
    fault: str
    detail: str


def run_function_tests(program: str, target: CodeTarget, limits: Limits, isolation: Isolation) -> Tested:
    """How many of the target's calls and asserts pass. Raises `BrokenTestsError`, and `SandboxUnavailableError`."""
    level = choose(isolation)
    to_answer, to_tests, report = os.pipe(), os.pipe(), os.pipe()
    open_fds = {*to_answer, *to_tests, *report}

    def close(*fds: int) -> None:
        for fd in fds:
            open_fds.discard(fd)
            os.close(fd)

    data = {
        "setup": target.setup,
        "asserts": list(target.asserts),
        "calls": [[call.arguments, list(call.results)] for call in target.calls],
        "function": target.function,
        "report": report[1],
    }
    nothing = subprocess.DEVNULL
    try:
        deadline = time.monotonic() + limits.wall_s
        with (
            Confined(
                ANSWER_SIDE, level, limits, stdin=to_answer[0], stdout=to_tests[1], stderr=nothing, data={"program": program}
            ) as answer,
            Confined(TESTS_SIDE, level, limits, stdin=to_tests[0], stdout=to_answer[1], stderr=nothing, data=data, pass_fds=(report[1],)),
        ):
            close(*to_answer, *to_tests, report[1])
            lines, fault = _read_report(report[0], answer, deadline, limits.grace_s)
    finally:
        close(*tuple(open_fds))
    return _tested(lines, fault, len(target.asserts) + len(target.calls))


def _read_report(fd: int, answer: Confined, deadline: float, grace_s: float) -> tuple[list[str], str]:
    """Complete lines of the tests' process until it ends, and what stopped it before."""
    text, fault = b"", ""
    with selectors.DefaultSelector() as selector:
        selector.register(fd, selectors.EVENT_READ)
        while True:
            left = deadline - time.monotonic()
            if left <= 0 and (left + grace_s <= 0 or answer.had_its_time()):
                fault = "timeout"
                break
            if selector.select(min(max(left, 0.0) or LOOK_S, LOOK_S)):
                chunk = os.read(fd, 1 << 16)
                if not chunk:
                    break
                text += chunk
            elif answer.over_scratch():
                fault = "scratch"
                break
    return text.decode().split("\n")[:-1], fault


def _tested(lines: list[str], fault: str, num_tests: int) -> Tested:
    if not lines:
        # Not a word from the tests: the answer did not get through its own start, or the tests did not.
        if not fault:
            raise BrokenTestsError("the tests cannot be read")
        return Tested(0, 0, fault, "the program did not start in time")
    first, *results = [json.loads(line) for line in lines]
    passed = sum(result["passed"] for result in results)
    errors = [result["error"] for result in results if not result["passed"]]
    if first["failed"]:
        return Tested(0, 0, "error", first["failed"])
    if len(results) < num_tests and not fault:
        fault = "error"
    return Tested(passed, len(results), fault, errors[0] if errors else "")
