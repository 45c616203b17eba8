"""Memory and speed of offline scoring: `python benchmarks/score_memory.py [rows] [workers]`.

Writes that many short answers, scores them by exact text, and prints rows a second and the largest resident memory of the scoring
process (its workers apart) at each tenth of the rows: it should stay level.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    workers = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    with tempfile.TemporaryDirectory() as folder:
        data, out = Path(folder) / "answers.jsonl", Path(folder) / "scored.jsonl"
        with data.open("w") as file:
            for number in range(rows):
                row = {"id": number // 4, "prompt": f"Say {number}.", "response": f"The answer is {number}.", "target": str(number)}
                file.write(json.dumps(row) + "\n")
        command = [sys.executable, "-m", "rewards.score", f"data={data}", "reward=exact", "target=text", f"out={out}", f"workers={workers}"]
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        watched, tenths, peak = psutil.Process(process.pid), 1, 0
        while process.poll() is None:
            peak = max(peak, resident(watched))
            size = out.stat().st_size if out.exists() else 0
            if size > tenths * rows * bytes_a_row(out) / 10:
                print(f"{10 * tenths:3} %  {time.perf_counter() - start:7.1f} s  {peak / 2**20:7.0f} MiB at most so far", flush=True)
                tenths += 1
            time.sleep(0.2)
        seconds = time.perf_counter() - start
        print(f"{rows:,} rows, {workers} workers: {rows / seconds:,.0f} rows/s, {peak / 2**20:.0f} MiB, exit code {process.returncode}")


def resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def bytes_a_row(out: Path) -> float:
    with out.open("rb") as file:
        lines = file.readlines(1 << 16)
    return sum(map(len, lines)) / max(1, len(lines))


if __name__ == "__main__":
    main()
