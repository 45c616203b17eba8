"""Preference optimisation: the loss against values worked by hand, pairs that stay together, and training that prefers."""

import asyncio
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from policy_batches import policy_trees
from tiny_checkpoints import build, forest

from distill.conversation import encode, worked_answer
from distill.own_pairs import own_pairs
from distill.preference_objective import PreferenceObjective
from distill.preference_pairs import Pair, best_against_worst, read_pairs, text_pair
from distill.preference_training import PreferenceTrainer
from rewards.outcome import Grade, Outcome, Ungraded
from rl.config.settings import LearnerSettings
from rl.config.supervised_settings import OptimizerSettings, TinyPolicySettings
from rl.config.teaching_settings import PreferenceSettings
from rl.graded import GradedGroup, GradedRollout
from rl.objectives.aggregation import StepDenominators
from rl.objectives.policy_tokens import PolicyTokens
from rl.policy import build_tiny_policy, read_weights
from rl.training.batch import PolicyBranch, PolicyTree, SapoBatch, micro_batches
from rl.training.frozen import FrozenPolicy
from rl.training.learner import Learner
from rl.training.model import SoftmaxSettings
from rollouts.render import Renderer
from rollouts.rollout import Given, Rollout, Sampled
from tasks.errors import TaskError
from tasks.message import ImagePart, Message, TextPart, text_message
from tasks.problem import MathTarget, Problem

TINY = TinyPolicySettings(hidden_size=32, num_layers=1, num_heads=1, intermediate_size=32, vision_depth=1, vocab_size=300)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_policy(TINY, ["a few words for the assistant and the user"] * 9, 0, tmp_path_factory.mktemp("cache"))


def tokens_of(moved: list[list[float]]) -> PolicyTokens:
    """Responses whose tokens have moved that far from the reference, which gives each token -1 nat."""
    flat = torch.tensor([value for response in moved for value in response], dtype=torch.float64)
    reference = torch.full_like(flat, -1.0)
    sequence = torch.tensor([i for i, response in enumerate(moved) for _ in response])
    return PolicyTokens((reference + flat).requires_grad_(), reference, reference, torch.zeros_like(flat), sequence, len(moved), reference)


def test_the_loss_of_two_pairs_worked_by_hand() -> None:
    # Margins 0.5 * (0.6 - -0.4) = 0.5 and 0.5 * (-1.0 - 0.0) = -0.5.
    tokens = tokens_of([[0.2, 0.4], [-0.4], [-1.0], [0.3, -0.3]])
    output = PreferenceObjective(beta=0.5)(tokens, StepDenominators(4, 6, 1))
    expected = (math.log1p(math.exp(-0.5)) + math.log1p(math.exp(0.5))) / 2
    assert output.loss.item() == pytest.approx(expected, abs=1e-12)
    # d loss / d log pi(chosen) = -beta * sigmoid(-margin) / pairs, at each of its tokens; the opposite for the rejected one.
    (gradient,) = torch.autograd.grad(output.loss, tokens.logprobs_N)
    first, second = 0.25 / (1 + math.exp(0.5)), 0.25 / (1 + math.exp(-0.5))
    assert gradient.tolist() == pytest.approx([-first, -first, first, -second, second, second], abs=1e-12)


def test_a_policy_that_has_not_moved_has_the_loss_of_a_coin() -> None:
    output = PreferenceObjective(beta=0.1)(tokens_of([[0.0], [0.0, 0.0]]), StepDenominators(2, 3, 1))
    assert output.loss.item() == pytest.approx(math.log(2), abs=1e-12)
    assert output.sums["accuracy"].item() == 0.0


def compared(trees: tuple[PolicyTree, ...]) -> SapoBatch:
    def branches(tree: PolicyTree) -> tuple[PolicyBranch, ...]:
        return tuple(replace(branch, reference_logprobs_M=branch.behavior_logprobs_M) for branch in tree.branches[:2])

    return SapoBatch(tuple(replace(tree, branches=branches(tree), compared=True) for tree in trees if len(tree.branches) >= 2), 1)


def test_the_responses_of_a_pair_are_never_parted() -> None:
    batch = compared(policy_trees(forest("qwen3", 0)))
    assert len(batch.trees) >= 2
    parts = [batch.shard(rank, 3) for rank in range(3)]
    assert sorted(id(tree.trunk) for part in parts for tree in part.trees) == sorted(id(tree.trunk) for tree in batch.trees)
    assert all(len(tree.branches) == 2 for part in parts for tree in part.trees)
    assert all(len(tree.branches) == 2 for trees in micro_batches(batch.trees, max_tokens=1) for tree in trees)


