"""Tasks from their settings."""

import json
import subprocess
import sys
from pathlib import Path

import PIL.Image
import pytest
from pydantic import JsonValue

from rl.config.task_settings import TaskSettings
from tasks.build import build_task, most_images, training_problems
from tasks.errors import TaskError
from tasks.families import FAMILIES
from tasks.source import is_heldout


def write_sums(path: Path, count: int) -> str:
    path.write_text("".join(json.dumps({"prompt": f"{n}+1?", "target": n + 1}) + "\n" for n in range(count)))
    return str(path)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_gives_endless_training_heldout_problems_and_demonstrations(family: str) -> None:
    task = build_task("mine", TaskSettings(family=family, heldout=10), seed=0)
    assert task.train.size is None
    assert len({problem.id for problem in task.heldout}) == 10
    assert {problem.id for problem in task.heldout}.isdisjoint(task.train.problem(position).id for position in range(50))
    assert {problem.source for problem in (*task.heldout, task.train.problem(10**9))} == {"mine"}
    assert task.demonstrations is not None
    made = list(task.demonstrations(8))
    assert len(made) == 8
    assert not any(is_heldout(example.key) for example in made)
    assert all("</think>" in example.demonstration for example in made)


def test_the_family_s_reward_is_taken_unless_another_is_named() -> None:
    assert build_task("a", TaskSettings(family="algebra", heldout=1), 0).train.problem(0).reward == "math"
    mixed = TaskSettings(family="algebra", heldout=1, reward={"math": 1.0, "format": 0.1})
    assert build_task("a", mixed, 0).train.problem(0).reward == {"math": 1.0, "format": 0.1}


@pytest.mark.parametrize("origin", ["family", "data"])
def test_a_task_without_weight_has_held_out_problems_and_nothing_else(origin: str, tmp_path: Path) -> None:
    values = {"family": "algebra"} if origin == "family" else {"data": write_sums(tmp_path / "a.jsonl", 5)}
    task = build_task("benchmark", TaskSettings(**values, heldout=5, weight=0), 0)
    assert len(task.heldout) == 5
    assert (training_problems(task, 100), training_problems(task, None), task.demonstrations) == ([], [], None)
    assert most_images(task, 0) == 0


def test_equal_settings_and_seed_build_equal_tasks() -> None:
    settings = TaskSettings(family="order", heldout=5)
    first, second, other = (build_task("a", settings, seed) for seed in (1, 1, 2))
    assert [p.id for p in first.heldout] == [p.id for p in second.heldout] != [p.id for p in other.heldout]
    assert first.train.problem(7).id == second.train.problem(7).id != other.train.problem(7).id


def test_puzzles_have_no_demonstrations() -> None:
    task = build_task("legs", TaskSettings(family="gym:leg_counting", heldout=3), 0)
    assert task.demonstrations is None
    assert task.train.problem(0).reward == "puzzle"
    assert len(task.heldout) == 3


def test_data_is_a_pool_whose_split_no_seed_moves(tmp_path: Path) -> None:
    settings = TaskSettings(data=write_sums(tmp_path / "a.jsonl", 40), reward="math", heldout=10, pool=20)
    first, second = (build_task("sums", settings, seed) for seed in (0, 1))
    assert first.train.size == 20
    assert first.demonstrations is None
    assert [p.id for p in first.heldout] == [p.id for p in second.heldout]
    epochs = [[task.train.problem(position).id for position in range(20)] for task in (first, second)]
    assert sorted(epochs[0]) == sorted(epochs[1])
    assert epochs[0] != epochs[1]


def test_data_without_a_pool_trains_on_every_other_row(tmp_path: Path) -> None:
    task = build_task("sums", TaskSettings(data=write_sums(tmp_path / "a.jsonl", 400), reward="math", heldout=10), 0)
    assert task.train.size == 390
    assert len({problem.id for problem in training_problems(task, None)}) == 390


@pytest.mark.parametrize(("tools", "most"), [((), 3), (("image_zoom_in_tool",), 3 + 8)])
def test_the_row_with_the_most_images_counts_wherever_it_stands(tmp_path: Path, tools: tuple[str, ...], most: int) -> None:
    for number in range(3):
        PIL.Image.new("RGB", (4, 4), (number, 0, 0)).save(tmp_path / f"{number}.png")
    images = [["0.png"]] * 10 + [["0.png", "1.png", "2.png"]] + [[]] * 10
    rows = ({"prompt": f"{n}+1?", "images": found, "target": n + 1} for n, found in enumerate(images))
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = build_task("sums", TaskSettings(data=str(path), reward="math", heldout=2, tools=tools), 0)
    assert most_images(task, calls=8) == most


def test_the_images_of_a_family_are_counted_on_its_heldout_problems() -> None:
    assert most_images(build_task("a", TaskSettings(family="algebra", heldout=2), 0), calls=8) == 0
    assert most_images(build_task("c", TaskSettings(family="counting", heldout=2), 0), calls=8) == 1


def test_skipped_rows_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"prompt": "1+1?", "target": 2}\n{\n{"prompt": "1+2?", "target": 3}\n')
    task = build_task("sums", TaskSettings(data=str(path), reward="math", heldout=1, on_bad_row="skip"), 0)
    assert [row.where for row in task.bad_rows] == [f"{path}:2"]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (TaskSettings(family="algebr"), "tasks.t: unknown family 'algebr'; did you mean 'algebra'? (reasoning-gym's are named gym:<name>)"),
        (
            TaskSettings(family="algebra", options={"larges": 5}),
            "tasks.t: family 'algebra' has no option 'larges'; did you mean 'largest'?",
        ),
        (TaskSettings(family="algebra", options={"name": "x"}), "tasks.t: family 'algebra' has no option 'name'"),
        (TaskSettings(family="algebra", options={"largest": "5"}), "tasks.t: family 'algebra': option largest='5' is not of type int"),
        (TaskSettings(family="algebra", options={"largest": True}), "tasks.t: family 'algebra': option largest=True is not of type int"),
        (TaskSettings(data="a.jsonl", options={"largest": 5}), "tasks.t.options: data has no options, only a family has"),
        (TaskSettings(data="a.txt"), "tasks.t.data: no data file a.txt"),
        (TaskSettings(family="gym:countdown"), "tasks.t: family 'gym:countdown' is refused: its scorer runs code"),
    ],
)
def test_impossible_settings_say_where_and_the_way_out(settings: TaskSettings, reason: str) -> None:
    with pytest.raises(TaskError) as caught:
        build_task("t", settings, 0)
    assert str(caught.value).startswith(reason)


def test_building_a_task_imports_none_of_the_heavy_libraries() -> None:
    program = (
        "import sys, tasks.build; print([m for m in ('torch', 'datasets', 'pyarrow', 'reasoning_gym', 'transformers') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_held_out_problems_may_have_a_reward_of_their_own(tmp_path: Path) -> None:
    mixture: dict[str, float | dict[str, JsonValue]] = {"math": 1.0, "format": {"weight": 0.1, "gate": "math"}}
    mixed = TaskSettings(family="algebra", heldout=1, reward=mixture, heldout_reward="math")
    task = build_task("a", mixed, 0)
    assert (task.train.problem(0).reward, task.heldout[0].reward) == (mixture, "math")
    settings = TaskSettings(data=write_sums(tmp_path / "a.jsonl", 40), reward="math", heldout=10, pool=20, heldout_reward="exact")
    task = build_task("sums", settings, 0)
    assert (task.train.problem(0).reward, task.heldout[0].reward) == ("math", "exact")
