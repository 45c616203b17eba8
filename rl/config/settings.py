"""The settings of a run: every key, its type, its default and what it does.

Unknown keys and impossible values are refused; see `rl/config/configure.py` for where the values come from.
"""

from pathlib import Path, PurePath
from typing import Annotated, Literal

from pydantic import Field, model_validator

from rl.config.rollout_settings import EvaluationSettings, QueryFilterSettings, RolloutSettings
from rl.config.strict_settings import Count, NonNegative, Positive, Settings, Share
from rl.config.supervised_settings import ColdStartSettings, OptimizerSettings, PolicySettings
from rl.config.task_settings import TaskSettings
from rl.config.teaching_settings import DistillationSettings, PreferenceSettings

STAGE = "stage:"
"""Before the name of an earlier stage, it stands for the policy that this one made."""


class RewardSettings(Settings):
    plugins: tuple[str, ...] = Field(
        (), description="files or modules with rewards: `path/to/file.py[:name]` or `package.module`; `rewards: [...]` is short for it"
    )
    workers: Count = Field(1, description="reward worker processes")
    timeout_s: Positive = Field(10.0, description="seconds a call may take before its worker is killed")
    memory_mib: Count = Field(1024, description="MiB a worker may allocate above its start")
    max_ungraded_share: Share = Field(0.2, description="a batch with a larger share of ungraded rollouts stops the run")
    coin_flip: bool = Field(False, description="replace every training reward by a fair coin: the control that must not learn")


class ReferenceSettings(Settings):
    coefficient: NonNegative = Field(0.0, description="weight of the KL term to the starting policy; 0 starts no reference actor")
    estimator: Literal["k1", "k2", "k3"] = Field("k3", description="see docs/methods.md for the gradient that each gives")


class ObjectiveSettings(Settings):
    name: Literal["sapo", "grpo", "gspo"] = Field(
        "sapo", description="sapo (default), grpo (clipped ratio of a token), gspo (clipped ratio of a sequence)"
    )
    tau_pos: Positive = Field(1.0, description="SAPO's temperature where the advantage is positive")
    tau_neg: Positive = Field(1.05, description="SAPO's temperature elsewhere")
    clip_low: Positive = Field(0.2, description="GRPO and GSPO clip the ratio below 1 - clip_low")
    clip_high: Positive = Field(0.2, description="GRPO and GSPO clip the ratio above 1 + clip_high; larger than clip_low is clip-higher")
    aggregation: Literal["sequence", "token", "constant"] = Field(
        "sequence", description="mean over tokens then responses; over all tokens; or Dr.GRPO's sum over a constant length"
    )
    advantage: Literal["standardised", "centred", "leave_one_out"] = Field(
        "standardised", description="(R - mean) / std; Dr.GRPO's R - mean; R - mean of the others"
    )
    importance_cap: Annotated[float, Field(ge=1, allow_inf_nan=False)] | None = Field(
        2.0, description="cap of the truncated importance weight, engine to learner; null turns the correction off"
    )
    reference: ReferenceSettings = ReferenceSettings()


class LearnerSettings(Settings):
    ranks: Count = Field(1, description="learner processes; more than one shards with FSDP2")
    threads: Count = Field(1, description="OpenMP threads a rank, on the CPU")
    micro_batch_tokens: Count = Field(
        8192, description="tokens of a forward-backward pass, at the most (a longer single sequence goes alone)"
    )
    mini_batches: Count = Field(2, description="optimizer steps a batch of rollouts")
    old_logprobs: Literal["behavior", "recompute"] = Field(
        "behavior", description="pi_old: the engine's log-probs, or the learner's own, at the cost of one more forward pass"
    )
    logits_chunk: Count = Field(2048, description="positions whose logits exist at one time")
    gradient_checkpointing: bool = Field(False, description="recompute activations in the backward pass")
    compile: bool = Field(
        False, description="fuse norms and MLPs by torch.compile: the first update takes some seconds longer, later ones a tenth less"
    )
    freeze_vision: bool = Field(False, description="keep the vision tower and merger as they are")
    optimizer: OptimizerSettings = OptimizerSettings()