def test_the_update_does_not_depend_on_micro_batches(tmp_path: Path) -> None:
    path = build("qwen3", tmp_path / "policy")
    batch = compared(policy_trees(forest("qwen3", 0)))
    weights = []
    for size in (1, 100_000):
        settings = LearnerSettings(mini_batches=1, micro_batch_tokens=size, optimizer=OptimizerSettings(lr=1e-2, warmup_steps=0))
        learner = Learner(path, settings, PreferenceObjective(0.5), SoftmaxSettings(), 1, bfloat16=False)
        learner.update(batch)
        weights.append(learner.weights())
    for name, value in weights[0].items():
        torch.testing.assert_close(value, weights[1][name], rtol=1e-4, atol=2e-5, msg=name)


def group(*outcomes: Outcome) -> GradedGroup:
    problem = Problem("p", (text_message("user", "1+1?"),), MathTarget("2"), "math", "sums")
    prompt = Given(problem.messages, (5, 6))
    members = [
        GradedRollout(Rollout(problem, i, (prompt, Sampled(text_message("assistant", str(i)), (10 + i,), (-0.5,), 0)), "complete"), outcome)
        for i, outcome in enumerate(outcomes)
    ]
    return GradedGroup(problem, tuple(members))


def test_of_a_group_the_best_stands_against_the_worst() -> None:
    pair = best_against_worst(group(Grade(0.5), Grade(1.0), Ungraded("timeout"), Grade(0.0), Grade(1.0)))
    assert pair is not None
    assert [branch.stretch.token_ids_T.tolist() for branch in pair.branches] == [[11], [13]]
    assert pair.trunk.token_ids_T.tolist() == [5, 6]
    assert pair.compared


def test_a_group_of_equals_is_no_pair() -> None:
    assert best_against_worst(group(Grade(1.0), Grade(1.0), Ungraded("timeout"))) is None


def test_answers_to_compare_are_sampled_once_and_kept_whole(path: Path, tmp_path: Path) -> None:
    """What is read again trains as what was sampled: ids, masks and pixels are the same."""
    asked, notes = [], list[str]()
    picture = PIL.Image.effect_noise((64, 32), 50).convert("RGB")
    judged = group(Grade(0.5), Grade(1.0), Grade(0.0))
    seen = replace(judged.members[1].rollout.segments[0], messages=(Message("user", (ImagePart(picture), TextPart("1+1?"))),))
    with_image = [
        replace(member, rollout=replace(member.rollout, segments=(seen, *member.rollout.segments[1:]))) for member in judged.members
    ]

    async def answered() -> list[GradedGroup]:
        asked.append(True)
        return [replace(judged, members=tuple(with_image)), group(Grade(1.0), Grade(1.0))]

    file, decode = tmp_path / "pairs.jsonl", Renderer(path).text
    (made,), (again,) = (asyncio.run(own_pairs(file, answered, decode, notes.append)) for _ in range(2))
    assert len(asked) == 1
    assert notes == ["1 pairs from 2 problems; the others' rewards are all equal"]
    assert (again.task, again.compared) == (made.task, True)
    for one, other in zip((made.trunk, *made.tree.branches), (again.trunk, *again.tree.branches), strict=True):
        assert one.token_ids_T.tolist() == other.token_ids_T.tolist()
        assert one.loss_mask_T.tolist() == other.loss_mask_T.tolist()
        assert [image.tobytes() for image in one.images] == [image.tobytes() for image in other.images]
    assert len(again.trunk.images) == 1
    assert [branch.advantage for branch in again.branches] == [branch.advantage for branch in made.branches]


