import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_run import config_of, made_evaluation, write_made_run

from rl.config.configure import load
from rl.records.run_folder import RunFolder
from rl.records.run_records import Records
from rl.report.__main__ import main
from rl.report.curves import curves
from rl.report.page import inert_json, report_html, write_report
from rl.report.result import ALL_TASKS, run_result
from rl.report.rollouts import PageLimits, shown_rollouts, spread
from rl.run import main as run_program


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return write_made_run(tmp_path_factory.mktemp("runs") / "made", steps=40)


@given(st.text())
def test_json_in_the_page_reads_back_and_cannot_close_its_script(text: str):
    inert = inert_json({"said": text + "</script><!--"})
    assert json.loads(inert) == {"said": text + "</script><!--"}
    assert not set("<>&") & set(inert)


def test_the_page_loads_nothing_from_elsewhere(run: RunFolder):
    page = report_html(run, (), PageLimits())
    addresses = re.findall(r"""(?:src|href|xlink:href)=["']([^"']*)""", page) + re.findall(r"url\(([^)]*)\)", page)
    assert {address for address in addresses if not address.startswith(("#", "data:"))} == set()


def test_hostile_text_is_markup_nowhere(run: RunFolder):
    page = report_html(run, (), PageLimits())
    assert "<script>window.hacked" not in page
    assert "<img src=x" not in page
    assert "\\u003cscript\\u003ewindow.hacked" in page


def test_the_same_run_gives_the_same_page(run: RunFolder):
    assert report_html(run, (), PageLimits()) == report_html(run, (), PageLimits())


def test_the_result_is_that_of_the_evaluations(run: RunFolder):
    result = run_result(run)
    before, *_, after = run.evaluations()
    assert result is not None
    assert (result.k, result.finished) == (16, True)
    by_task = {row.task: row for row in result.rows}
    assert set(by_task) == {"algebra", "grounding", ALL_TASKS}
    for task in ("algebra", "grounding"):
        row = by_task[task]
        assert row.rise.mean == pytest.approx(row.after - row.before)
        assert (row.before, row.after) == (before.accuracy(task), after.accuracy(task))
        assert (row.pass_before, row.pass_after) == (before.pass_at(16, task), after.pass_at(16, task))
    halves = [(by_task[task].rise.high - by_task[task].rise.low) / 2 for task in ("algebra", "grounding")]
    total = by_task[ALL_TASKS].rise
    assert (total.high - total.low) / 2 == pytest.approx((halves[0] ** 2 + halves[1] ** 2) ** 0.5 / 2)


def test_controls_are_laid_over_the_run_in_seconds_of_training(run: RunFolder, tmp_path: Path):
    control = write_made_run(tmp_path / "coin_flip", steps=20, gain=0.0)
    chart = next(chart for chart in curves(run, (control,)) if chart.title == "Held-out accuracy: algebra")
    assert chart.x_label == "seconds of training"
    assert [(series.label, series.dashed) for series in chart.series] == [("made", False), ("coin_flip", True)]
    assert chart.series[0].xs == (0.0, 90.0, 180.0)
    assert "coin_flip" in report_html(run, (control,), PageLimits())


def test_curves_without_values_are_left_out(tmp_path: Path):
    folder = RunFolder(tmp_path / "new")
    with folder.claimed(config_of("new")), Records(folder, ()) as records:
        records.log(1, {"learner/grad_norm": 0.5})
    assert [chart.title for chart in curves(folder, ())] == ["Gradient norm"]


def test_what_is_distilled_imitated_or_preferred_has_curves_of_its_own(tmp_path: Path):
    folder = RunFolder(tmp_path / "taught")
    with folder.claimed(config_of("taught")), Records(folder, ()) as records:
        records.log_training("imitation", 20, {"imitation/train_loss": 1.0, "imitation/validation_loss": 1.5})
        records.log_training("preferences", 12, {"preference/loss": 0.69, "preference/accuracy": 0.5, "preference/margin": 0.0})
        records.log(1, {"learner/divergence": 0.4, "time/step_s": 2.0, "time/generate_s": 1.0, "time/teacher_s": 0.5})
    shown = {chart.title: {series.label: series.ys for series in chart.series} for chart in curves(folder, ())}
    assert shown["Imitation of teachers' answers"] == {"train_loss": (1.0,), "validation_loss": (1.5,)}
    assert shown["Preference optimisation"] == {"loss": (0.69,), "accuracy": (0.5,), "margin": (0.0,)}
    assert shown["Distance from the teacher"] == {"divergence": (0.4,)}
    assert shown["Seconds a step"] == {"generate": (1.0,), "teacher": (0.5,), "other": (0.5,)}


