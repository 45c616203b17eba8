"""Verdicts a second: `python benchmarks/reward_speed.py FOLDER [only=math,ifeval] [calls=400] [peers=false]
[markdown=docs/rewards.md]`.

The same rows of each set by every grader, in turns of 50 rows, so that what else the machine does falls on all alike. Mathematics, code and
puzzles are new to every grader; the rows of the other sets, where nothing is remembered, come ten times. On one core: this process and one
worker, both held to that core; on two: two workers. Mathematics also by math-verify, called directly in this process; by TRL's
`accuracy_reward` in it; and by verl's `compute_score`, which has processes of its own: one call after the other, as its reward manager
does, and four at once. Pools are asked from one event loop that goes on, as in a run. Median and worst are of single calls inside the
grader. Processor time is that of all processes, and tells more than verdicts a second on a machine that does other work; isolation costs
what one core loses by it of the throughput that the same rewards have in the calling process.
"""

import asyncio
import gc
import glob
import importlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypeAlias

import psutil
from case_adapters import cases_of
from labelled_case import Case
from peer_graders import math_verify_as_verl, trl_accuracy, verl_with_processes
from reward_cases import write_table

from rewards.grading import grade_here
from rewards.isolation import RewardPool
from tasks.problem import CodeTarget, MathTarget, PuzzleTarget

HEADER = ("set", "grader", "cores", "calls", "verdicts/s", "CPU ms a verdict", "median ms", "worst s", "isolation costs")
TURN = 50
CORES = sorted(os.sched_getaffinity(0))[:2]
Grade: TypeAlias = Callable[[list[Case]], list[float]]
"""Grades rows and gives the seconds that each took."""


@dataclass(slots=True)
class Grader:
    name: str
    num_cores: int
    grade: Grade
    wall_s: float = 0.0
    cpu_s: float = 0.0
    seconds: list[float] = field(default_factory=list)

    @property
    def cpu_ms(self) -> float:
        return 1e3 * self.cpu_s / len(self.seconds)

    def take_turn(self, cases: list[Case]) -> None:
        hold_to(CORES[: self.num_cores])
        cpu, start = _cpu_s(), time.perf_counter()
        self.seconds += self.grade(cases)
        self.wall_s += time.perf_counter() - start
        self.cpu_s += _cpu_s() - cpu


def main() -> None:
    folder, *options = sys.argv[1:]
    chosen = dict(option.split("=", 1) for option in options)
    print(" | ".join(HEADER))
    for group, cases in _groups(folder, chosen.get("only", "")).items():
        few = cases[: int(chosen.get("calls", "400"))]
        with ProcessPoolExecutor(1, get_context("spawn")) as fresh:
            rows = fresh.submit(_measured, group, few, chosen.get("peers", "true") == "true").result()
        print("\n".join(map(" | ".join, rows)), flush=True)
        if "markdown" in chosen:
            write_table(Path(chosen["markdown"]), "speed", HEADER, rows, keep=True)


def _groups(folder: str, only: str) -> dict[str, list[Case]]:
    """What policies write: nothing that was made to break a grader, and mathematics in a box."""
    groups: dict[str, list[Case]] = {}
    for path in sorted(glob.glob(f"{folder}/*.jsonl")):
        for case in cases_of(Path(path).stem, [json.loads(line) for line in Path(path).read_text().splitlines()]):
            groups.setdefault(case.group, []).append(case)
    wanted = only.split(",") if only else None
    return {
        group: cases
        for group, cases in groups.items()
        if not group.startswith(("adversarial", "math_adv")) and "bare" not in group and (wanted is None or group.split(",")[0] in wanted)
    }


def _measured(group: str, cases: list[Case], with_peers: bool) -> list[tuple[str, ...]]:
    """In a process of its own, which is as warm as a worker is at its start. The first row warms up, and is not counted."""
    importlib.import_module("rewards.preload")
    warm, *cases = cases
    if not isinstance(warm.target, MathTarget | CodeTarget | PuzzleTarget):
        cases = cases * 10
    pools: list[RewardPool] = []
    loop = asyncio.Runner()
    graders = [Grader("ours, in the calling process", 1, partial(_one_by_one, lambda case: grade_here(*case.call)))]
    for workers in (1, 2)[: len(CORES)]:
        hold_to(CORES[:workers])
        pools.append(RewardPool(workers))
        graders.append(Grader(f"ours, {workers} worker{'s'[: workers - 1]}", workers, partial(_in_pool, loop, pools[-1])))
    if with_peers and isinstance(warm.target, MathTarget):
        graders += [
            Grader("math-verify, called directly", 1, _by_peer(math_verify_as_verl)),
            Grader("TRL accuracy_reward", 1, _by_peer(trl_accuracy)),
            Grader("verl compute_score", 2, _by_peer(verl_with_processes)),
            Grader("verl compute_score, four at once", 2, partial(_at_once, _by_peer(verl_with_processes))),
        ]
    for grader in graders:
        grader.grade([warm] * 32)
    gc.collect()
    gc.freeze()  # what other graders have imported is no garbage to look through
    for start in range(0, len(cases), TURN):
        for grader in graders:
            grader.take_turn(cases[start : start + TURN])
    for pool in pools:
        pool.close()
    loop.close()
    here = graders[0].cpu_ms
    return [_row(group, grader, here if grader.name.endswith("1 worker") else None) for grader in graders]


def hold_to(cores: Iterable[int]) -> None:
    """All threads of this process, and the processes that it starts from now on."""
    for thread in os.listdir("/proc/self/task"):
        os.sched_setaffinity(int(thread), cores)


def _one_by_one(grade: Callable[[Case], object], cases: list[Case]) -> list[float]:
    return [_timed(partial(grade, case)) for case in cases]


def _in_pool(loop: asyncio.Runner, pool: RewardPool, cases: list[Case]) -> list[float]:
    breakdowns = loop.run(pool.break_down([case.call for case in cases]))
    return [timed.seconds or 0.0 for breakdown in breakdowns for timed in breakdown.components.values()]


def _by_peer(peer: Callable[[str, str], bool]) -> Grade:
    def grade(case: Case) -> bool:
        assert isinstance(case.target, MathTarget)
        return peer(case.target.answer, case.text)

    return partial(_one_by_one, grade)


def _at_once(grade: Grade, cases: list[Case]) -> list[float]:
    with ThreadPoolExecutor(4) as threads:
        return [seconds for found in threads.map(lambda case: grade([case]), cases) for seconds in found]


def _timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _row(group: str, grader: Grader, here: float | None) -> tuple[str, ...]:
    cost = f"{100 * (1 - here / grader.cpu_ms):.0f} %" if here else ""
    rates = f"{len(grader.seconds) / grader.wall_s:.0f}", f"{grader.cpu_ms:.2f}"
    times = f"{1e3 * statistics.median(grader.seconds):.2f}", f"{max(grader.seconds):.2f}"
    return group, grader.name, str(grader.num_cores), str(len(grader.seconds)), *rates, *times, cost


def _cpu_s() -> float:
    """Of this process and its children so far. Linux counts a child's in nanoseconds, of its first thread: workers have no other."""
    children = psutil.Process().children(recursive=True)
    return time.process_time() + sum(int(Path(f"/proc/{child.pid}/schedstat").read_text().split()[0]) for child in children) / 1e9


if __name__ == "__main__":
    main()
