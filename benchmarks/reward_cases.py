"""The verifiers on labelled cases: `python benchmarks/reward_cases.py FOLDER [only=math,visual] [show=20]`.

Reads the JSON-lines files of FOLDER that it knows (math, math_meta, math_adv, visual, logic, adversarial) and prints one row a file:
accuracy, false negatives (right answer rejected), false positives (wrong answer paid), ungraded calls, worst and mean time. Bare answers
are graded twice, inside a box and as they are; puzzles by verdict, since partial credit is off by default.
"""

import glob
import json
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rewards.isolation import Call, RewardPool
from rewards.outcome import Grade, Outcome
from rewards.transcript import Transcript
from tasks.message import text_message
from tasks.problem import Box, BoxesTarget, ChoiceTarget, CountTarget, MathTarget, PuzzleTarget, Target

TOLERANCE = 0.05
KINDS = {"math": "math", "visual": "boxes", "count": "count", "mcq": "choice", "format": "format"}


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    reward: str
    target: Target
    response: str
    expected: float
    prompt: str = ""

    @property
    def call(self) -> Call:
        return self.reward, self.target, Transcript((text_message("user", self.prompt),), (text_message("assistant", self.response),))

    def judged(self, outcome: Outcome) -> str:
        """right, FN, FP or ungraded."""
        if not isinstance(outcome, Grade):
            return "ungraded"
        difference = outcome.reward - self.expected
        limit = 1e-4 if self.name.startswith("iou") else TOLERANCE
        return "right" if abs(difference) <= limit else "FP" if difference > 0 else "FN"


def main() -> None:
    folder, *options = sys.argv[1:]
    chosen = dict(option.split("=", 1) for option in options)
    show = int(chosen.get("show", "0"))
    only = chosen.get("only", "").split(",") if "only" in chosen else None
    print(f"{'file':22} {'cases':>6} {'right':>7} {'FN':>4} {'FP':>4} {'ungraded':>8} {'worst s':>8} {'mean ms':>8}")
    with_pool = RewardPool(workers=1, timeout_s=float(chosen.get("timeout_s", "10")), memory_mib=1024)
    try:
        for path in sorted(glob.glob(f"{folder}/*.jsonl")):
            name = Path(path).stem
            if only and name not in only:
                continue
            for form, cases in cases_of(name, [json.loads(line) for line in Path(path).read_text().splitlines()]):
                if cases:
                    table_row(f"{name} {form}".strip(), cases, with_pool, show)
    finally:
        with_pool.close()


def cases_of(name: str, rows: list[dict]) -> Iterator[tuple[str, list[Case]]]:
    rows = [row for row in rows if row["expected"] is not None]
    if name in ("math", "math_meta", "math_adv"):
        for form in ("boxed", "bare"):
            yield form, [math_case(row, form) for row in rows if form == "boxed" or row["form"] == "answer"]
    elif name == "visual":
        yield "", [Case(row["id"], "boxes", boxes(row["gold"]), row["response"], row["expected"]) for row in rows]
    elif name == "logic":
        yield "", [puzzle_case(row) for row in rows]
    elif name == "adversarial":
        yield "", [case for row in rows if (case := adversarial_case(row))]


def math_case(row: dict, form: str) -> Case:
    boxed = form == "boxed" and row["form"] == "answer"
    return Case(row["id"], "math", MathTarget(row["gold"]), rf"\boxed{{{row['pred']}}}" if boxed else row["pred"], float(row["expected"]))


def puzzle_case(row: dict) -> Case:
    entry = {"question": row["question"], "answer": row["gold"], "metadata": row.get("metadata", {})}
    return Case(row["id"], "puzzle", PuzzleTarget(row["source"], json.dumps(entry)), row["response"], float(row["expected"] >= 1.0))


def adversarial_case(row: dict) -> Case | None:
    kind = row["kind"].split(".")[0]
    if kind not in KINDS:
        return None
    gold = row["gold"]
    target: Target = MathTarget(str(gold))
    if kind == "visual":
        target = boxes(gold)
    elif kind == "count":
        target = CountTarget(int(gold))
    elif kind == "mcq":
        target = ChoiceTarget(gold, options(row["prompt"]))
    return Case(row["kind"], KINDS[kind], target, row["response"], float(row["expected"]), row["prompt"])


def options(prompt: str) -> tuple[str, ...]:
    """The texts after `A.`, `B)`, ... in a prompt."""
    return tuple(text.strip() for text in re.findall(r"(?:^|\s)\(?[A-Z][.):]\s*(.+?)(?=\s+\(?[A-Z][.):]\s|\n|$)", prompt))


def boxes(gold: list[dict]) -> BoxesTarget:
    return BoxesTarget(tuple(Box(*item["bbox_2d"], label=item.get("label", "")) for item in gold))


def table_row(name: str, cases: list[Case], pool: RewardPool, show: int) -> None:
    counts = {"right": 0, "FN": 0, "FP": 0, "ungraded": 0}
    worst, total, shown = (0.0, ""), 0.0, 0
    for case in cases:
        start = time.perf_counter()
        outcome = pool.grade_all([case.call])[0]
        seconds = time.perf_counter() - start
        total += seconds
        worst = max(worst, (seconds, case.name))
        verdict = case.judged(outcome)
        counts[verdict] += 1
        if verdict != "right" and shown < show:
            shown += 1
            print(f"   {verdict:8} {case.name}: {case.target!s:.150} | {case.response[-150:]!r} | {case.expected} | {outcome!s:.200}")
    share = counts["right"] / len(cases)
    print(
        f"{name:22} {len(cases):6} {share:7.2%} {counts['FN']:4} {counts['FP']:4} {counts['ungraded']:8} {worst[0]:8.2f} "
        f"{1e3 * total / len(cases):8.1f}  worst: {worst[1]}"
    )


if __name__ == "__main__":
    main()
