"""The example of a user's own data, as it stands in the tree."""

from pathlib import Path

import pytest

from rl.config.configure import load
from tasks.build import build_task
from tasks.families.scene import COLORS
from tasks.problem import CountTarget, Problem

ROOT = Path(__file__).resolve().parents[2]
TILE_PIXELS = 24 * 24


@pytest.fixture
def problems(monkeypatch: pytest.MonkeyPatch) -> tuple[list[Problem], list[Problem]]:
    """Those for training, then the held-out ones."""
    monkeypatch.chdir(ROOT)
    settings = load(["config=examples/own_data/train.yaml"])
    task = build_task("tiles", settings.tasks["tiles"], settings.seed)
    assert task.train.size is not None
    return [task.train.problem(position) for position in range(task.train.size)], list(task.heldout)


def test_the_example_holds_out_eight_of_its_forty_problems(problems: tuple[list[Problem], list[Problem]]) -> None:
    train, heldout = problems
    assert (len(train), len(heldout)) == (32, 8)
    assert len({problem.id for problem in (*train, *heldout)}) == 40


def test_the_gold_answers_of_the_example_are_what_its_pictures_show(problems: tuple[list[Problem], list[Problem]]) -> None:
    for problem in (*problems[0], *problems[1]):
        (message,) = problem.messages
        (image,) = message.images
        color = message.text.split()[2]
        shown = dict((pixel, count) for count, pixel in image.getcolors() or [])
        assert problem.target == CountTarget(shown.get(COLORS[color], 0) // TILE_PIXELS)
        assert problem.reward == "count"
