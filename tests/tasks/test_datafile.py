"""A user's data: files and datasets that are really written and read back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Literal

import datasets
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.datafile import DataProblems, load_problems
from tasks.errors import TaskError
from tasks.problem import ChoiceTarget, MathTarget, MissingTarget, Problem


@dataclass(frozen=True, slots=True)
class Settings:
    data: str | None
    columns: Mapping[str, str] = field(default_factory=dict)
    target: str = "math"
    reward: str | Mapping[str, float] | None = "math"
    pool: int = 1000
    heldout: int = 0
    weight: float = 1.0
    tools: tuple[str, ...] = ()
    on_bad_row: Literal["error", "skip"] = "error"


def write_jsonl(path: Path, rows: Sequence[object]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def sums(count: int, start: int = 0) -> list[dict[str, object]]:
    return [{"prompt": f"{n}+1?", "target": n + 1} for n in range(start, start + count)]


def png(shade: int) -> bytes:
    buffer = BytesIO()
    PIL.Image.new("RGB", (4, 3), (shade, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def shades(problem: Problem) -> list[int]:
    pixels = [image.getpixel((0, 0)) for message in problem.messages for image in message.images]
    return [pixel[0] for pixel in pixels if isinstance(pixel, tuple)]


def by_text(problems: DataProblems) -> dict[str, Problem]:
    return {problem.messages[0].text: problem for problem in (*problems.train, *problems.heldout)}


def test_jsonl_with_images_beside_it(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    for shade in (1, 2):
        (tmp_path / "pictures" / f"{shade}.png").write_bytes(png(shade))
    rows = [
        {"prompt": "<image>one?", "images": ["pictures/1.png"], "target": "1"},
        {"prompt": "both?", "images": ["pictures/2.png", "pictures/1.png"], "target": "2"},
        {"prompt": "none?", "images": None, "target": "0"},
    ]
    problems = by_text(load_problems(Settings(write_jsonl(tmp_path / "shapes.jsonl", rows)), "shapes"))
    assert {text: shades(problem) for text, problem in problems.items()} == {"one?": [1], "both?": [2, 1], "none?": []}
    assert problems["both?"].target == MathTarget("2")
    assert problems["both?"].source == "shapes"


def test_a_single_image_column_is_found_without_being_named(tmp_path: Path) -> None:
    (tmp_path / "7.png").write_bytes(png(7))
    path = write_jsonl(tmp_path / "a.jsonl", [{"prompt": "what?", "image": "7.png", "target": "1"}])
    assert shades(load_problems(Settings(path), "a").train[0]) == [7]


def test_columns_are_mapped_by_name_and_by_dotted_path(tmp_path: Path) -> None:
    rows = [{"question": "1+1?", "reward_model": {"ground_truth": "2"}, "extra": {"index": 5}, "a.b": "exact"}]
    columns = {"prompt": "question", "target": "reward_model.ground_truth", "id": "extra.index", "reward": "a.b"}
    problem = load_problems(Settings(write_jsonl(tmp_path / "a.jsonl", rows), columns), "sums").train[0]
    assert (problem.id, problem.target, problem.reward) == ("sums/5", MathTarget("2"), "exact")


def test_parquet_in_the_form_that_verl_writes(tmp_path: Path) -> None:
    rows = [
        {
            "data_source": "geometry",
            "prompt": [{"role": "user", "content": "<image>How wide?"}],
            "images": [{"bytes": png(9), "path": None}],
            "reward_model": {"style": "rule", "ground_truth": "4"},
        }
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "train.parquet")
    data = Settings(str(tmp_path / "train.parquet"), {"target": "reward_model.ground_truth"})
    problem = load_problems(data, "geometry").train[0]
    assert shades(problem) == [9]
    assert problem.messages[0].text == "How wide?"
    assert problem.target == MathTarget("4")
    assert problem.id.startswith("geometry/train:1:")


def test_parquet_with_typed_parts_and_choices(tmp_path: Path) -> None:
    content = [{"type": "image", "image": png(3), "text": None}, {"type": "text", "image": None, "text": "Which?"}]
    rows = [{"messages": [{"role": "user", "content": content}], "answer": "round", "options": {"text": ["square", "round"]}}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    columns = {"target": "answer", "choices": "options.text"}
    problem = load_problems(Settings(str(tmp_path / "a.parquet"), columns, target="choice", reward={"choice": 1.0}), "a").train[0]
    assert shades(problem) == [3]
    assert problem.target == ChoiceTarget("B", ("square", "round"))
    assert problem.reward == {"choice": 1.0}


def test_parquet_of_many_row_groups_is_read_to_its_end(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(sums(500)), tmp_path / "a.parquet", row_group_size=70)
    problems = load_problems(Settings(str(tmp_path / "a.parquet")), "a")
    assert len(by_text(problems)) == 500


def test_a_saved_dataset_with_images(tmp_path: Path) -> None:
    features = datasets.Features({"question": datasets.Value("string"), "image": datasets.Image(), "answer": datasets.Value("string")})
    rows = {
        "question": [f"{n}?" for n in range(100)],
        "image": [{"bytes": png(n), "path": None} for n in range(100)],
        "answer": ["1"] * 100,
    }
    dataset = datasets.Dataset.from_dict(rows, features=features)
    dataset.select(range(99, -1, -1)).save_to_disk(tmp_path / "whole")
    datasets.DatasetDict({"train": dataset, "validation": dataset.select([5])}).save_to_disk(tmp_path / "splits")
    columns = {"prompt": "question", "target": "answer"}
    for data, expected in (("whole", 100), ("hf:whole", 100), ("splits", 100), ("hf:splits:train", 100), ("hf:splits:validation", 1)):
        prefix, folder = ("hf:", data[3:]) if data.startswith("hf:") else ("", data)
        problems = by_text(load_problems(Settings(f"{prefix}{tmp_path}/{folder}", columns), "a"))
        assert len(problems) == expected
        assert all(shades(problem) == [int(text[:-1])] for text, problem in problems.items())


def test_a_dataset_with_lists_of_images(tmp_path: Path) -> None:
    features = datasets.Features(
        {"prompt": datasets.Value("string"), "images": datasets.List(datasets.Image()), "target": datasets.Value("int64")}
    )
    pictures = [PIL.Image.open(BytesIO(png(shade))) for shade in (4, 5)]
    datasets.Dataset.from_dict({"prompt": ["what?"], "images": [pictures], "target": [1]}, features=features).save_to_disk(tmp_path / "d")
    assert shades(load_problems(Settings(str(tmp_path / "d")), "a").train[0]) == [4, 5]


def test_ids_are_the_data_s_own_or_name_file_row_and_content(tmp_path: Path) -> None:
    rows = [{"prompt": "a?", "target": "1", "id": 17}, {"prompt": "b?", "target": "1"}]
    problems = by_text(load_problems(Settings(write_jsonl(tmp_path / "own.jsonl", rows)), "task"))
    assert problems["a?"].id == "task/17"
    stem, row, content = problems["b?"].id.split(":")
    assert (stem, row, len(content)) == ("task/own", "2", 8)


def test_a_reward_of_the_row_comes_before_the_task_s(tmp_path: Path) -> None:
    rows = [{"prompt": "a?", "target": "1", "reward": {"math": 1.0, "format": 0.1}}, {"prompt": "b?", "target": "1", "reward": None}]
    problems = by_text(load_problems(Settings(write_jsonl(tmp_path / "a.jsonl", rows)), "a"))
    assert {text: problem.reward for text, problem in problems.items()} == {"a?": {"math": 1.0, "format": 0.1}, "b?": "math"}


def test_null_gold_is_missing_and_none_needs_no_column(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{"prompt": "a?", "target": None}])
    assert load_problems(Settings(path), "a").train[0].target == MissingTarget()
    path = write_jsonl(tmp_path / "b.jsonl", [{"prompt": "a?"}])
    assert load_problems(Settings(path, target="none"), "a").train[0].target == MissingTarget()


def test_blank_lines_and_a_byte_order_mark_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"prompt": "a?", "target": 1}\r\n\r\n{"prompt": "b?", "target": 2}')
    assert sorted(by_text(load_problems(Settings(str(path)), "a"))) == ["a?", "b?"]


def write_broken(tmp_path: Path) -> str:
    lines = [
        b'{"prompt": "1+1?", "target": 2, "id": "x"}',
        b'{"prompt": "1+2?", "target": 3',
        b"[1, 2]",
        b'{"question": "1+3?", "target": 4}',
        b'{"prompt": "<image>1+4?", "target": 5}',
        b'{"prompt": "1+5?", "target": {"a": 1}}',
        b'{"prompt": "caf\xff?", "target": 1}',
        b'{"prompt": "1+6?", "target": 7, "id": "x"}',
        b'{"prompt": "1+7?", "target": 8}',
    ]
    path = tmp_path / "broken.jsonl"
    path.write_bytes(b"\n".join(lines))
    return str(path)


def test_bad_rows_stop_with_file_line_and_reason_of_the_first_five(tmp_path: Path) -> None:
    path = write_broken(tmp_path)
    with pytest.raises(TaskError) as caught:
        load_problems(Settings(path), "sums")
    assert str(caught.value).splitlines() == [
        f"7 of 9 rows of {path} cannot be read:",
        f"  {path}:2: no JSON: Expecting ',' delimiter at column 31",
        f"  {path}:3: a list, not a JSON object",
        f"  {path}:4: no column 'prompt' or 'messages' (there are: question, target); set tasks.sums.columns.prompt=<column>",
        f"  {path}:5: 1 <image> in the prompt, but 0 images in the row",
        f"  {path}:6: a math answer is a text or a number, not {{'a': 1}}",
        "  and 2 more",
        "Correct them, or leave them out with tasks.sums.on_bad_row=skip.",
    ]


def test_bad_rows_are_left_out_and_listed_when_asked(tmp_path: Path) -> None:
    path = write_broken(tmp_path)
    problems = load_problems(Settings(path, on_bad_row="skip"), "sums")
    assert sorted(by_text(problems)) == ["1+1?", "1+7?"]
    assert [row.where for row in problems.bad_rows] == [f"{path}:{line}" for line in range(2, 9)]
    assert problems.bad_rows[5].reason == "not UTF-8: invalid start byte at byte 16 of the line"
    assert problems.bad_rows[6].reason == f"id 'x' is also that of {path}:1"


def test_bad_rows_of_parquet_are_named_by_number(tmp_path: Path) -> None:
    rows = [{"prompt": "a?", "image": png(1), "target": 1}, {"prompt": "b?", "image": png(1)[:40], "target": 1}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    with pytest.raises(TaskError, match=r"1 of 2 rows of .*\n  .*a\.parquet row 2: image of \d+ bytes cannot be decoded"):
        load_problems(Settings(str(tmp_path / "a.parquet")), "a")


def test_skipping_every_row_is_an_error(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{"q": 1}])
    with pytest.raises(TaskError, match=r"1 of 1 rows .*\n.*no column 'prompt'.*\nThere is no other row."):
        load_problems(Settings(path, on_bad_row="skip"), "a")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": "a?"}, r"no column 'target' \(there are: prompt\); set tasks.a.columns.target=<column>"),
        ({"prompt": "a?", "target": 1, "id": 1.5}, "an id is a text or an integer, not 1.5"),
        ({"prompt": "a?", "target": 1, "reward": 0.5}, "a reward is a name or weights by name, not 0.5; columns.reward=<column>"),
        ({"prompt": "a?", "target": 1, "reward": {}}, "a reward is a name or weights by name"),
        ({"prompt": "a?", "target": 1, "images": "none.png"}, "no image file .*none.png"),
    ],
)
def test_each_bad_row_says_what_is_wrong(tmp_path: Path, row: object, reason: str) -> None:
    with pytest.raises(TaskError, match=reason):
        load_problems(Settings(write_jsonl(tmp_path / "a.jsonl", [row])), "a")


def test_a_mapped_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", sums(1))
    with pytest.raises(TaskError, match=r"no column 'picture' \(there are: prompt, target\), which columns.images names"):
        load_problems(Settings(path, {"images": "picture"}), "a")


def test_without_a_reward_the_kind_of_target_names_it(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", sums(1))
    assert load_problems(Settings(path, reward=None, target="count"), "a").train[0].reward == "count"


def test_choices_must_be_texts(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{"prompt": "a?", "target": "A", "choices": {"A": "x"}}])
    with pytest.raises(TaskError, match=r"choices are a list of texts, not {'A': 'x'}"):
        load_problems(Settings(path, target="choice"), "a")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (Settings("a.jsonl", target="maths"), "tasks.t.target: unknown kind 'maths'; did you mean 'math'?"),
        (Settings("a.jsonl", {"promt": "q"}), "tasks.t.columns: there is no field 'promt'; did you mean 'prompt'?"),
        (Settings("a.jsonl", {"prompt": "q", "messages": "m"}), "names both prompt and messages"),
        (Settings("a.jsonl", target="none", reward=None), r"tasks.t.reward: without a gold answer .target: none. no reward follows"),
        (Settings("missing/a.jsonl"), "tasks.t.data: no data file missing/a.jsonl"),
        (Settings("hf::"), "hf:: is not of the form hf:<dataset>"),
    ],
)
def test_impossible_settings_say_the_way_out(settings: Settings, reason: str) -> None:
    with pytest.raises(TaskError, match=reason.replace("?", r"\?")):
        load_problems(settings, "t")


def test_a_mistyped_file_name_gets_the_nearest(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "geometry.jsonl", sums(1))
    with pytest.raises(TaskError, match=r"no data file .*geometri\.jsonl .*did you mean 'geometry\.jsonl'"):
        load_problems(Settings(str(tmp_path / "geometri.jsonl")), "t")


def test_other_kinds_of_files_and_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b")
    with pytest.raises(TaskError, match=r"a\.csv: data is a \.jsonl or \.parquet file"):
        load_problems(Settings(str(tmp_path / "a.csv")), "t")
    with pytest.raises(TaskError, match=r"is a folder, but none that datasets\.save_to_disk wrote"):
        load_problems(Settings(str(tmp_path)), "t")


def test_a_file_that_is_no_parquet_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(TaskError, match=r"a\.parquet cannot be read as parquet after row 0"):
        load_problems(Settings(str(tmp_path / "a.parquet")), "t")


def test_a_split_that_a_dataset_lacks_gets_the_nearest(tmp_path: Path) -> None:
    datasets.DatasetDict({"validation": datasets.Dataset.from_list(sums(1))}).save_to_disk(tmp_path / "d")
    with pytest.raises(TaskError, match=r"has no split 'validate'; did you mean 'validation'\?"):
        load_problems(Settings(f"hf:{tmp_path}/d:validate"), "t")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=8), st.integers(0, 4), st.integers(1, 10), st.randoms(use_true_random=False))
def test_the_split_shares_no_content_and_ignores_the_order_of_rows(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int], heldout: int, pool: int, rng: object
) -> None:
    numbers = [*numbers, 31, 32, 33, 34, 35]
    folder = tmp_path_factory.mktemp("split")
    rows = [{"prompt": f"{n} + 1?" if place % 2 else f"{n} +  1? ", "target": n} for place, n in enumerate(numbers)]
    first = load_problems(Settings(write_jsonl(folder / "a.jsonl", rows), heldout=heldout, pool=pool), "a")
    again = load_problems(Settings(write_jsonl(folder / "b.jsonl", rows[::-1]), heldout=heldout, pool=pool), "a")
    train, held = ([p.messages[0].text.split()[0] for p in problems] for problems in (first.train, first.heldout))
    assert len(held) == heldout
    assert len(train) == min(pool, len(set(numbers)) - heldout)
    assert len({*train, *held}) == len(train) + len(held)
    assert first.num_repeated == len(numbers) - len(set(numbers))
    assert [p.messages[0].text.split()[0] for p in again.train] == train
    assert [p.messages[0].text.split()[0] for p in again.heldout] == held


def test_a_smaller_heldout_set_is_part_of_a_larger_one(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", sums(60))
    small, large = (load_problems(Settings(path, heldout=n), "a") for n in (5, 20))
    assert [p.id for p in small.heldout] == [p.id for p in large.heldout[:5]]


def test_a_benchmark_is_held_out_whole(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{"prompt": f"{n}?", "target": n} for n in range(10)])
    for heldout, evaluated in ((64, 10), (10, 10), (4, 4)):
        problems = load_problems(Settings(path, heldout=heldout, weight=0.0), "a")
        assert (len(problems.heldout), len(problems.train)) == (evaluated, 0)
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(TaskError, match=r"empty\.jsonl holds no rows"):
        load_problems(Settings(str(tmp_path / "empty.jsonl"), heldout=4, weight=0.0), "a")


def test_a_heldout_set_that_leaves_nothing_to_train_on_is_refused(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", sums(10) + sums(10))
    with pytest.raises(TaskError, match=r"holds 10 different problems, and tasks\.a\.heldout=10 leaves none to train on: lower it"):
        load_problems(Settings(path, heldout=10), "a")


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_a_file_without_a_row_is_said_to_hold_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(text)
    with pytest.raises(TaskError, match=r"tasks\.a\.data: .*a\.jsonl holds no rows$"):
        load_problems(Settings(str(path)), "a")


def test_images_are_decoded_when_a_problem_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "7.png").write_bytes(png(7))
    path = write_jsonl(tmp_path / "a.jsonl", [{"prompt": "what?", "image": "7.png", "target": "1"}])
    train = load_problems(Settings(path), "a").train
    (tmp_path / "7.png").write_bytes(png(8))
    assert shades(train[0]) == [8]
    assert shades(train[:1][0]) == [8]
