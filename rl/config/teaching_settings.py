"""Settings of distillation, off-policy and on-policy, and of preference optimisation."""

from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field

from rl.config.strict_settings import Count, NonNegative, Positive, Settings
from rl.config.supervised_settings import DemonstrationSettings, SupervisedSettings, TinyPolicySettings


class TeacherSettings(Settings):
    """A teacher of on-policy distillation: a checkpoint with the student's token ids, or a tiny one that is built and trained here."""

    path: str | None = Field(None, description="a local folder or hub name; null builds `tiny` and trains it as `cold_start` says")
    server: str | None = Field(
        None, description="address of an OpenAI-compatible server, whose model is `path`; it writes answers, no scores"
    )
    engine: Literal["torch", "vllm"] = Field(
        "torch", description="what scores the student's tokens; vllm takes larger teachers, and vocabulary=top_k or sampled"
    )
    sources: tuple[str, ...] = Field((), description="tasks that it teaches; empty: those that no other teacher names")
    tiny: TinyPolicySettings = TinyPolicySettings()
    cold_start: DemonstrationSettings = DemonstrationSettings()


ThinkingMode: TypeAlias = Literal["thinking", "non_thinking"]
ResponseFilter: TypeAlias = Literal["ungraded", "incomplete", "wrong_final", "repetition", "language_mixing", "guess"]


def _each_once(modes: tuple[ThinkingMode, ...]) -> tuple[ThinkingMode, ...]:
    if len(set(modes)) < len(modes):
        raise ValueError(f"[{', '.join(modes)}] names a mode twice, which gives the same answers twice: raise `samples` for more of them")
    return modes


class OffPolicySettings(Settings):
    """Off-policy distillation: teachers answer training problems, what passes the filters is imitated as `supervised` says."""

    problems: Count = Field(256, description="training problems of each task")
    modes: Annotated[tuple[ThinkingMode, ...], Field(min_length=1), AfterValidator(_each_once)] = Field(
        ("thinking",), description="how teachers are asked; non_thinking by the chat template's enable_thinking, and imitated under it"
    )
    samples: Count = Field(4, description="answers a problem in each mode")
    temperature: Positive = Field(1.0, description="sampling temperature of the teachers")
    max_tokens: Count = Field(128, description="tokens of an answer at the most")
    filters: tuple[ResponseFilter, ...] = Field(
        ("ungraded", "incomplete", "wrong_final", "repetition", "language_mixing"),
        description="answers are dropped by the first of these that applies; see docs/methods.md",
    )
    min_reasoning_chars: Count = Field(16, description="an answer with fewer characters that lead to it is a guess")
    per_problem: Count | None = Field(None, description="answers of a problem that are kept in each mode at the most; null keeps all")
    supervised: SupervisedSettings = SupervisedSettings()


class DistillationSettings(Settings):
    """On-policy distillation: teachers score what the student samples. Without teachers there is none."""

    teachers: dict[str, TeacherSettings] = Field({}, description="teachers by name")
    off_policy: OffPolicySettings = OffPolicySettings()
    weight: Positive = Field(1.0, description="weight of the distillation term")
    reward_weight: NonNegative = Field(0.0, description="weight of the policy loss on rewards beside it; 0 distils alone")
    vocabulary: Literal["full", "top_k", "sampled"] = Field(
        "full", description="what a teacher says: everything, its `top_k` and a bucket for the rest, or the sampled token as an advantage"
    )
    top_k: Count = Field(64, description="tokens of a teacher that are kept with vocabulary=top_k")
    divergence: Literal["reverse_kl", "forward_kl", "jsd"] = Field(
        "reverse_kl", description="see docs/methods.md for the gradient of each; vocabulary=sampled is always the reverse KL"
    )
    beta: Annotated[float, Field(ge=0.01, le=0.99)] = Field(
        0.5, description="the teacher's share of the mixture in divergence=jsd; nearer to an end float32 loses its digits"
    )


class PreferenceSettings(Settings):
    """Preference optimisation (DPO): `learner` says how, but for mini-batches, which are whole here."""

    data: str | None = Field(
        None,
        description="a .jsonl, .parquet or `hf:` table of prompt, chosen, rejected; none: the policy's own best against its worst",
    )
    problems: Count = Field(256, description="problems of each task that the policy answers, where there is no `data`")
    samples: Annotated[int, Field(ge=2)] = Field(8, description="answers to each of them; rewards choose the pair")
    steps: Count = Field(100, description="optimizer steps")
    batch_size: Count = Field(32, description="pairs in an optimizer step")
    beta: Positive = Field(0.1, description="how much a nat of preference counts: smaller lets the policy move further")
