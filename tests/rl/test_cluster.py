"""What Ray is asked for, on this machine and on a cluster."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch

from rl.assembly import uses_bfloat16
from rl.cluster import check_kind
from rl.config.settings import RunSettings

# In a Ray folder of its own, where a cluster that is long dead has left its address.
BESIDE_ANOTHER = """
import asyncio
import os

import torch.distributed

from rl.cluster import Cluster, RayObject


class Rank:
    def place(self):
        return os.environ["MASTER_ADDR"], torch.distributed.get_world_size()


with Cluster(True) as cluster:
    ranks = RayObject(cluster.actors(2, preload="json", group=True))
    asyncio.run(ranks.start(Rank))
    print(asyncio.run(ranks.call("place")))
"""


def test_a_run_starts_its_own_ray_beside_that_of_others_and_its_ranks_meet_where_rank_0_is() -> None:
    folder = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))  # Its sockets' names may have about a hundred characters.
    try:
        (folder / "ray").mkdir()
        (folder / "ray" / "ray_current_cluster").write_text("127.0.0.1:1")
        variables = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"} | {"RAY_TMPDIR": str(folder)}
        done = subprocess.run(
            [sys.executable, "-c", BESIDE_ANOTHER], capture_output=True, text=True, env=variables, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert done.stdout.strip().endswith("', 2)")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_the_gpus_of_a_cluster_are_not_left_idle_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    check_kind(on_cpu=False, gpus=8)
    check_kind(on_cpu=True, gpus=0)
    with pytest.raises(ValueError, match=r"RAY_ADDRESS has 8 GPUs.*CUDA_VISIBLE_DEVICES="):
        check_kind(on_cpu=True, gpus=8)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    check_kind(on_cpu=True, gpus=8)


@pytest.mark.parametrize(("native", "dtype", "expected"), [(True, "auto", True), (False, "auto", False), (False, "bfloat16", True)])
def test_bfloat16_is_for_gpus_that_compute_in_it(native: bool, dtype: str, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: native or including_emulation)
    settings = RunSettings.model_validate({"tasks": {"sums": {"family": "algebra"}}, "policy": {"dtype": dtype}})
    assert uses_bfloat16(settings) is expected
