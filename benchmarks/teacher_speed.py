"""How fast a teacher scores what a student sampled, by route: `python benchmarks/teacher_speed.py [key=value ...]`.

Scored tokens a second on one core: hidden states (for the full vocabulary), top-k and the sampled token on torch, top-k and the sampled
token on vLLM; and the memory above the inputs that a divergence takes, all logits at once against chunks. Keys, with defaults:
hidden=160 layers=4 groups=16 prompt=24 tokens=48 rounds=5

    python benchmarks/teacher_speed.py run=runs/on_policy_distill      the share of a run's steps that waits for the teacher, instead
"""

import multiprocessing
import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

GROUP_SIZE = 8
DEFAULTS = {"hidden": 160, "layers": 4, "groups": 16, "prompt": 24, "tokens": 48, "rounds": 5}


def main(arguments: list[str]) -> None:
    if arguments and arguments[0].startswith("run="):
        _waiting(Path(arguments[0].removeprefix("run=")))
        return
    values = DEFAULTS | {key: int(value) for key, value in (argument.split("=", 1) for argument in arguments)}
    if unknown := values.keys() - DEFAULTS.keys():
        raise SystemExit(f"unknown key {', '.join(unknown)}; known: {', '.join(DEFAULTS)}")
    # glibc keeps freed blocks below 32 MiB on its heap, and the peak would be the heap's instead of what is held.
    os.environ |= {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1", "MALLOC_MMAP_THRESHOLD_": "1000000"}
    # Each engine in a process of its own: neither pays for the other's caches.
    context = multiprocessing.get_context("spawn")
    print(f"{values['groups'] * GROUP_SIZE * values['tokens']:,} scored tokens of {values['groups']} prompts; median of {values['rounds']}")
    print(f"{'route':28}{'tokens/s':>10}{'s':>8}")
    for measure in (_torch, _vllm):
        with context.Pool(1) as pool:
            for name, seconds in pool.apply(measure, (values,)):
                print(f"{name:28}{values['groups'] * GROUP_SIZE * values['tokens'] / seconds:>10,.0f}{seconds:>8.2f}")
    with context.Pool(1) as pool:
        print(f"\n{'full reverse KL, 4,096 x 32,768':34}{'peak MiB':>10}")
        for name, size in pool.apply(_memory):
            print(f"{name:34}{size:>10,.0f}")


def _waiting(run: Path) -> None:
    from rl.records.run_folder import RunFolder

    steps = [step.values for step in RunFolder(run).metrics()]
    step_s, teacher_s = (statistics.mean(values[name] for values in steps) for name in ("time/step_s", "time/teacher_s"))
    print(f"{len(steps)} steps of {step_s:.2f} s, {teacher_s:.2f} s of each ({teacher_s / step_s:.0%}) waiting for the teacher")


def _torch(values: dict[str, int]) -> list[tuple[str, float]]:
    import torch

    from rl.training.frozen import FrozenPolicy
    from rl.training.model import SoftmaxSettings

    torch.set_num_threads(1)
    policy, trees, rows = _policy(values), _trees(values), _rows(values)
    teacher = FrozenPolicy(policy, SoftmaxSettings(), 8192, bfloat16=False)
    return [
        ("torch, full vocabulary", _median(lambda: teacher.hidden_states(trees), values)),
        ("torch, top 16", _median(lambda: teacher.top_k(trees, 16, rows), values)),
        ("torch, top 64", _median(lambda: teacher.top_k(trees, 64, rows), values)),
        ("torch, sampled token", _median(lambda: teacher.logprobs(trees), values)),
    ]


def _vllm(values: dict[str, int]) -> list[tuple[str, float]]:
    from distill.vllm_teacher import VllmTeacher
    from rollouts.vllm_engine import VllmSettings

    policy, trees, rows = _policy(values), _trees(values), _rows(values)
    teacher = VllmTeacher(VllmSettings(policy, max_model_len=values["prompt"] + values["tokens"] + 1))
    return [
        ("vLLM, top 16", _median(lambda: teacher.top_k(trees, 16, rows), values)),
        ("vLLM, top 64", _median(lambda: teacher.top_k(trees, 64, rows), values)),
        ("vLLM, sampled token", _median(lambda: teacher.logprobs(trees), values)),
    ]


def _memory() -> list[tuple[str, float]]:
    """Peak above the inputs of the divergence and its gradient, in MiB; the smaller first, since a peak never falls."""
    import resource

    import torch

    from distill.comparison import FullVocabulary, compare
    from distill.divergences import Divergence
    from rl.training.model import SoftmaxSettings

    torch.set_num_threads(1)
    hidden, head = torch.randn(4096, 64), torch.randn(32768, 64)
    teacher = FullVocabulary(torch.randn(4096, 64), torch.randn(32768, 64))
    found = []
    for name, chunk in (("chunks of 128 positions", 128), ("chunks of 512 positions", 512), ("all positions at once", 4096)):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        student = hidden.clone().requires_grad_()
        compare(student, head, teacher, Divergence("reverse_kl"), SoftmaxSettings(chunk=chunk), 32768).divergence_N.sum().backward()
        found.append((name, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024))
    running = 0.0
    return [(name, running := running + growth) for name, growth in found]


def _median(run: Callable[[], object], values: dict[str, int]) -> float:
    times = []
    for _ in range(values["rounds"] + 1):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def _policy(values: dict[str, int]) -> Path:
    from rl.config.supervised_settings import TinyPolicySettings
    from rl.policy import build_tiny_policy
    from tasks.families.algebra import Algebra

    rng = random.Random(0)
    texts = [text for example in (Algebra().make(rng) for _ in range(256)) for text in (example.messages[0].text, example.demonstration)]
    shape = TinyPolicySettings(
        hidden_size=values["hidden"], num_layers=values["layers"], num_heads=values["hidden"] // 32, intermediate_size=3 * values["hidden"]
    )
    return build_tiny_policy(shape, texts, 0, Path(".cache"))


def _rows(values: dict[str, int]) -> int:
    from transformers import AutoTokenizer

    return len(AutoTokenizer.from_pretrained(_policy(values)))


def _trees(values: dict[str, int]) -> list[object]:
    """Prompts with the responses of a group, of random letters and digits."""
    import numpy as np

    from rl.training.tree import Stretch, Tree

    rng = np.random.default_rng(0)

    def stretch(length: int, said: bool) -> Stretch:
        return Stretch(rng.integers(40, 90, length), np.full(length, said))

    return [
        Tree(stretch(values["prompt"], False), tuple(stretch(values["tokens"], True) for _ in range(GROUP_SIZE)))
        for _ in range(values["groups"])
    ]


if __name__ == "__main__":
    main(sys.argv[1:])
