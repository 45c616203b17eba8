import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pool_rewards  # noqa: F401
import psutil
import pytest
from reward_calls import response

from rewards.errors import RewardError
from rewards.grading import grade_here
from rewards.isolation import BATCH, Call, RewardPool
from rewards.mixture import Component, RewardSpec
from rewards.outcome import Grade, Outcome, Ungraded
from tasks.problem import CountTarget, MathTarget, MissingTarget, TextTarget

LIMIT_S = 1.0
LONG = "+".join(rf"\frac{{\sin(x^{{{n}}}+\sqrt{{{n}+y}})}}{{1+\sqrt{{x+{n}}}}}" for n in range(2, 22))
"""Parsing three of these takes longer than half the limit."""
TARGET = TextTarget(("ok",))
RIGHT = Grade(1.0, True, "ok", {"misbehave": 1.0})


@pytest.fixture(scope="module")
def pool() -> Iterator[RewardPool]:
    pool = RewardPool(workers=8, timeout_s=LIMIT_S, memory_mib=256)
    yield pool
    pool.close()


def misbehave(pool: RewardPool, *texts: str) -> list[Outcome]:
    return pool.grade_all([("misbehave", TARGET, response(text)) for text in texts])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hang", "timeout"),
        ("sleep", "timeout"),
        ("c-hang", "timeout"),
        ("stop-timer", "timeout"),
        ("crash", "crash"),
        ("leave", "crash"),
        ("segfault", "crash"),
        ("memory", "memory"),
        ("raise", "exception"),
        ("exit", "exception"),
        ("nan", "not-finite"),
        ("number", "bad-return"),
        ("verdict", "bad-return"),
    ],
)
def test_what_a_reward_does_wrong_is_a_reason_and_its_neighbours_keep_their_grades(pool: RewardPool, text: str, reason: str) -> None:
    before, outcome, after = misbehave(pool, "ok", text, "ok")
    assert isinstance(outcome, Ungraded)
    assert outcome.reason == reason
    assert before == after == RIGHT


def test_workers_collect_no_garbage_among_what_was_imported_before_them(pool: RewardPool) -> None:
    (outcome,) = misbehave(pool, "frozen")
    assert isinstance(outcome, Grade)
    assert outcome.reward > 10_000, "objects that a worker's collector leaves alone"


def test_a_call_that_stops_its_timer_is_not_run_again(pool: RewardPool, tmp_path: Path) -> None:
    assert misbehave(pool, f"stop-timer in {tmp_path}/runs") == [Ungraded("timeout", f"over {LIMIT_S:g} s")]
    assert (tmp_path / "runs").read_text() == "once "


def test_a_batch_with_one_hanging_call_pays_all_the_others() -> None:
    gold, answer = (", ".join(f"{LONG}+{n}" for n in start) for start in ((1, 2, 3), (4, 5, 6)))
    slow = ("math", MathTarget(gold), response(rf"\boxed{{{answer}}}"))
    calls = [("math", MathTarget(str(n)), response(rf"\boxed{{{n}}}")) for n in range(BATCH - 1)]
    pool = RewardPool(timeout_s=LIMIT_S / 2)
    outcomes = pool.grade_all([*calls[:40], slow, *calls[40:]])
    pool.close()
    assert outcomes.pop(40) == Ungraded("timeout", f"over {LIMIT_S / 2:g} s")
    assert all(isinstance(outcome, Grade) and outcome.verdict for outcome in outcomes)


def test_a_batch_of_slow_calls_gives_way_to_others() -> None:
    slow = ("math", MathTarget(f"{LONG}+1"), response(rf"\boxed{{{LONG}+2}}"))
    quick = ("math", MathTarget("1"), response(r"\boxed{1}"))
    pool = RewardPool(timeout_s=60.0)
    ended: list[str] = []

    async def end(name: str, calls: list[Call]) -> None:
        assert all(isinstance(outcome, Grade) for outcome in await pool.grade_many(calls))
        ended.append(name)

    async def both() -> None:
        await asyncio.gather(end("slow", [slow] * 8), end("quick", [quick]))

    asyncio.run(both())
    pool.close()
    assert ended == ["quick", "slow"]