class LoopSettings(Settings):
    steps: Count = Field(100, description="batches of rollouts")
    groups_per_batch: Count = Field(32, description="problems a batch")
    max_lag: Annotated[int, Field(ge=0)] = Field(
        0, description="versions that a rollout may be older than the policy it trains; 0 is synchronous"
    )
    refill: bool = Field(True, description="replace groups whose rewards are all equal by fresh ones of the same task")
    max_refills: Count = Field(8, description="the run stops when this many batches' groups had equal rewards, one after the other")


class CheckpointSettings(Settings):
    every: Count = Field(
        20, description="steps between checkpoints; outside of the loop, the least steps, since they are written where it validates"
    )
    keep: Count = Field(2, description="newest checkpoints that are kept")


class RecordSettings(Settings):
    trackers: tuple[Literal["tensorboard", "wandb", "trackio"], ...] = Field(("tensorboard",), description="besides metrics.jsonl")
    rollouts_every: Count = Field(10, description="steps between recorded batches of rollouts")
    rollouts_per_task: Count = Field(2, description="groups of each task that are recorded then")
    report: bool = Field(True, description="write report.html at the end")


class VerlSettings(Settings):
    """Only for `backend=verl`."""

    nnodes: Count = Field(1, description="machines of the cluster")
    gpus_per_node: Count = Field(1, description="accelerators of a machine; training and sampling share them")
    tensor_parallel: Count = Field(1, description="accelerators over which one vLLM engine is spread")