def test_pairs_are_read_from_texts_and_from_messages(path: Path, tmp_path: Path) -> None:
    PIL.Image.new("RGB", (64, 64), "red").save(tmp_path / "a.png")
    before = [{"role": "user", "content": "hello"}]
    rows = [
        {"prompt": "hello", "chosen": "good", "rejected": "bad"},
        {"chosen": [*before, {"role": "assistant", "content": "good"}], "rejected": [*before, {"role": "assistant", "content": "bad"}]},
        {"prompt": before, "chosen": "good", "rejected": "bad", "images": ["a.png"]},
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    renderer = Renderer(path)
    text, messages, image = (text_pair(pair, renderer) for pair in read_pairs(str(tmp_path / "pairs.jsonl")))
    for pair in (text, messages):
        assert tuple(pair.trunk.token_ids_T) == renderer.prompt_ids((text_message("user", "hello"),))
        assert [tuple(branch.stretch.token_ids_T) for branch in pair.branches] == [renderer.turn_ids("good"), renderer.turn_ids("bad")]
        assert not pair.trunk.loss_mask_T.any()
    assert len(image.trunk.images) == 1


def test_tool_calls_and_schemas_of_a_pair_are_written_as_those_of_a_conversation(path: Path, tmp_path: Path) -> None:
    def answer(box: int) -> list[object]:
        call = {"function": {"name": "zoom", "arguments": {"box": box}}}
        return [{"role": "assistant", "content": "let me see", "reasoning_content": "hm", "tool_calls": [call]}]

    row = {"prompt": "look", "chosen": answer(1), "rejected": answer(2), "tools": [{"type": "function", "function": {"name": "zoom"}}]}
    (tmp_path / "pairs.jsonl").write_text(json.dumps(row))
    renderer = Renderer(path)
    (pair,) = read_pairs(str(tmp_path / "pairs.jsonl"))
    tree = text_pair(pair, renderer)
    for branch, talk in zip(tree.branches, (pair.chosen, pair.rejected), strict=True):
        assert talk.messages[-1].tool_calls
        (whole,) = encode(talk, renderer)
        both = np.concatenate([tree.trunk.token_ids_T, branch.stretch.token_ids_T])
        assert both.tolist() == whole.trunk.token_ids_T.tolist()
        assert [False] * len(tree.trunk) + [True] * len(branch.stretch) == whole.trunk.loss_mask_T.tolist()


def test_rows_that_are_no_pair_are_named_with_their_line(tmp_path: Path) -> None:
    rows = [
        {"prompt": "a", "chosen": "x", "rejected": "y"},
        {"prompt": "a", "chosen": "x", "rejected": "x"},
        {"chosen": "x", "rejected": "y"},
        {"prompt": "a", "chosen": "x", "rejected": None},
        {"prompt": "a", "chosen": "<|image_pad|>", "rejected": "y"},
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(TaskError) as error:
        read_pairs(str(tmp_path / "pairs.jsonl"))
    message = str(error.value)
    assert "4 rows are no preference pairs" in message
    for expected in (
        "pairs.jsonl:2: `chosen` and `rejected` say the same",
        "pairs.jsonl:3: no column `prompt`",
        "pairs.jsonl:4: `rejected` is a text",
        "pairs.jsonl:5: `chosen`: the text contains the special token <|image_pad|>",
    ):
        assert expected in message


def test_training_comes_to_prefer_the_chosen_responses_over_the_reference(path: Path, tmp_path: Path) -> None:
    renderer = Renderer(path)
    image = Message("user", (ImagePart(PIL.Image.new("RGB", (64, 64), "red")), TextPart("word?")))
    pairs = [
        text_pair(Pair(worked_answer(prompt, "few words"), worked_answer(prompt, "the user")), renderer)
        for prompt in ((text_message("user", "a"),), (image,))
    ]
    settings = PreferenceSettings(steps=20, batch_size=2, beta=0.5)
    learner = LearnerSettings(optimizer=OptimizerSettings(lr=1e-2, warmup_steps=0))
    trainer = PreferenceTrainer(path, settings, learner, SoftmaxSettings(), pairs, 0, tmp_path / "after", bfloat16=False)
    reports = [trainer.advance() for _ in range(10)]
    assert [report.step for report in reports] == list(range(2, 21, 2))
    assert [report.done for report in reports] == [False] * 9 + [True]
    assert reports[-1].loss < 0.1 < reports[0].loss < math.log(2) + 0.1
    assert reports[-1].accuracy == 1.0
    margins = [_margin(folder, pairs) for folder in (path, tmp_path / "after")]
    assert margins[1] > margins[0] + 2
    assert read_weights(tmp_path / "after").keys() >= read_weights(path).keys()


def test_preference_training_that_was_saved_goes_on_as_if_nothing_had_happened(path: Path, tmp_path: Path) -> None:
    renderer = Renderer(path)
    pairs = [
        text_pair(Pair(*(worked_answer((text_message("user", word),), said) for said in ("few words", "the user"))), renderer)
        for word in "abcde"
    ]
    settings = PreferenceSettings(steps=6, batch_size=2)
    learner = LearnerSettings(optimizer=OptimizerSettings(lr=1e-2, warmup_steps=0, decay="cosine"))

    def trainer(checkpoint: Path | None = None) -> PreferenceTrainer:
        return PreferenceTrainer(
            path, settings, learner, SoftmaxSettings(), pairs, 0, tmp_path / "after", bfloat16=False, checkpoint=checkpoint
        )

    whole, killed = trainer(), trainer()
    reports = [whole.advance() for _ in range(6)]
    assert [killed.advance() for _ in range(3)] == reports[:3]
    killed.save(tmp_path / "saved")
    resumed = trainer(tmp_path / "saved" / "policy")
    resumed.load(tmp_path / "saved")
    assert [resumed.advance() for _ in range(3)] == reports[3:]


def _margin(folder: Path, pairs: list[PolicyTree]) -> float:
    """Mean nats by which the chosen response is likelier than the rejected one."""
    known = FrozenPolicy(folder, SoftmaxSettings(), 8192, bfloat16=False).logprobs([pair.tree for pair in pairs])
    return float(np.mean([chosen.sum() - rejected.sum() for chosen, rejected in known]))
