"""Teachers: which one teaches a task, and which are refused because their ids are not the student's."""

import json
from pathlib import Path

import pytest
import torch

from distill.teachers import TeacherError, check_same_ids, output_head, route, true_vocabulary
from rl.config.supervised_settings import TinyPolicySettings
from rl.policy import build_tiny_policy
from rl.training.model import Policy, SoftmaxSettings
from tasks.errors import TaskError

CORPUS = ["the student and the teacher read the same words", "one two three four five", "some other words that make merges"] * 20
SMALL = TinyPolicySettings(hidden_size=32, num_layers=1, num_heads=1, intermediate_size=32, vision_depth=1, vocab_size=300)
WIDE = SMALL.model_copy(update={"hidden_size": 64, "num_heads": 2})


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def student(cache: Path) -> Path:
    return build_tiny_policy(SMALL, CORPUS, 0, cache)


def test_a_wider_teacher_with_the_same_tokenizer_is_accepted(student: Path, cache: Path) -> None:
    check_same_ids("big", student, build_tiny_policy(WIDE, CORPUS, 1, cache), with_images=True)


def test_a_teacher_with_another_tokenizer_is_refused_with_the_way_out(student: Path, cache: Path) -> None:
    other = build_tiny_policy(WIDE, ["quite different text about cats and dogs, cats and dogs"] * 20, 0, cache)
    with pytest.raises(TeacherError, match=r"distillation\.teachers\.big: .* another tokenizer: .*config=off_policy_distill"):
        check_same_ids("big", student, other, with_images=False)


def test_a_teacher_that_cuts_images_otherwise_is_refused_only_for_tasks_with_images(student: Path, cache: Path) -> None:
    other = build_tiny_policy(WIDE, CORPUS, 2, cache)
    for file in other.glob("*processor_config.json"):
        found = json.loads(file.read_text())
        for holder in (found, found.get("image_processor", {})):
            if "size" in holder:
                holder["size"] = {"shortest_edge": 64 * 64, "longest_edge": 1024 * 1024}
        file.write_text(json.dumps(found))
    check_same_ids("big", student, other, with_images=False)
    with pytest.raises(TeacherError, match="prepares images with size"):
        check_same_ids("big", student, other, with_images=True)


def test_the_output_head_is_that_of_the_model(student: Path) -> None:
    torch.testing.assert_close(output_head(student), Policy(student, torch.float32, SoftmaxSettings()).head_VH.detach(), rtol=0, atol=0)


def test_the_true_vocabulary_is_the_tokenizers(student: Path) -> None:
    assert true_vocabulary(student) == len(output_head(student))


def test_a_task_goes_to_the_teacher_that_names_it_and_else_to_the_one_that_names_none() -> None:
    assert route(["maths", "boxes", "logic"], {"general": (), "eyes": ("boxes",)}) == {
        "maths": "general",
        "boxes": "eyes",
        "logic": "general",
    }


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ({"a": ("maths",)}, "which one teaches tasks.boxes"),
        ({"a": (), "b": ()}, "give all but one `sources`"),
        ({"a": ("boxes", "maths"), "b": ("boxes",)}, "a and b all name it"),
    ],
)
def test_a_task_without_exactly_one_teacher_is_refused(sources: dict[str, tuple[str, ...]], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        route(["maths", "boxes"], sources)
