import json
import subprocess
import sys
from pathlib import Path

import pytest

from rewards import check
from rewards import list as listing
from rewards.registry import BUILT_IN, find

PLUGIN = """
from rewards import Grade, reward
from tasks.problem import MathTarget

@reward("{name}", target=MathTarget)
def {name}(target, transcript):
    text = transcript.final_text
    right = target.answer in text.rpartition("</think>")[2] and "41" not in text and "<think>" not in text.rpartition("</think>")[2]
{body}
"""
GOOD = "    return Grade(float(right), verdict=right)"


def plugin(folder: Path, name: str, body: str) -> str:
    path = folder / f"{name}_file.py"
    path.write_text(PLUGIN.format(name=name, body=body))
    return str(path)


def findings(folder: Path, place: str) -> tuple[int, list[dict]]:
    code = check.main([place, f"out={folder}/found.json", "timeout_s=2"])
    return code, json.loads((folder / "found.json").read_text())[0]["findings"]


def test_a_sound_reward_passes(tmp_path: Path) -> None:
    code, found = findings(tmp_path, plugin(tmp_path, "sound", GOOD) + ":sound")
    assert code == 0, found


@pytest.mark.parametrize(
    ("name", "body", "failed"),
    [
        ("raises", "    if not text: raise ValueError('empty')\n" + GOOD, "input: empty"),
        ("needs_a_message", "    transcript.response[-1]\n" + GOOD, "input: None"),
        ("not_finite", "    return Grade(float('nan') if 'nan' in text else float(right))", "input: NaN"),
        ("hangs", "    while len(text) > 900_000: pass\n" + GOOD, "input: 1 MB of text"),
        ("rolls_dice", "    import random\n    return Grade(right * random.random() * 0.5 + 0.5 * right)", "purity"),
        ("pays_thinking", "    return Grade(float('42' in text))", "pays for: answer only inside the thinking"),
        ("pays_nobody", "    return Grade(0.0)", "gold answer"),
        ("returns_a_number", "    return 1.0", "input: empty"),
    ],
)
def test_a_reward_with_a_fault_fails_by_its_name(tmp_path: Path, name: str, body: str, failed: str) -> None:
    code, found = findings(tmp_path, plugin(tmp_path, name, body))
    assert code == 1
    assert failed in [finding["check"] for finding in found if finding["level"] == "fail"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["math", "gold.right=42", "gold.wrong=41"], "gold has target, right and wrong"),
        (["gold.target=42", "gold.right='42'", "gold.wrong='41'"], "is for one reward: name it"),
        (["count", "gold.target=many", "gold.right='42'", "gold.wrong='41'"], "'many' is not a number"),
    ],
)
def test_an_example_of_ones_own_that_makes_no_sense_is_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check.main(arguments) == 2
    assert message in capsys.readouterr().err


def test_a_plugin_that_does_not_load_is_another_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken.py").write_text("import rewards\nimport nothing_like_it\n")
    assert check.main([f"{tmp_path}/broken.py"]) == 2
    assert "broken.py, line 2: ModuleNotFoundError" in capsys.readouterr().err


def test_a_message_that_looks_like_markup_is_shown_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = plugin(tmp_path, "marked_up", "    raise ValueError('[/b] :key: [red]')")
    assert check.main([place]) == 1
    assert "[/b] :key: [red]" in " ".join(capsys.readouterr().out.split())


def test_a_reward_that_never_gives_a_grade_has_shown_no_purity(tmp_path: Path) -> None:
    _, found = findings(tmp_path, plugin(tmp_path, "always_fails", "    raise ValueError"))
    assert {finding["level"] for finding in found if finding["check"] == "purity"} == {"note"}


@pytest.fixture(scope="module")
def built_in(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict]]:
    """The findings about each reward of this package, from a process that knows no other."""
    out = tmp_path_factory.mktemp("check") / "found.json"
    done = subprocess.run([sys.executable, "-m", "rewards.check", f"out={out}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return {result["reward"]: result["findings"] for result in json.loads(out.read_text())}


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_every_built_in_reward_passes_and_is_tried_on_a_gold_answer_of_each_kind(name: str, built_in: dict[str, list[dict]]) -> None:
    assert {finding["level"] for finding in built_in[name]} <= ({"note"} if name == "judge" else {"ok"})
    tried = [finding["check"] for finding in built_in[name]].count("gold answer")
    assert tried == (0 if name == "judge" else len(find(name).targets))


def test_the_list_shows_built_in_rewards_and_plugins_with_target_settings_version_and_origin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = plugin(tmp_path, "listed", GOOD)
    assert listing.main([f"rewards={path}", "format=json"]) == 0
    entries = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert entries["listed"] == {
        "name": "listed", "targets": ["MathTarget"], "settings": {}, "version": "1", "images": False, "origin": path,
    }  # fmt: skip
    assert entries["math"]["settings"] == {"tolerance": 0.0}


def test_the_list_cuts_no_setting_on_a_narrow_screen(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    assert listing.main([]) == 0
    assert "…" not in capsys.readouterr().out