class RunSettings(Settings):
    """What `python -m rl.run` does."""

    name: str = Field("run", description="the run's folder below `runs`")
    runs: Path = Field(Path("runs"), description="where run folders are made")
    cache: Path = Field(Path(".cache"), description="where cold starts and filter tables are kept, by content")
    seed: Annotated[int, Field(ge=0)] = Field(0, description="seeds problems, initial weights and sampling")
    dry_run: bool = Field(False, description="validate everything, print the plan, start nothing")
    backend: Literal["local", "verl"] = Field("local", description="our loop, or verl's trainer with our rewards")
    method: Literal["rl", "sft", "off_policy_distill", "dpo"] = Field(
        "rl",
        description="rl: reinforcement learning, on-policy distillation or both; sft: the cold start alone; off_policy_distill: imitation; "
        "dpo: preference optimisation",
    )
    gpu_share: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        1.0, description="share of a GPU that each process takes; 0.5 puts a generator and the learner on one"
    )
    further_supervised_s: Positive | None = Field(
        None, description="the control of equal compute: this many seconds more of supervised training in place of reinforcement learning"
    )
    stages: dict[str, dict[str, bool | int | float | str | None]] = Field(
        {}, description="runs to be done in order, each from the policy of the one before: by name, the dotted keys that are its own"
    )
    policy: PolicySettings = PolicySettings()
    tasks: dict[str, TaskSettings] = Field({}, description="the tasks of the mix, by name")
    cold_start: ColdStartSettings = ColdStartSettings()
    query_filter: QueryFilterSettings = QueryFilterSettings()
    rollout: RolloutSettings = RolloutSettings()
    rewards: RewardSettings = RewardSettings()
    objective: ObjectiveSettings = ObjectiveSettings()
    distillation: DistillationSettings = DistillationSettings()
    preferences: PreferenceSettings = PreferenceSettings()
    learner: LearnerSettings = LearnerSettings()
    loop: LoopSettings = LoopSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    checkpoint: CheckpointSettings = CheckpointSettings()
    records: RecordSettings = RecordSettings()
    verl: VerlSettings = VerlSettings()

    @property
    def weights(self) -> dict[str, float]:
        """The shares of the tasks that are trained on; the others are only evaluated."""
        return {name: task.weight for name, task in self.tasks.items() if task.weight > 0}

    @property
    def uses_rewards(self) -> bool:
        """False where distillation alone trains the policy."""
        return not self.distillation.teachers or self.distillation.reward_weight > 0

    @property
    def evaluation_temperature(self) -> float:
        return self.rollout.temperature if self.evaluation.temperature is None else self.evaluation.temperature

    @property
    def uses_loop(self) -> bool:
        """Whether the policy is updated on what it sampled itself."""
        return self.method == "rl" and self.further_supervised_s is None

    @property
    def uses_teachers(self) -> bool:
        """Whether this run asks them at all: a stage of several runs may not."""
        return self.uses_loop or self.method == "off_policy_distill"

    @model_validator(mode="after")
    def _teachers_can_teach(self) -> "RunSettings":
        if self.stages:
            return self  # Each is checked with the keys that are its own.
        if self.method == "off_policy_distill" and not self.distillation.teachers:
            raise ValueError("method=off_policy_distill has nobody to imitate: name a teacher, distillation.teachers.<name>.path=...")
        for name, teacher in self.distillation.teachers.items():
            if teacher.server is not None and teacher.path is None:
                raise ValueError(f"distillation.teachers.{name}.server serves many models: name one as distillation.teachers.{name}.path")
            if teacher.server is not None and self.uses_loop:
                raise ValueError(
                    f"distillation.teachers.{name}.server writes answers and gives no scores: method=off_policy_distill, or without it, "
                    f"distillation.teachers.{name}=null"
                )
        return self

    @model_validator(mode="after")
    def _stays_below_runs(self) -> "RunSettings":
        path = PurePath(self.name)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ValueError(f"name={self.name!r} names no folder below `runs`: take a plain name, and another place by runs=<folder>")
        return self

    @model_validator(mode="after")
    def _control_replaces_the_loop(self) -> "RunSettings":
        if self.further_supervised_s is not None and self.method != "rl":
            raise ValueError(
                f"further_supervised_s={self.further_supervised_s:g} stands in the place of reinforcement learning, and would drop "
                f"method={self.method}: further_supervised_s=null, or method=rl"
            )
        return self

    @model_validator(mode="after")
    def _something_is_trained(self) -> "RunSettings":
        if self.method == "sft" and not self.cold_start.enabled:
            raise ValueError(
                "method=sft is the cold start alone, and cold_start.enabled=false: nothing would be trained; take one of them out"
            )
        return self

    @model_validator(mode="after")
    def _engines_can_score(self) -> "RunSettings":
        if self.stages:
            return self  # Each is checked with the keys that are its own.
        on_vllm = [name for name, teacher in self.distillation.teachers.items() if teacher.engine == "vllm"]
        if on_vllm and self.method == "rl":
            key = f"distillation.teachers.{on_vllm[0]}.engine=vllm"
            if self.distillation.vocabulary == "full":
                raise ValueError(f"{key} gives log-probs of single tokens alone: distillation.vocabulary=top_k, or sampled")
            if self.rollout.temperature != 1.0:
                raise ValueError(f"{key} scores at temperature 1, and rollout.temperature is {self.rollout.temperature:g}")
        return self

    @model_validator(mode="after")
    def _rewards_or_teachers(self) -> "RunSettings":
        if self.stages:
            return self  # Each is checked with the keys that are its own.
        if self.uses_rewards and self.rollout.group_size < 2:
            raise ValueError(f"rollout.group_size={self.rollout.group_size}: rewards are compared within a group, so it takes at least 2")
        if self.method == "rl" and self.distillation.teachers and self.loop.refill:
            raise ValueError(
                "loop.refill drops groups of equal rewards, and a teacher has something to say of those too: loop.refill=false"
            )
        return self

    @model_validator(mode="after")
    def _a_rank_has_a_gpu(self) -> "RunSettings":
        if self.learner.ranks > 1 and self.gpu_share <= 0.5:
            raise ValueError(
                f"gpu_share={self.gpu_share:g} would put two of learner.ranks={self.learner.ranks} on one GPU: NCCL refuses that"
            )
        return self

    @model_validator(mode="after")
    def _has_tasks(self) -> "RunSettings":
        if not self.tasks:
            raise ValueError("`tasks` is empty: name at least one task, e.g. tasks.algebra.family=algebra")
        for name in self.tasks:
            if name == "mean" or "/" in name:
                raise ValueError(f"tasks.{name}: metrics are named `accuracy/<task>` beside `accuracy/mean`; give the task another name")
        if not self.weights:
            raise ValueError("every task has weight 0, so that there is none to train on: give one a weight above 0")
        if self.loop.groups_per_batch < len(self.weights):
            raise ValueError(f"loop.groups_per_batch={self.loop.groups_per_batch} cannot hold all {len(self.weights)} tasks in every batch")
        return self
