"""The example package, built and installed: its reward is known to the commands, to worker processes and to Ray actors."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "examples" / "reward_package"
RAY = """
import ray
from rewards.isolation import RewardPool
from rewards.transcript import Transcript
from tasks.message import text_message
from tasks.problem import TextTarget

@ray.remote
class Actor:
    def grade(self):
        pool = RewardPool()
        try:
            call = ("haiku", TextTarget(("rain",)), Transcript((), (text_message("assistant", "a\\nrain\\nc"),)))
            return pool.grade_all([call])[0].reward
        finally:
            pool.close()

ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
print(ray.get(Actor.remote().grade.remote()))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables of a process for which the package is installed."""
    site = tmp_path_factory.mktemp("site")
    source = shutil.copytree(PACKAGE, tmp_path_factory.mktemp("source") / "reward_package")  # building leaves files in the source
    uv = Path(sys.executable).with_name("uv")
    install = [str(uv), "pip", "install", "--quiet", "--offline", "--no-deps", "--no-build-isolation", "--python", sys.executable]
    subprocess.run([*install, "--target", str(site), str(source)], check=True)
    return {**os.environ, "PYTHONPATH": str(site)}


def run(environment: dict[str, str], *arguments: str) -> str:
    return subprocess.run([sys.executable, *arguments], env=environment, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_an_installed_reward_is_listed_with_its_origin(environment: dict[str, str]) -> None:
    entries = {entry["name"]: entry for entry in json.loads(run(environment, "-m", "rewards.list", "format=json"))}
    assert entries["haiku"]["origin"] == "haiku_rewards"
    assert entries["haiku"]["settings"] == {"lines": 3}


def test_an_installed_reward_scores_by_its_name_in_the_workers(environment: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "s.jsonl"
    run(environment, "-m", "rewards.score", f"data={PACKAGE}/poems.jsonl", "reward=haiku", f"out={out}", "workers=1")
    assert [json.loads(line)["reward"] for line in out.read_text().splitlines()] == [1.0, 0.0, 0.0]


def test_an_installed_reward_is_known_to_a_run(environment: dict[str, str]) -> None:
    task = f"{{data: {PACKAGE}/poems.jsonl, target: text, reward: haiku, heldout: 1}}"
    assert "poems" in run(environment, "-m", "rl.run", "config=quickstart", f"tasks.poems={task}", "dry_run=true")


def test_an_installed_reward_passes_the_check_on_a_gold_answer_of_its_own(environment: dict[str, str]) -> None:
    gold = ["gold.target=rain", r'gold.right="soft\nrain\nfalls"', "gold.wrong=rain"]
    assert "purity" in run(environment, "-m", "rewards.check", "haiku", *gold)


def test_an_installed_reward_is_known_in_ray_actors_and_their_workers(environment: dict[str, str]) -> None:
    assert run(environment, "-c", RAY).split()[-1] == "1.0"
