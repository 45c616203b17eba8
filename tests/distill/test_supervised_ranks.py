"""Supervised training on two ranks is that on one: the denominator of a batch does not know how it was split."""

import os
import socket
from pathlib import Path

import pytest
import torch
from test_supervised import KIND, SETTINGS, trainer
from tiny_checkpoints import build

from distill.supervised import SupervisedReport
from rl.policy import read_weights

# Three demonstrations a batch: one rank has two of them, the other one.
UNEVEN = SETTINGS.model_copy(update={"batch_size": 3, "loss_weighting": "sqrt", "micro_batch_tokens": 60})


def reports(policy: Path, best: Path) -> list[SupervisedReport]:
    made = trainer(policy, best, UNEVEN)
    return [made.advance() for _ in range(2)]


def run_rank(rank: int, folder: Path, port: int) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    found = reports(folder / KIND, folder / "two")
    torch.save([(report.train_loss, report.validation_loss) for report in found], folder / f"rank{rank}.pt")
    torch.distributed.destroy_process_group()


def test_losses_and_weights_of_two_ranks_are_those_of_one(tmp_path: Path) -> None:
    build(KIND, tmp_path / KIND)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(run_rank, (tmp_path, port), nprocs=2)
    first, second = (torch.load(tmp_path / f"rank{rank}.pt") for rank in range(2))
    assert first == second
    alone = reports(tmp_path / KIND, tmp_path / "one")
    assert [loss for pair in first for loss in pair] == pytest.approx(
        [loss for report in alone for loss in (report.train_loss, report.validation_loss)], rel=1e-4
    )
    one, two = read_weights(tmp_path / "one"), read_weights(tmp_path / "two")
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=0, atol=2e-4, msg=lambda text, name=name: f"{name}: {text}")
