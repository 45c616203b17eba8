"""Teachers: which one teaches a task, and which are refused because their ids are not the student's."""

import json
import shutil
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer, Qwen3Config

from distill.off_policy_run import check_modes
from distill.on_policy import build_scorer, check_teachers
from distill.teachers import TeacherError, check_same_ids, output_head, route, true_vocabulary
from rl.assembly import softmax
from rl.config.settings import LoopSettings, RunSettings
from rl.config.supervised_settings import TinyPolicySettings
from rl.config.task_settings import TaskSettings
from rl.config.teaching_settings import DistillationSettings, OffPolicySettings, TeacherSettings, ThinkingMode
from rl.policy import build_tiny_policy
from rl.run import main
from rl.training.frozen import FrozenPolicy
from rl.training.model import Policy, SoftmaxSettings
from rl.training.token_distribution import log_softmax
from rl.training.tree import Stretch, Tree
from rollouts.render import Renderer
from tasks.build import build_task
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


@pytest.mark.parametrize("keys", [{}, {"dry_run": True}, {"stages": {"a": {"distillation.teachers.big": None}, "b": {}}}])
def test_a_local_teacher_of_any_stage_is_refused_before_the_first_one_starts(
    student: Path, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], keys: dict[str, object]
) -> None:
    other = build_tiny_policy(WIDE, ["quite different text about cats and dogs, cats and dogs"] * 20, 0, cache)
    run = {
        "runs": str(tmp_path / "runs"),
        "policy": {"path": str(student)},
        "tasks": {"sums": {"family": "algebra", "heldout": 1}},
        "cold_start": {"enabled": False},
        "loop": {"refill": False},
        "query_filter": {"enabled": False},
        "distillation": {"teachers": {"big": {"path": str(other)}}},
    }
    (tmp_path / "run.yaml").write_text(json.dumps(run | keys))
    assert main([f"config={tmp_path / 'run.yaml'}"]) == 2
    assert "another tokenizer" in capsys.readouterr().err
    assert not (tmp_path / "runs" / "run" / "a").exists()


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


@pytest.mark.parametrize(("key", "value"), [("resample", 2), ("rescale_factor", 1 / 127.5), ("do_rescale", False), ("do_normalize", False)])
def test_a_teacher_that_sees_other_pixels_is_refused(student: Path, cache: Path, tmp_path: Path, key: str, value: object) -> None:
    shutil.copytree(build_tiny_policy(WIDE, CORPUS, 1, cache), tmp_path / "other")
    processor = AutoImageProcessor.from_pretrained(tmp_path / "other")
    setattr(processor, key, value)
    processor.save_pretrained(tmp_path / "other")
    (tmp_path / "other" / "processor_config.json").unlink(missing_ok=True)
    with pytest.raises(TeacherError, match=f"prepares images with {key}="):
        check_same_ids("big", student, tmp_path / "other", with_images=True)


@pytest.mark.parametrize("pictured", range(3))
def test_any_problem_of_a_task_may_be_the_one_with_an_image(student: Path, tmp_path: Path, pictured: int) -> None:
    PIL.Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    rows = [{"prompt": f"{i}?", "target": "1", "images": ["a.png"] if i == pictured else []} for i in range(3)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = RunSettings(
        tasks={"sums": TaskSettings(data=str(tmp_path / "rows.jsonl"), target="math", heldout=1)},
        loop=LoopSettings(refill=False),
        distillation=DistillationSettings(teachers={"big": TeacherSettings(path="big")}),
    )
    Qwen3Config(vocab_size=300).save_pretrained(tmp_path / "text")
    AutoTokenizer.from_pretrained(student).save_pretrained(tmp_path / "text")
    with pytest.raises(TeacherError, match="reads text only"):
        check_teachers(settings, student, {"big": tmp_path / "text"}, {"sums": build_task("sums", settings.tasks["sums"], 0)})


@pytest.mark.parametrize("lacking", ["student", "teacher"])
def test_answers_without_thinking_take_templates_that_can_ask_for_them(student: Path, tmp_path: Path, lacking: str) -> None:
    always = shutil.copytree(student, tmp_path / "always")
    template = always / "chat_template.jinja"
    template.write_text(template.read_text().replace("enable_thinking", "never_given"))
    paths = (always, student) if lacking == "student" else (student, always)
    key = "policy.path" if lacking == "student" else r"distillation\.teachers\.big\.path"

    def run(*modes: ThinkingMode) -> RunSettings:
        distillation = DistillationSettings(off_policy=OffPolicySettings(modes=modes))
        return RunSettings(name="t", tasks={"algebra": TaskSettings(family="algebra")}, distillation=distillation)

    check_modes(run("thinking"), paths[0], {"big": paths[1]})
    check_modes(run("thinking", "non_thinking"), student, {"big": student})
    with pytest.raises(TeacherError, match=rf"^{key}: .* has no enable_thinking.*modes=\[thinking\]"):
        check_modes(run("thinking", "non_thinking"), paths[0], {"big": paths[1]})


def test_the_output_head_is_that_of_the_model(student: Path) -> None:
    torch.testing.assert_close(output_head(student), Policy(student, torch.float32, SoftmaxSettings()).head_VH.detach(), rtol=0, atol=0)


def test_the_true_vocabulary_is_the_tokenizers(student: Path) -> None:
    assert true_vocabulary(student) == len(output_head(student))


def test_tokens_that_the_student_does_not_know_have_no_part_in_what_a_teacher_says(student: Path, cache: Path, tmp_path: Path) -> None:
    """Its hidden states with its head, its most probable tokens, and the sampled token alone."""
    whole = build_tiny_policy(WIDE, CORPUS, 3, cache)
    tokenizer = AutoTokenizer.from_pretrained(whole)
    tokenizer.add_tokens(["<further>", "<another>"])
    model = AutoModelForImageTextToText.from_pretrained(whole)
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    shutil.copytree(whole, tmp_path / "larger")
    model.save_pretrained(tmp_path / "larger")
    tokenizer.save_pretrained(tmp_path / "larger")
    check_same_ids("big", student, tmp_path / "larger", with_images=True)
    teacher = TeacherSettings(path=str(tmp_path / "larger"))
    settings = RunSettings(
        tasks={"sums": TaskSettings(family="algebra")},
        loop=LoopSettings(refill=False),
        distillation=DistillationSettings(teachers={"big": teacher}, vocabulary="sampled"),
    )
    renderer, size = Renderer(student), true_vocabulary(student)
    scorer = build_scorer(settings, "big", tmp_path / "larger", student, renderer, 1)()
    assert isinstance(scorer, FrozenPolicy)
    said = np.array(renderer.text_ids("one two three"), dtype=np.int64)
    trunk, branch = Stretch(said, np.zeros(len(said), dtype=np.bool_)), Stretch(said, np.ones(len(said), dtype=np.bool_))
    trees = [Tree(trunk, (branch,))]
    ((states,),), ((sampled,),), (((ids, top),),) = scorer.hidden_states(trees), scorer.logprobs(trees), scorer.top_k(trees, size, size)
    head, distribution = output_head(tmp_path / "larger"), softmax(settings, renderer)
    assert len(head) == size + 2
    full = log_softmax(torch.from_numpy(states), head, distribution, size)
    expected = full.gather(1, torch.from_numpy(said)[:, None])[:, 0].numpy()
    np.testing.assert_allclose(sampled, expected, atol=1e-5)
    np.testing.assert_allclose(top[ids.argsort(1)[np.arange(len(said)), said][:, None] == np.arange(top.shape[1])], expected, atol=1e-5)


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