def test_calls_that_share_rewards_and_targets_get_the_grades_that_each_gets_alone(pool: RewardPool) -> None:
    spec = RewardSpec((Component("math"), Component("format", 0.1, gate="math")))
    target, half = MathTarget(r"\frac12"), response(r"<think>a</think>\boxed{0.5}")
    calls: list[Call] = []
    for text in (r"\boxed{1/2}", r"\boxed{2}", "none"):
        calls += [(spec, target, response(text)), ("math", target, half), ("exact", TextTarget((text,)), response(text))]
        calls += [(spec, MissingTarget(), half), ({"math": 0.5}, target, response(text)), ({"math": 2.0}, target, response(text))]
    assert pool.grade_all(calls * 5) == [grade_here(*call) for call in calls] * 5


def test_a_batch_too_large_for_the_memory_of_a_worker_is_graded_nevertheless() -> None:
    calls: list[Call] = [("text", TextTarget((str(n),)), response(f"{n} " * 500_000 + f"the answer is {n}")) for n in range(40)]
    pool = RewardPool(timeout_s=60.0, memory_mib=60)
    outcomes = pool.grade_all(calls)
    pool.close()
    assert all(isinstance(outcome, Grade) and outcome.verdict for outcome in outcomes)


def test_importing_what_a_reward_needs_is_not_of_the_time_of_its_call(pool: RewardPool) -> None:
    assert pool.grade_all([("slow_to_import", TARGET, response("ok"))]) == [Grade(1.5, None, None, {"slow_to_import": 1.5})]


def test_waiting_in_the_queue_never_becomes_a_verdict(pool: RewardPool) -> None:
    outcomes = misbehave(pool, *["sleep"] * 64, *["ok"] * 16)
    assert [outcome.reason for outcome in outcomes[:64]] == ["timeout"] * 64  # type: ignore[union-attr]
    assert outcomes[64:] == [RIGHT] * 16


def test_the_pool_gives_the_same_grade_as_the_plain_call(pool: RewardPool) -> None:
    spec = RewardSpec((Component("math"), Component("format", 0.1, gate="math"), Component("overlong", 0.5, {"limit": 30, "slope": 20})))
    for text in (r"<think>a</think>\boxed{1/2}", r"\boxed{0.5}", r"<think>b</think>\boxed{2}", "<think>"):
        call = (spec, MathTarget(r"\frac12"), response(text))
        assert pool.grade_all([call]) == [grade_here(*call)]


def test_a_mixture_of_reward_kinds_runs_where_each_belongs(pool: RewardPool) -> None:
    import os

    outcome = pool.grade_all([({"misbehave": 1.0, "slow_judge": 0.0}, TARGET, response("pid"))])[0]
    assert isinstance(outcome, Grade)
    assert outcome.parts["slow_judge"] == os.getpid() != outcome.parts["misbehave"]


def test_an_asynchronous_reward_has_the_same_time_limit(pool: RewardPool) -> None:
    outcome = pool.grade_all([("slow_judge", TARGET, response("hang"))])[0]
    assert isinstance(outcome, Ungraded)
    assert outcome.reason == "timeout"


def test_a_missing_target_is_ungraded_without_a_worker(pool: RewardPool) -> None:
    assert pool.grade_all([("misbehave", MissingTarget(), response("crash"))]) == [Ungraded("missing-target")]


def test_a_wrong_target_fails_before_anything_runs(pool: RewardPool) -> None:
    call = ("misbehave", CountTarget(1), response("crash"))
    with pytest.raises(RewardError, match="grades TextTarget, but the problem's target is a CountTarget"):
        pool.grade_all([call])


