"""How the cost of a step grows: `python benchmarks/step_cost.py`. Doubling the groups or the response length should at most double it.

Sampling, update and publishing of a tiny Qwen3-VL at exactly that many tokens a response. Keys, with defaults:
groups=16,32,64  tokens=32,64,128  rounds=5  threads=2
"""

import statistics
import sys

from sapo_workload import GROUP_SIZE, RoundReport, Workload
from trl_sapo import Side, build_policy

DEFAULTS = {"groups": "16,32,64", "tokens": "32,64,128", "rounds": "5", "threads": "2"}
WARMUP = 2


def main(arguments: list[str]) -> None:
    values = DEFAULTS | dict(argument.split("=", 1) for argument in arguments)
    if unknown := values.keys() - DEFAULTS.keys():
        raise SystemExit(f"unknown key {', '.join(unknown)}; known: {', '.join(DEFAULTS)}")
    groups, tokens = ([int(number) for number in values[key].split(",")] for key in ("groups", "tokens"))
    rounds, threads = int(values["rounds"]), int(values["threads"])
    policy = build_policy(hidden=96, layers=3, vl=True)
    print(f"{'groups':>6} {'tokens':>6} {'step s':>8} {'generate s':>11} {'update s':>9} {'us a token':>11}")
    for number, length in [*((n, tokens[1]) for n in groups), *((groups[1], t) for t in tokens if t != tokens[1])]:
        side = Side("ours", Workload(policy, number, True, length, WARMUP + rounds, threads, False, 0))
        for _ in range(WARMUP + rounds):
            side.round()
        side.close()
        kept = [report for report, _, _ in side.rounds[WARMUP:]]
        print(_row(number, length, kept))


def _row(groups: int, tokens: int, reports: list[RoundReport]) -> str:
    step, generate, update = (statistics.median(getattr(r, name) for r in reports) for name in ("total_s", "generate_s", "update_s"))
    return f"{groups:6} {tokens:6} {step:8.2f} {generate:11.2f} {update:9.2f} {1e6 * step / (groups * GROUP_SIZE * tokens):11.1f}"


if __name__ == "__main__":
    main(sys.argv[1:])
