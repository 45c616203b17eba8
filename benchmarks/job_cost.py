"""What the job costs: `python benchmarks/job_cost.py [config=reasoning_rl] [key=value ...]`.

Runs the program with these arguments and prints the seconds until the first graded rollout, the memory of all its processes (proportional
set size: shared pages are counted once) at its peak, by role, and the share of each step that is neither generation nor update.
"""

import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import psutil

GIB = 1 << 30


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory() as runs:
        program = [sys.executable, "-m", "rl.run", *(arguments or ["config=reasoning_rl"]), f"runs={runs}", "name=cost"]
        started = time.monotonic()
        console = Path(runs) / "console.txt"
        with console.open("w") as screen:
            process = subprocess.Popen(program, stdout=screen, stderr=subprocess.STDOUT)
        peak, by_role = _watch(psutil.Process(process.pid), process)
        output, wall = console.read_text(), time.monotonic() - started
        if process.returncode:
            print(output, file=sys.stderr)
            return process.returncode
        first = re.search(r"first graded rollout ([\d.]+) s", output)
        steps = [json.loads(line) for line in (Path(runs) / "cost" / "metrics.jsonl").read_text().splitlines()]
    print(f"first graded rollout      {first[1] if first else '?':>8} s")
    print(f"whole job                 {wall:8.1f} s")
    print(f"a step, median            {statistics.median(step['time/step_s'] for step in steps):8.2f} s")
    print(f"neither sampling nor update {100 * statistics.median(step['time/other_frac'] for step in steps):6.1f} % of a step, median")
    print(f"memory at its peak        {peak / GIB:8.2f} GiB")
    for role, size in sorted(by_role.items(), key=lambda pair: -pair[1]):
        print(f"  {role:24}{size / GIB:8.2f}")
    return 0


def _watch(root: psutil.Process, process: "subprocess.Popen[bytes]") -> tuple[int, dict[str, int]]:
    """Peak of the summed PSS, and what each role had then."""
    peak, at_peak = 0, {}
    while process.poll() is None:
        by_role: dict[str, int] = defaultdict(int)
        try:
            family = [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            break
        for member in family:
            try:
                by_role[_role(member, root)] += member.memory_full_info().pss
            except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                continue
        total = sum(by_role.values())
        if total > peak:
            peak, at_peak = total, dict(by_role)
        time.sleep(2)
    return peak, at_peak


def _role(member: psutil.Process, root: psutil.Process) -> str:
    if member.pid == root.pid:
        return "driver"
    command = " ".join(member.cmdline())
    for role, mark in (("actors", "ray::_Host"), ("Ray", "ray"), ("reward workers", "forkserver")):
        if mark in command:
            return role
    return "other"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
