"""The live display: what stands on the screen, what is printed without one, and how time is estimated."""

import io

import pytest
from rich.console import Console

from rl.records.progress import Progress, seconds_since_start
from rl.records.screen import Stage, figures, seconds_text, spark

METRICS = {
    "reward/mean": 0.4,
    "reward/algebra": 0.55,
    "reward/logic": 0.25,
    "rollout/length_mean": 43.2,
    "rollout/length_max": 96.0,
    "rollout/lag_mean": 0.5,
    "rollout/tokens": 5000.0,
    "time/step_s": 2.5,
    "learner/entropy": 0.53,
    "group/ungraded_frac": 0.01,
}


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def terminal(width: int) -> Console:
    return Console(
        width=width, height=50, file=io.StringIO(), force_terminal=True, record=True, legacy_windows=False, _environ={"TERM": "xterm"}
    )


def plain() -> Console:
    return Console(width=60, file=io.StringIO(), force_terminal=False, _environ={})


def printed(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def feed(progress: Progress, clock: Clock) -> None:
    progress.stage("cold start", 400)
    clock.now += 41
    progress.stage("reinforcement learning", 100)
    progress.evaluation({"algebra": 0.31, "logic": 0.5})
    for _ in range(3):
        clock.now += 2
        progress.advance()
        progress.step(METRICS)
    progress.evaluation({"algebra": 0.44, "logic": 0.46})
    progress.note("checkpoint runs/x/checkpoints/3")


def screen(width: int) -> str:
    clock, console = Clock(), terminal(width)
    progress = Progress("my run", console, clock)
    feed(progress, clock)
    console.export_text()
    console.print(progress.render())
    return console.export_text()


def test_the_screen_shows_stage_tasks_and_figures() -> None:
    lines = [line.rstrip() for line in screen(110).splitlines()]
    assert lines[0] == "my run  0:47"
    assert lines[1] == "cold start 0:41 > reinforcement learning"
    assert lines[2].split()[-3:] == ["3/100", "3:14", "left"]
    assert lines[4].split() == ["algebra", "0.550", "▅▅▅", "31.0%", "44.0%", "+13.0"]
    assert lines[5].split() == ["logic", "0.250", "▃▃▃", "50.0%", "46.0%", "-4.0"]
    assert lines[6] == "reward 0.400   length 43 (max 96)   lag 0.5   entropy 0.53   2,000 tokens/s   ungraded 1.0%"
    assert lines[7] == "0:47  checkpoint runs/x/checkpoints/3"


@pytest.mark.parametrize("width", [20, 34, 60, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert all(len(line) <= width for line in screen(width).splitlines())


@pytest.mark.parametrize("width", [34, 60])
def test_a_narrow_screen_still_shows_each_task_with_its_change(width: int) -> None:
    text = screen(width)
    assert "+13.0" in text
    assert "logic" in text


def test_distillation_and_preferences_are_watched_by_their_own_figures() -> None:
    assert figures({"learner/divergence": 0.25}) == ["divergence 0.250"]
    pairs = {"preference/loss": 0.5, "preference/accuracy": 0.75, "preference/margin": 1.0}
    assert figures(pairs) == ["preference loss 0.500", "preference accuracy 0.750", "margin 1.000"]


def test_without_a_terminal_there_is_one_line_a_step() -> None:
    clock, console = Clock(), plain()
    with Progress("my run", console, clock) as progress:
        feed(progress, clock)
    shown = "reward 0.400  length 43 (max 96)  lag 0.5  entropy 0.53  2,000 tokens/s  ungraded 1.0%"
    assert printed(console) == [
        "[0:00] cold start (of 400)",
        "[0:41] reinforcement learning (of 100)",
        "[0:41] held-out: algebra 31.0%  logic 50.0%",
        f"[0:43] reinforcement learning 1/100  {shown}",
        f"[0:45] reinforcement learning 2/100  {shown}  3:16 left",
        f"[0:47] reinforcement learning 3/100  {shown}  3:14 left",
        "[0:47] held-out: algebra 44.0% (from 31.0%)  logic 46.0% (from 50.0%)",
        "[0:47] checkpoint runs/x/checkpoints/3",
    ]


def test_the_clock_counts_what_had_passed_before_it() -> None:
    console = plain()
    Progress("my run", console, Clock(), head_start=65.0).note("begun")
    assert printed(console) == ["[1:05] begun"]
    assert 0.0 < seconds_since_start() < 1e6


def test_a_task_without_a_verdict_says_so_in_place_of_an_accuracy() -> None:
    console = Console(file=io.StringIO(), force_terminal=False, width=200)
    Progress("run", console, Clock()).evaluation({"sums": 0.5, "mine": None})
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [
        "[0:00] held-out: sums 50.0%",
        "[0:00] held-out: no accuracy of mine: the reward gives no verdict, as in Grade(0.5, verdict=False)",
    ]


def test_a_terminal_gets_the_live_screen_and_keeps_the_last_one() -> None:
    clock, console = Clock(), terminal(100)
    with Progress("my run", console, clock) as progress:
        feed(progress, clock)
    assert "+13.0" in "\n".join(printed(console)[-6:])
    assert not any(line.startswith("[0:41]") for line in printed(console))


def test_the_screen_ends_when_the_run_fails() -> None:
    console = terminal(100)
    progress = Progress("my run", console, Clock())

    def fail() -> None:
        with progress:
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        fail()
    assert printed(console)[-1].endswith("\x1b[?25h")


def test_losses_of_the_cold_start_are_shown_until_the_next_stage() -> None:
    clock, console = Clock(), terminal(100)
    progress = Progress("my run", console, clock)
    progress.stage("cold start", 10)
    progress.step({"cold_start/train_loss": 1.25, "cold_start/validation_loss": 1.5})
    console.print(progress.render())
    assert "train loss 1.250   validation loss 1.500" in console.export_text()
    progress.stage("query filter", 10)
    console.print(progress.render())
    assert "loss" not in console.export_text()


def test_text_of_the_run_is_never_read_as_markup() -> None:
    console = plain()
    Progress("[bold]x", console, Clock()).note("kept [3] of [/red] all")
    assert printed(console) == ["[0:00] kept [3] of [/red] all"]


def test_time_left_is_the_pace_times_what_is_left() -> None:
    stage = Stage("x", total=10, started=0.0)
    assert stage.seconds_left(5.0) is None
    stage = stage.advanced(1, 20.0)
    assert stage.seconds_left(20.0) is None
    stage = stage.advanced(1, 23.0).advanced(1, 26.0)
    assert stage.seconds_left(26.0) == pytest.approx(7 * 3.0)
    assert stage.seconds_left(27.0) == pytest.approx(7 * 3.0 - 1.0)
    assert stage.advanced(7, 30.0).seconds_left(30.0) is None


def test_what_a_resumed_run_had_done_is_not_taken_for_speed() -> None:
    stage = Stage("x", total=100, started=0.0).advanced(60, 1.0).advanced(1, 5.0)
    assert stage.seconds_left(5.0) == pytest.approx(39 * 4.0)


def test_a_resumed_run_without_finished_units_counts_from_its_start() -> None:
    stage = Stage("x", total=100, started=0.0).advanced(0, 1.0).advanced(1, 5.0)
    assert stage.seconds_left(5.0) == pytest.approx(99 * 4.0)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (7.4, "0:07"), (59.6, "1:00"), (750, "12:30"), (3723, "1:02:03")])
def test_seconds_are_written_as_on_a_clock(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


def test_a_spark_is_as_high_as_its_value() -> None:
    assert spark((0.0, 0.5, 1.0, 2.0, -1.0), 0.0, 1.0) == "▁▅██▁"
