"""The cold start's trainer: weights worked by hand, a loss that no split changes, and the best checkpoint kept."""

import random
import shutil
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch
from tiny_checkpoints import Plain, build, sides, stretch
from torch import Tensor

from distill.supervised import Demonstration, SupervisedTrainer, denominator, token_weights
from rl.config.settings import LearnerSettings
from rl.config.supervised_settings import ColdStartSettings, OptimizerSettings
from rl.policy import read_weights
from rl.training.model import ModelInputs, TreeEncoder
from rl.training.tree import Tree
from tasks.errors import TaskError

KIND = "qwen3_vl"
SETTINGS = ColdStartSettings(
    batch_size=4,
    steps=8,
    validate_every=2,
    short_context=30,
    long_context=80,
    validation_share=0.2,
    optimizer=OptimizerSettings(lr=1e-3, warmup_steps=0),
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(KIND, tmp_path_factory.mktemp(KIND))


def demonstrations(number: int = 20, seed: int = 0) -> list[Demonstration]:
    """Half with an image; answers of 2 to 60 tokens, every third of them longer than the short context."""
    rng = random.Random(seed)

    def one(index: int) -> Demonstration:
        answer = rng.randint(40, 60) if index % 3 == 0 else rng.randint(2, 9)
        prompt: list[int | tuple[int, int]] = [3, (rng.randint(1, 2), 2), 2] if index % 2 else [5]
        return Demonstration(Tree(stretch(rng, [*prompt, answer], sides(KIND), [False] * len(prompt) + [True])), str(index))

    return [one(index) for index in range(number)]


def trainer(
    path: Path,
    best: Path,
    settings: ColdStartSettings = SETTINGS,
    examples: Sequence[Demonstration] | None = None,
    learner: LearnerSettings | None = None,
    *,
    from_trained: bool = False,
) -> SupervisedTrainer:
    shown = demonstrations() if examples is None else examples
    return SupervisedTrainer(path, settings, learner or LearnerSettings(), shown, 0, best, bfloat16=False, from_trained=from_trained)


@pytest.mark.parametrize(("weighting", "share", "total"), [("token", 100 / 104, 104), ("sample", 0.5, 2), ("sqrt", 10 / 12, 12)])
def test_share_of_a_long_sample_beside_a_short_one(weighting: str, share: float, total: float) -> None:
    short, long = token_weights([4, 100], weighting)  # type: ignore[arg-type]
    assert denominator([4, 100], weighting) == pytest.approx(total)  # type: ignore[arg-type]
    assert 100 * long / total == pytest.approx(share)
    assert 4 * short / total == pytest.approx(1 - share)
    assert share == pytest.approx({"token": 0.9615, "sample": 0.5, "sqrt": 0.8333}[weighting], abs=5e-5)


def gradients(path: Path, batch: Sequence[Demonstration], **changes: object) -> tuple[float, dict[str, Tensor]]:
    made = trainer(path, path, SETTINGS.model_copy(update=changes))
    loss = made._loss(batch, train=True)
    named = made._optimization.policy.named_parameters()
    return loss, {name: p.grad for name, p in named if p.grad is not None}


@pytest.mark.parametrize("weighting", ["token", "sample", "sqrt"])
def test_the_loss_is_that_of_plain_hugging_face_under_the_formula(path: Path, weighting: str) -> None:
    batch = demonstrations(6)
    loss, found = gradients(path, batch, loss_weighting=weighting, micro_batch_tokens=70)
    plain = Plain.load(path)
    losses = [-plain.chain_logprobs(d.tree)[0] for d in batch]
    power = {"token": 0.0, "sample": 1.0, "sqrt": 0.5}[weighting]
    above = sum((len(values) ** -power * values.sum() for values in losses), torch.zeros(()))
    expected = above / sum(len(values) ** (1 - power) for values in losses)
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    for name, parameter in plain.model.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(found[f"model.{name}"], parameter.grad, rtol=0, atol=1e-6)


@pytest.mark.parametrize("max_tokens", [1, 40, 90])
def test_gradients_do_not_depend_on_the_micro_batches_or_the_order(path: Path, max_tokens: int) -> None:
    batch = demonstrations(8)
    loss, whole = gradients(path, batch)
    other_loss, split = gradients(path, batch[::-1], micro_batch_tokens=max_tokens)
    assert other_loss == pytest.approx(loss, rel=1e-5)
    assert split.keys() == whole.keys()
    for name, value in whole.items():
        torch.testing.assert_close(split[name], value, rtol=0, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}")


def test_the_best_checkpoint_is_kept_and_patience_ends_the_training(path: Path, tmp_path: Path) -> None:
    """The answers are random: what is learnt of them only hurts on others."""
    harmful = SETTINGS.model_copy(
        update={"optimizer": OptimizerSettings(lr=1e-2, warmup_steps=0), "patience": 2, "steps": 100, "long_share": 1.0}
    )
    made = trainer(path, tmp_path / "best", harmful)
    reports = [made.advance()]
    while not reports[-1].done:
        reports.append(made.advance())
    losses = [report.validation_loss for report in reports]
    assert [report.step for report in reports] == [2 * (i + 1) for i in range(len(reports))]
    assert reports[-1].best_loss == min(losses)
    assert reports[-1].best_step == reports[losses.index(min(losses))].step
    assert reports[-1].step == reports[-1].best_step + 2 * 2 < 100
    assert losses[-1] > min(losses)
    kept = trainer(tmp_path / "best", tmp_path / "other", harmful)
    with kept._optimization.evaluating():
        assert kept._loss(kept._validation, train=False) == pytest.approx(min(losses), rel=1e-6)


def test_training_lowers_the_loss_on_what_it_trains_on(path: Path, tmp_path: Path) -> None:
    one_phase = SETTINGS.model_copy(update={"steps": 40, "validate_every": 20, "long_share": 1.0})
    made = trainer(path, tmp_path, one_phase)
    assert made.advance().train_loss > made.advance().train_loss + 0.3


class Recorded(TreeEncoder):
    """Notes every tree that a pass is made of."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, torch.device("cpu"))
        self.trees: list[list[Tree]] = []

    def __call__(self, trees: Sequence[Tree]) -> ModelInputs:
        self.trees.append(list(trees))
        return super().__call__(trees)


def test_the_first_phase_sees_only_short_demonstrations_the_second_all(path: Path, tmp_path: Path) -> None:
    made = trainer(path, tmp_path, SETTINGS.model_copy(update={"validate_every": 8, "long_share": 0.5}))
    made._optimization.encode = Recorded(path)
    assert made.advance().done
    longest = [max(tree.num_tokens for tree in trees) for trees in made._optimization.encode.trees[:8]]
    assert max(longest[:4]) <= 30
    assert max(longest[4:]) > 30


def test_batches_hold_text_and_image_one_to_one_and_use_up_every_kind(path: Path, tmp_path: Path) -> None:
    made = trainer(path, tmp_path)
    batches = list(islice(made._phases[1], 12))
    assert [sum(d.has_images for d in batch) for batch in batches] == [2] * 12
    seen = [id(d) for batch in batches for d in batch if d.has_images]
    kinds = len(set(seen))
    assert len(set(seen[:kinds])) == kinds
    assert len(set(seen[kinds : 2 * kinds])) == kinds


def test_batches_that_need_not_be_balanced_hold_what_the_demonstrations_do(path: Path, tmp_path: Path) -> None:
    examples = demonstrations()
    few_images = [d for d in examples if not d.has_images] + [d for d in examples if d.has_images][:3]
    made = trainer(path, tmp_path, SETTINGS.model_copy(update={"balanced": False, "batch_size": 1}), few_images)
    training = len(few_images) - len(made._validation)
    seen = [d for (d,) in islice(made._phases[1], training)]
    assert len({id(d) for d in seen}) == training
    assert sum(d.has_images for d in seen) <= 3


def test_validation_demonstrations_are_never_trained_on(path: Path, tmp_path: Path) -> None:
    examples = demonstrations()
    made = trainer(path, tmp_path, examples=examples)
    trained = {id(d) for phase in made._phases for batch in islice(phase, 30) for d in batch}
    held_back = {id(d) for d in made._validation}
    assert len(held_back) == 4
    assert trained | held_back == {id(d) for d in examples}
    assert not trained & held_back


def test_what_is_longer_than_the_long_context_is_left_out_and_counted(path: Path, tmp_path: Path) -> None:
    examples = demonstrations()
    made = trainer(path, tmp_path, SETTINGS.model_copy(update={"long_context": 40}), examples)
    too_long = {id(d) for d in examples if d.tree.num_tokens > 40}
    assert made.num_too_long == len(too_long) > 0
    assert made.advance().num_too_long == len(too_long)
    assert not too_long & {id(d) for batch in islice(made._phases[1], 30) for d in batch}


def test_a_short_context_that_nothing_fits_is_an_error(path: Path, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="short_context=3: every demonstration is longer"):
        trainer(path, tmp_path, SETTINGS.model_copy(update={"short_context": 3}))


def test_a_single_demonstration_is_too_few(path: Path, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"1 of 1 demonstrations .* long_context=80 tokens; .* two or more"):
        trainer(path, tmp_path, examples=demonstrations(1))


def test_demonstrations_of_one_problem_are_held_back_together(path: Path, tmp_path: Path) -> None:
    examples = [replace(d, problem=str(index // 3)) for index, d in enumerate(demonstrations(24))]
    made = trainer(path, tmp_path, examples=examples)
    held_back = [d.problem for d in made._validation]
    assert len(held_back) == 3  # a fifth is 5, and problems have 3
    assert len(set(held_back)) == 1


def test_of_two_problems_the_smaller_is_held_back_and_of_one_some_of_its_answers(path: Path, tmp_path: Path) -> None:
    two = [replace(d, problem="few" if index < 9 else "many") for index, d in enumerate(demonstrations(24))]
    assert [d.problem for d in trainer(path, tmp_path, examples=two)._validation] == ["few"] * 9
    one = [replace(d, problem="one") for d in demonstrations(24)]
    assert len(trainer(path, tmp_path, examples=one)._validation) == 5


def test_at_the_most_512_demonstrations_are_held_back(path: Path, tmp_path: Path) -> None:
    many = [replace(d, problem=str(index)) for index, d in enumerate(demonstrations(10) * 300)]
    assert len(trainer(path, tmp_path, examples=many)._validation) == 512


def test_patience_does_not_end_the_training_before_its_second_phase(path: Path, tmp_path: Path) -> None:
    """Nothing is learnt, so that no validation is better than the first one."""
    still = {"optimizer": OptimizerSettings(lr=1e-12, warmup_steps=0), "steps": 40, "patience": 2, "long_share": 0.5}
    made = trainer(path, tmp_path, SETTINGS.model_copy(update=still))
    reports = [made.advance()]
    made._best = (2, -1.0)
    while not reports[-1].done:
        reports.append(made.advance())
    assert reports[-1].step == 20 + 2 * 2


def test_a_trained_policy_is_kept_where_no_further_training_is_better(path: Path, tmp_path: Path) -> None:
    harmful = SETTINGS.model_copy(update={"optimizer": OptimizerSettings(lr=3.0, warmup_steps=0)})
    for from_trained in (True, False):
        made = trainer(path, tmp_path / str(from_trained), harmful, from_trained=from_trained)
        report = made.advance()
        assert (report.best_step == 0, report.best_loss < report.validation_loss) == (from_trained, from_trained)
        made.save(tmp_path / f"saved {from_trained}")
        resumed = trainer(tmp_path / f"saved {from_trained}" / "policy", tmp_path / "resumed", harmful, from_trained=from_trained)
        resumed.load(tmp_path / f"saved {from_trained}")
        assert resumed.advance() == made.advance()
        shutil.rmtree(tmp_path / "resumed")
    kept = read_weights(tmp_path / "True")
    assert all(torch.equal(value, kept[name]) for name, value in read_weights(path).items())


def test_the_learners_settings_say_how_passes_are_computed(path: Path, tmp_path: Path) -> None:
    plain = trainer(path, tmp_path / "plain")
    learner = LearnerSettings(gradient_checkpointing=True, logits_chunk=3)
    frugal = trainer(path, tmp_path / "frugal", learner=learner)
    assert frugal._optimization.policy.model.is_gradient_checkpointing
    assert frugal._optimization.policy.softmax.chunk == 3
    assert frugal.advance().train_loss == pytest.approx(plain.advance().train_loss, rel=1e-4)


def test_what_was_saved_goes_on_exactly_as_if_nothing_had_happened(path: Path, tmp_path: Path) -> None:
    """Over the change of phases, and with the best policy behind: the higher the rate, the worse on other random answers."""
    settings = SETTINGS.model_copy(update={"optimizer": OptimizerSettings(lr=5e-3, warmup_steps=3, decay="cosine"), "steps": 12})
    whole = trainer(path, tmp_path / "whole", settings)
    reports = [whole.advance() for _ in range(6)]
    killed = trainer(path, tmp_path / "killed", settings)
    assert [killed.advance() for _ in range(2)] == reports[:2]
    killed.save(tmp_path / "saved")
    killed.advance()
    resumed = trainer(tmp_path / "saved" / "policy", tmp_path / "resumed", settings)
    resumed.load(tmp_path / "saved")
    assert [resumed.advance() for _ in range(4)] == reports[2:]
    for name, value in read_weights(tmp_path / "whole").items():
        assert torch.equal(read_weights(tmp_path / "resumed")[name], value)


def test_two_trainers_with_one_seed_report_the_same(path: Path, tmp_path: Path) -> None:
    assert trainer(path, tmp_path / "a").advance() == trainer(path, tmp_path / "b").advance()