def test_threads_and_event_loops_share_one_pool(pool: RewardPool) -> None:
    found: list[list[Outcome]] = []
    threads = [threading.Thread(target=lambda: found.append(misbehave(pool, "ok", "raise", "ok"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [[type(o) for o in outcomes] for outcomes in found] == [[Grade, Ungraded, Grade]] * 8


async def test_many_calls_at_once_in_one_event_loop(pool: RewardPool) -> None:
    outcomes = await asyncio.gather(*(pool.grade("misbehave", TARGET, response("ok")) for _ in range(100)))
    assert outcomes == [RIGHT] * 100


async def test_a_cancelled_call_frees_its_worker(pool: RewardPool) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(pool.grade("misbehave", TARGET, response("sleep")), LIMIT_S / 3)
    assert await pool.grade("misbehave", TARGET, response("ok")) == RIGHT


def test_images_reach_only_the_rewards_that_ask_for_them(pool: RewardPool) -> None:
    import PIL.Image

    from rewards.transcript import Transcript
    from tasks.message import ImagePart, Message, TextPart

    image = ImagePart(PIL.Image.new("RGB", (8, 6)))
    seen = Transcript((Message("user", (image, TextPart("?"))),), (Message("assistant", (TextPart("ok"),)),))
    with_images, without = pool.grade_all([("image_width", TARGET, seen), ("image_width_blind", TARGET, seen)])
    assert with_images == Grade(8.0, None, None, {"image_width": 8.0})
    assert isinstance(without, Ungraded)
    assert "images=True" in without.detail


def test_dead_idle_workers_are_replaced(pool: RewardPool) -> None:
    for outcome in misbehave(pool, "pid", "pid"):
        psutil.Process(int(outcome.reward)).kill()  # type: ignore[union-attr]
    time.sleep(0.3)
    assert misbehave(pool, "ok", "ok") == [RIGHT, RIGHT]


def test_closing_with_calls_in_flight_leaves_no_process_and_grades_none_of_them() -> None:
    before = processes()
    pool = RewardPool(workers=2, timeout_s=30.0, memory_mib=256)
    assert misbehave(pool, "ok", "crash")[0] == RIGHT
    found: list[Outcome] = []
    waiting = threading.Thread(target=lambda: found.extend(misbehave(pool, *["sleep"] * 5)))
    waiting.start()
    while len(processes() - before) < 3:  # the server and two workers
        time.sleep(0.05)
    pool.close()
    waiting.join()
    assert [outcome.reason for outcome in found] == ["closed"] * 5  # type: ignore[union-attr]
    assert processes() - before == set()


def test_a_closed_pool_grades_nothing_and_starts_nothing() -> None:
    before = processes()
    pool = RewardPool(memory_mib=256)
    pool.close()
    assert [outcome.reason for outcome in misbehave(pool, "ok")] == ["closed"]  # type: ignore[union-attr]
    assert processes() - before == set()


def test_many_failures_leave_everything_as_it_was_and_every_other_call_its_grade() -> None:
    before = processes()
    pool = RewardPool(workers=2, timeout_s=LIMIT_S, memory_mib=256)
    try:
        misbehave(pool, *["ok"] * 20)
        threads, files = threading.active_count(), psutil.Process().num_fds()
        texts = ["crash" if n % 40 == 0 else "sleep" if n % 40 == 20 else "ok" for n in range(200)]
        outcomes = misbehave(pool, *texts)
        assert [isinstance(outcome, Grade) for outcome in outcomes] == [text == "ok" for text in texts]
        assert len(processes() - before) <= 3  # the server and two workers
        assert threading.active_count() <= threads + 1  # both of the pool's threads may not have been needed at first
        assert psutil.Process().num_fds() <= files + 3  # nor both workers: a pipe, and a status with its other end
    finally:
        pool.close()
    assert processes() - before == set()


def test_workers_of_a_program_that_was_killed_end_by_themselves() -> None:
    program = subprocess.Popen([sys.executable, "-c", UNTIDY], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent)
    assert program.stdout is not None
    children = [psutil.Process(int(pid)) for pid in program.stdout.readline().split()]
    program.kill()
    program.communicate()
    _, alive = psutil.wait_procs(children, timeout=60)
    assert len(children) >= 2
    assert alive == []


UNTIDY = """
import psutil
from test_isolation import RewardPool, misbehave
pool = RewardPool(memory_mib=256)
misbehave(pool, "ok")
print(*(child.pid for child in psutil.Process().children(recursive=True)), flush=True)
misbehave(pool, "sleep")
"""


def processes() -> set[psutil.Process]:
    """Living children of this process; Python's own resource tracker stays until the end."""
    found = psutil.Process().children(recursive=True)
    return {child for child in found if child.status() != psutil.STATUS_ZOMBIE and "resource_tracker" not in " ".join(child.cmdline())}


def test_a_breakdown_keeps_the_components_that_could_be_graded_beside_the_one_that_could_not(pool: RewardPool) -> None:
    found = asyncio.run(pool.break_down([({"misbehave": 1.0, "exact": 0.5}, TARGET, response("raise"))]))[0]
    assert isinstance(found.outcome, Ungraded)
    assert isinstance(found.components["exact"].outcome, Grade)
    assert found.components["misbehave"].outcome == Ungraded("exception", "ValueError: no such thing")
    assert all(timed.seconds is not None and timed.seconds < LIMIT_S for timed in found.components.values())


def test_a_reward_that_reads_no_target_grades_without_a_gold_answer(pool: RewardPool) -> None:
    found = asyncio.run(pool.break_down([({"misbehave": 1.0, "overlong": 1.0}, MissingTarget(), response("ok"))]))[0]
    assert found.outcome == Ungraded("missing-target", "misbehave")
    assert found.components["overlong"].outcome == Grade(0.0)
