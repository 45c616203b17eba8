"""Samples a second of this project and of TRL, side by side: the same policy, prompts, group size, tokens and updates.

    python benchmarks/trl_sapo.py                                   64 tokens each, a tiny Qwen3 that is built here
    python benchmarks/trl_sapo.py policy=FOLDER stops=natural tasks=images    a cold start's own tasks, each answer ended where it ends it

The two take turns, batch of rollouts by batch, so that a busy machine is busy for both. Keys, with defaults:
policy=<built> hidden=128 layers=4 vl=false  tasks=algebra (images, text: those of reasoning_rl)  prompts=32  stops=fixed tokens=64
rounds=6 warmup=2  threads=2 (TRL's) compile=false (both)
our_threads=2 replicas=0 (0: in one process; else Ray actors) engine=vllm (torch: plain transformers)  sides=ours,trl
"""

import multiprocessing
import statistics
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
from sapo_workload import GROUP_SIZE, RoundReport, Workload

DEFAULTS = {
    "policy": "",
    "hidden": "128",
    "layers": "4",
    "vl": "false",
    "tasks": "algebra",
    "prompts": "32",
    "stops": "fixed",
    "tokens": "64",
    "rounds": "6",
    "warmup": "2",
    "threads": "2",
    "compile": "false",
    "our_threads": "2",
    "replicas": "0",
    "engine": "vllm",
    "sides": "ours,trl",
}


class Side:
    """One of the two, in processes of its own."""

    def __init__(self, name: str, workload: Workload) -> None:
        self.name = name
        self.rounds: list[tuple[RoundReport, float, float]] = []
        context = multiprocessing.get_context("spawn")
        self._line, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(name, workload, theirs))
        self._process.start()
        theirs.close()
        assert self._line.recv() == "ready"
        self._root = psutil.Process(self._process.pid)

    def round(self) -> None:
        cpu, started = self._cpu_s(), time.perf_counter()
        self._line.send("go")
        report = self._line.recv()
        self.rounds.append((report, time.perf_counter() - started, self._cpu_s() - cpu))

    def close(self) -> None:
        self._line.close()
        self._process.join(60)

    def _cpu_s(self) -> float:
        family = [self._root, *self._root.children(recursive=True)]
        return sum(sum(member.cpu_times()[:2]) for member in family)


def main(arguments: list[str]) -> None:
    values = DEFAULTS | dict(argument.split("=", 1) for argument in arguments)
    unknown = values.keys() - DEFAULTS.keys()
    if unknown:
        raise SystemExit(f"unknown key {', '.join(unknown)}; known: {', '.join(DEFAULTS)}")
    warmup, rounds = int(values["warmup"]), int(values["rounds"])
    shape = int(values["hidden"]), int(values["layers"]), values["vl"] == "true"
    policy = Path(values["policy"]) if values["policy"] else build_policy(*shape)
    sides = []
    for name in values["sides"].split(","):
        threads = int(values["our_threads" if name == "ours" else "threads"])
        fixed = {"fixed": True, "natural": False}[values["stops"]]
        compiled = values["compile"] == "true"
        workload = Workload(
            policy,
            int(values["prompts"]),
            fixed,
            int(values["tokens"]),
            warmup + rounds,
            threads,
            compiled,
            int(values["replicas"]),
            values["tasks"],
            values["engine"],
        )
        sides.append(Side(name, workload))
    try:
        for number in range(warmup + rounds):
            for side in sides if number % 2 == 0 else reversed(sides):
                side.round()
    finally:
        for side in sides:
            side.close()
    _print(sides, warmup, int(values["prompts"]) * GROUP_SIZE)


def _print(sides: list[Side], warmup: int, samples: int) -> None:
    kept_rounds, load = len(sides[0].rounds) - warmup, psutil.getloadavg()[0]
    print(f"\n{samples} samples a batch, 2 updates; median of {kept_rounds} batches after {warmup}; load {load:.1f}")
    print(
        f"{'':6}{'samples/s':>10}{'wall s':>8}{'cpu s':>8}{'generate':>10}{'rescore':>9}{'update':>8}{'other':>7}{'tokens':>8}{'best s':>8}"
    )
    rates = {}
    for side in sides:
        kept = side.rounds[warmup:]
        wall, cpu = statistics.median(w for _, w, _ in kept), statistics.median(c for _, _, c in kept)
        rates[side.name] = (samples / wall, samples / cpu, samples / min(w for _, w, _ in kept))
        parts = [
            statistics.median(getattr(r, f"{part}_s") / r.total_s for r, _, _ in kept)
            for part in ("generate", "rescore", "update", "other")
        ]
        shares = "".join(f"{share:>{width}.0%}" for share, width in zip(parts, (10, 9, 8, 7), strict=True))
        tokens = statistics.mean(r.tokens / samples for r, _, _ in kept)
        print(f"{side.name:6}{samples / wall:>10.1f}{wall:>8.2f}{cpu:>8.2f}{shares}{tokens:>8.1f}{min(w for _, w, _ in kept):>8.2f}")
    if len(rates) == 2:
        ratios = [ours / theirs for ours, theirs in zip(rates["ours"], rates["trl"], strict=True)]
        print("ours / TRL: {:.2f} by wall time, {:.2f} by CPU seconds, {:.2f} by the best batch".format(*ratios))


def _serve(name: str, workload: Workload, line: Connection) -> None:
    if name == "ours":
        from sapo_ours import serve
    else:
        from sapo_trl import serve
    serve(workload, line)


def build_policy(hidden: int, layers: int, vl: bool) -> Path:
    """A tiny untrained policy, made in a process of its own: building one loads torch."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_built, (hidden, layers, vl))


def _built(hidden: int, layers: int, vl: bool) -> Path:
    import random

    import torch
    from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

    from rl.config.supervised_settings import TinyPolicySettings
    from rl.policy import build_tiny_policy
    from tasks.families.algebra import Algebra

    rng = random.Random(0)
    examples = [Algebra().make(rng) for _ in range(256)]
    texts = [text for example in examples for text in (example.messages[0].text, example.demonstration)]
    tiny = TinyPolicySettings(hidden_size=hidden, num_layers=layers, intermediate_size=3 * hidden)
    folder = build_tiny_policy(tiny, texts, 0, Path(".cache"))
    if vl:
        return folder
    tokenizer = AutoTokenizer.from_pretrained(folder)
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 32,
        num_key_value_heads=max(1, hidden // 64),
        head_dim=32,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    text_folder = folder.with_name(f"{folder.name}-text-{hidden}-{layers}")
    Qwen3ForCausalLM(config).save_pretrained(text_folder)
    tokenizer.save_pretrained(text_folder)
    return text_folder


if __name__ == "__main__":
    main(sys.argv[1:])
