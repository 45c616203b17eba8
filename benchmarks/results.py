"""Held-out accuracy before and after training, as a Markdown table: `python benchmarks/results.py runs/a runs/b ...`."""

import sys
from collections.abc import Sequence
from pathlib import Path

from rl.records.run_folder import RunFolder
from rl.report.result import TaskResult, run_result


def row(result: TaskResult, k: int) -> str:
    """Accuracies and pass@k in percent, the rise in points with its 95 % interval."""
    rise = f"{100 * result.rise.mean:+.1f} ({100 * result.rise.low:+.1f} to {100 * result.rise.high:+.1f})"
    passes = [f"{100 * value:.0f}" if value is not None else "-" for value in (result.pass_before, result.pass_after)]
    cells = [result.run, result.task, f"{100 * result.before:.1f}", f"{100 * result.after:.1f}", rise, str(k), *passes]
    return f"| {' | '.join(cells)} |"


def main(folders: Sequence[str]) -> None:
    print("| run | task | before | after | rise, points (95 %) | k | pass@k before | pass@k after |")
    print("|---|---|---|---|---|---|---|---|")
    for folder in folders:
        result = run_result(RunFolder(Path(folder)))
        if result is None or not result.finished:
            raise SystemExit(f"{folder}: the run has not reached its last evaluation")
        for one in result.rows:
            print(row(one, result.k))


if __name__ == "__main__":
    main(sys.argv[1:])