def test_a_run_that_has_only_begun_has_a_page(tmp_path: Path):
    folder = RunFolder(tmp_path / "new")
    with folder.claimed(config_of("new")):
        assert "no step was logged" in write_report(folder).read_text()


def test_values_that_are_not_finite_are_shown_as_such(tmp_path: Path):
    folder = RunFolder(tmp_path / "new")
    with folder.claimed(config_of("new")), Records(folder, ()) as records:
        records.log(1, {"learner/grad_norm": 0.5})
        records.log(2, {"learner/grad_norm": float("nan")})
    assert "1 values are not finite" in report_html(folder, (), PageLimits())


def test_images_past_the_limit_are_left_out_and_the_page_says_so(run: RunFolder):
    everything = shown_rollouts(run, PageLimits())
    size = sum(map(len, everything.images.values()))
    limited = shown_rollouts(run, PageLimits(image_bytes=size // 2))
    assert 0 < sum(map(len, limited.images.values())) <= size // 2
    missing = len(everything.images) - len(limited.images)
    assert any(note.startswith(f"{missing} images are left out") for note in limited.notes)
    assert limited.records == everything.records


def test_rollouts_past_the_limit_keep_the_last_and_the_first_step(run: RunFolder):
    sizes = {step: run.rollouts_path(step).stat().st_size for step in run.rollout_steps()}
    limited = shown_rollouts(run, PageLimits(rollout_bytes=sizes[1] + sizes[40]))
    assert {record.step for record in limited.records} == {1, 40}
    assert limited.notes[0].startswith("1 recorded steps are left out")


def test_a_lost_image_is_reported(tmp_path: Path):
    folder = write_made_run(tmp_path / "run", steps=1, hostile=False)
    next(folder.images_path.iterdir()).unlink()
    assert shown_rollouts(folder, PageLimits()).notes == ("1 images are missing from rollouts/images/.",)


@given(st.lists(st.integers(), unique=True))
def test_spreading_loses_nothing_and_begins_with_the_ends(values: list[int]):
    ordered = spread(sorted(values))
    assert sorted(ordered) == sorted(values)
    assert ordered[:2] == [max(values), min(values)][: len(values)] if values else ordered == []


def test_the_command_writes_the_page_without_torch(run: RunFolder):
    program = "import sys; from rl.report.__main__ import main; code = main(sys.argv[1:]); sys.exit(code or 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program, str(run.path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, str(run.report_path)), done.stderr


@pytest.mark.parametrize("arguments", [[], ["help"], ["--help"]])
def test_the_command_says_how_it_is_called(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith("python -m rl.report runs/<name>")


def test_the_command_names_a_folder_that_is_no_run(tmp_path: Path):
    done = subprocess.run([sys.executable, "-m", "rl.report", str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"{tmp_path} is no run folder" in done.stderr


def test_a_run_that_was_killed_between_its_last_evaluation_and_its_report_gets_it_by_the_same_command(tmp_path: Path) -> None:
    arguments = ["tasks.algebra.family=algebra", f"runs={tmp_path}", "records.trackers=[]"]
    settings, folder = load(arguments), RunFolder(tmp_path / "run")
    with folder.claimed(settings.model_dump(mode="json")), Records(folder, ()) as records:
        for stage, step in (("before", 0), ("after", 100)):
            records.log_evaluation(made_evaluation(step, stage, 0.1, 0))  # type: ignore[arg-type]
    assert run_program(arguments) == 0
    assert "<html" in folder.report_path.read_text()
