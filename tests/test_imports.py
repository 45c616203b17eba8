"""Imports point one way, and heavy libraries stay in the files that need them."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ALLOWED = {
    "sandbox": {"sandbox"},
    "tasks": {"tasks"},
    "rewards": {"rewards", "tasks", "sandbox"},
    "rollouts": {"rollouts", "tasks", "sandbox"},
    "rl": {"rl", "rollouts", "rewards", "tasks"},
    "distill": {"distill", "rl", "rollouts", "rewards", "tasks"},
}
# The program, its last step and what it trains outside of the loop, loaded when the settings are checked: see docs/decisions/0002.
MAY_IMPORT_DISTILL = {"rl/run.py", "rl/recipe.py", "rl/training_once.py"}
HEAVY = ("torch", "ray", "vllm", "verl", "transformers", "datasets", "accelerate")


def imports_of(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_point_one_way(package: str) -> None:
    for file in (ROOT / package).rglob("*.py"):
        name = file.relative_to(ROOT).as_posix()
        allowed = ALLOWED[package] | ({"distill"} if name in MAY_IMPORT_DISTILL else set())
        wrong = {found for found in imports_of(file) if found in ALLOWED and found not in allowed}
        assert not wrong, f"{name} imports {', '.join(sorted(wrong))}"


def test_only_one_module_knows_ray() -> None:
    files = [file for package in ALLOWED for file in (ROOT / package).rglob("*.py")]
    knowing = {file.relative_to(ROOT).as_posix() for file in files if "ray" in imports_of(file)}
    assert {name for name in knowing if not name.startswith("rl/integrations/")} == {"rl/cluster.py"}


LIGHT = (
    "tasks.build",
    "rewards.isolation",
    "rewards.registry",
    "rewards.score",
    "rewards.targets",
    "rewards.judge.__main__",
    "rl.config.configure",
    "rl.config.plan",
    "rl.run",
    "rl.report.__main__",
)


@pytest.mark.parametrize("module", LIGHT)
def test_what_starts_in_a_second_imports_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.strip() == "[]"


def test_no_file_is_named_for_nothing() -> None:
    vague = {"utils", "helpers", "common", "misc", "base", "manager", "core"}
    named = [file for package in ALLOWED for file in (ROOT / package).rglob("*.py") if file.stem in vague]
    assert not named
