"""Runs of the same stages with other seeds in one table: `python benchmarks/stages.py runs/a runs/b ...`.

Each cell is the mean over the runs of a task's held-out accuracy after a stage, in percent; "all tasks" has the mean of each run behind it,
in the order of the command line, and the seconds are those that a stage trained, likewise.
"""

import statistics
import sys
from pathlib import Path

from rl.records.evaluation_record import Evaluation
from rl.records.run_folder import RunFolder


def main(runs: list[str]) -> None:
    rows = {name: [_evaluation(Path(run), name) for run in runs] for name in ["before", *_stages(Path(runs[0]))]}
    tasks = tuple(dict.fromkeys(task for evaluations in rows.values() for one in evaluations for task in one.tasks))
    print(f"| stage | {' | '.join(tasks)} | all tasks | each run | training, s |")
    print("| --- " * (len(tasks) + 4) + "|")
    for name, evaluations in rows.items():
        cells = [_mean([one.accuracy(task) for one in evaluations]) for task in tasks]
        means = [one.accuracy(None) for one in evaluations]
        each = ", ".join(_mean([mean]) for mean in means)
        seconds = ", ".join(f"{one.train_s:.0f}" for one in evaluations)
        print(f"| {' | '.join([name, *cells, _mean(means), each, seconds])} |")


def _stages(run: Path) -> list[str]:
    return sorted(folder.name for folder in run.iterdir() if (folder / "evaluations.jsonl").exists())


def _evaluation(run: Path, name: str) -> Evaluation:
    return RunFolder(run / _stages(run)[0]).evaluations()[0] if name == "before" else RunFolder(run / name).evaluations()[-1]


def _mean(shares: list[float | None]) -> str:
    known = [share for share in shares if share is not None]
    return f"{100 * statistics.mean(known):.1f}" if known else ""


if __name__ == "__main__":
    main(sys.argv[1:])
