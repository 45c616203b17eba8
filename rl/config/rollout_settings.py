"""Settings of sampling: the query filter, the engine, tools and the limits of their turns."""

from typing import Literal

from pydantic import Field

from rl.config.strict_settings import Count, NonNegative, Positive, Settings, Share

OverLimit = Literal["graded", "left_out", "penalised"]


class QueryFilterSettings(Settings):
    enabled: bool = Field(True, description="drop the queries that the policy already answers")
    samples: Count = Field(16, description="samples a query")
    max_pass_rate: Share = Field(0.9, description="queries with a higher pass rate are dropped")
    drop_unsolved: bool = Field(False, description="also drop the queries that no sample answers")
    stop_when_certain: bool = Field(
        False,
        description="sample a query no further once the rest cannot change that it stays; its row then counts fewer samples",
    )


class ToolSettings(Settings):
    """The tools of problems that have some."""

    plugins: tuple[str, ...] = Field((), description="files or modules with tools: `path/to/file.py` or `package.module`")
    timeout_s: Positive = Field(10.0, description="seconds a call may take; a text says so to the model")
    workers: Count = Field(1, description="processes for synchronous tools of plug-ins")
    describe: bool = Field(True, description="show the tools' schemas in the system turn; false for a policy that was taught without")
    settings: dict[str, dict[str, bool | int | float | str]] = Field({}, description="settings of a tool, by the tool's name")


class TurnSettings(Settings):
    """Limits of a rollout with tools; each has its own status. `rollout.max_tokens` limits the sampled tokens of all turns."""

    turns: Count = Field(6, description="assistant turns")
    calls: Count = Field(8, description="tool calls, failed ones included")
    parallel_calls: Count = Field(4, description="tool calls of one turn")
    image_tokens: Count = Field(4096, description="tokens of all images, the prompt's included")
    seconds: Positive = Field(600.0, description="from its start to its last turn; the first turn is not interrupted")


class RolloutSettings(Settings):
    engine: Literal["vllm", "torch"] = Field(
        "vllm", description="vllm, or plain transformers, which is faster for tiny policies on CPU cores"
    )
    replicas: Count = Field(1, description="number of generator actors")
    group_size: Count = Field(8, description="rollouts a problem; at least 2 where rewards are compared")
    max_tokens: Count = Field(128, description="sampled tokens a rollout at the most")
    temperature: Positive = Field(1.0, description="sampling temperature in training")
    max_model_len: Count = Field(1024, description="longest sequence of the engine, prompt included")
    max_num_seqs: Count = Field(256, description="sequences that an engine works on at one time")
    kv_cache_mib: Count = Field(64, description="MiB of the engine's key-value cache (on the CPU)")
    gpu_memory_utilization: Share = Field(0.5, description="share of GPU memory that an engine takes (on a GPU)")
    tools: ToolSettings = ToolSettings()
    limits: TurnSettings = TurnSettings()
    over_limit: OverLimit = Field(
        "graded", description="rollouts that a limit ended: graded as they are, out of group and gradient, or `over_limit_penalty` less"
    )
    over_limit_penalty: NonNegative = Field(0.5, description="what penalised rollouts lose")


class EvaluationSettings(Settings):
    every: Count = Field(20, description="steps between evaluations during training")
    samples: Count = Field(4, description="samples a held-out problem during training")
    final_samples: Count = Field(16, description="samples a held-out problem before and after")
    temperature: NonNegative | None = Field(None, description="sampling temperature of evaluations, 0 for greedy; null: that of training")
