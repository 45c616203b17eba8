"""Two ranks that shard the policy make the update that one rank makes."""

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from policy_batches import make_learner, sapo_batch
from tiny_checkpoints import Plain, build
from torch import Tensor

from rl.config.settings import LearnerSettings
from rl.config.supervised_settings import OptimizerSettings
from rl.training.batch import SapoBatch

# AdamW divides a gradient by its own size: where there is next to none, rounding alone decides on a step of up to the learning rate.
SMALL_STEPS = OptimizerSettings(lr=1e-4, warmup_steps=0, max_grad_norm=100.0)
TWO_STEPS = LearnerSettings(mini_batches=2, micro_batch_tokens=40, optimizer=SMALL_STEPS)
CASES = {
    "qwen3_vl": TWO_STEPS,
    "qwen2_5_vl": TWO_STEPS.model_copy(update={"old_logprobs": "recompute"}),
    "qwen3_tied": TWO_STEPS.model_copy(update={"gradient_checkpointing": True}),
}
Result = tuple[dict[str, Tensor], list[float], dict[str, float]]


def lopsided(kind: str) -> SapoBatch:
    """Two responses: one rank has the only images, in its trunk."""
    first, second = sapo_batch(kind).trees[:2]
    return SapoBatch((replace(first, branches=first.branches[:1]), replace(second, branches=second.branches[1:])), 16)


def updates(kind: str, folder: Path) -> Result:
    """Weights, gradient norms and last statistics after three updates, the last of which gives one rank nothing to do."""
    learner = make_learner(folder / kind, CASES[kind])
    single = sapo_batch(kind, 1)
    alone = replace(single, trees=(replace(single.trees[0], branches=single.trees[0].branches[:1]),))
    reports = [learner.update(batch) for batch in (sapo_batch(kind), lopsided(kind), alone)]
    return learner.weights(), [report.grad_norm for report in reports], reports[0].stats


def resumed(folder: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Weights after two updates, straight and with a stop between them."""
    place = folder / "stopped"
    straight = make_learner(folder / "qwen3_vl", TWO_STEPS)
    straight.update(sapo_batch("qwen3_vl"))
    straight.save(place)
    if straight.optimization.ranks > 1:
        torch.distributed.barrier()
    again = make_learner(place / "policy", TWO_STEPS)
    again.load(place)
    for learner in (straight, again):
        learner.update(sapo_batch("qwen3_vl", 1))
    return straight.weights(), again.weights()


def run_rank(rank: int, folder: Path, port: int) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    results = {kind: updates(kind, folder) for kind in CASES}
    torch.save((results, resumed(folder)), folder / f"rank{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints, and what two ranks made of them."""
    place = tmp_path_factory.mktemp("ranks")
    for kind in CASES:
        build(kind, place / kind)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(run_rank, (place, port), nprocs=2)
    return place


def results(folder: Path, rank: int) -> tuple[dict[str, Result], tuple[dict[str, Tensor], dict[str, Tensor]]]:
    loaded: tuple[dict[str, Result], tuple[dict[str, Tensor], dict[str, Tensor]]] = torch.load(folder / f"rank{rank}.pt")
    return loaded


@pytest.mark.parametrize("kind", CASES)
def test_an_update_on_two_ranks_equals_that_on_one(kind: str, folder: Path) -> None:
    weights, norms, stats = updates(kind, folder)
    found, found_norms, found_stats = results(folder, 0)[0][kind]
    assert found_norms == pytest.approx(norms, rel=1e-4)
    assert {k: v for k, v in found_stats.items() if k != "update_s"} == pytest.approx(
        {k: v for k, v in stats.items() if k != "update_s"}, rel=1e-3, abs=1e-6
    )
    start = Plain.load(folder / kind).model.state_dict()
    for name, value in weights.items():
        assert float((value - start[name]).abs().max()) > 1e-4 or not value.is_floating_point(), name
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("kind", CASES)
def test_every_rank_gives_the_full_weights(kind: str, folder: Path) -> None:
    expected = Plain.load(folder / kind).model.state_dict()
    first, second = (results(folder, rank)[0][kind][0] for rank in range(2))
    assert {name: value.shape for name, value in first.items()} == {name: value.shape for name, value in expected.items()}
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_two_ranks_resumed_equal_two_ranks_uninterrupted_bit_for_bit(folder: Path) -> None:
    straight, again = results(folder, 0)[1]
    assert all(torch.equal(straight[name], again[name]) for name in straight)


def test_a_checkpoint_of_two_ranks_is_not_resumed_by_one(folder: Path) -> None:
    learner = make_learner(folder / "stopped" / "policy", TWO_STEPS)
    with pytest.raises(FileNotFoundError, match="the same learner"):
        learner.load(folder / "stopped")
