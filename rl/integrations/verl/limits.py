"""What verl's trainer cannot do as our settings say it: refused by name where it would change the result, noted where it would not."""

from collections.abc import Callable

from rl.config.settings import RunSettings

Check = Callable[[RunSettings], str | None]


def refusals(settings: RunSettings, *, on_cpu: bool) -> tuple[str, ...]:
    """A sentence for each key that verl cannot honour: the key, its value, the reason and the way out."""
    found = [check(settings) for check in _CHECKS]
    if on_cpu:
        found += [check(settings) for check in _CPU_CHECKS]
    return tuple(sentence for sentence in found if sentence)


def notes(settings: RunSettings) -> tuple[str, ...]:
    """What runs otherwise than in our own loop without changing what is optimised."""
    said = [
        f"rewards.max_ungraded_share={settings.rewards.max_ungraded_share:g} stops nothing: an ungraded rollout has reward 0, is "
        "logged, and counts in val-aux/*/ungraded",
        f"evaluation uses samples={settings.evaluation.samples} throughout; verl has one number, final_samples is not used",
        f"rollout.replicas: verl starts one engine for every {settings.verl.tensor_parallel} accelerator(s)",
        "records: verl's own files (rollouts as JSONL, TensorBoard); there is no report.html",
    ]
    if settings.loop.refill:
        said.append("loop.refill: a replacement is the next row of the data, whatever its task")
    if settings.learner.threads > 1 or settings.learner.ranks > 1:
        said.append("learner.ranks and learner.threads: verl shards over all accelerators")
    return tuple(said)


def _no_policy(settings: RunSettings) -> str | None:
    if settings.policy.path is None:
        return "policy.path=null: verl trains a checkpoint that exists; name a folder, such as the cold start that backend=local has cached"
    return None


def _cold_start(settings: RunSettings) -> str | None:
    if settings.cold_start.enabled:
        return (
            "cold_start.enabled=true: verl's trainer starts from policy.path as it is; run the cold start with backend=local first, "
            "then set cold_start.enabled=false and policy.path to its folder"
        )
    return None


def _query_filter(settings: RunSettings) -> str | None:
    if settings.query_filter.enabled:
        return (
            "query_filter.enabled=true: verl has no pass over the queries before training; filter with backend=local, "
            "or set query_filter.enabled=false and leave it to loop.refill"
        )
    return None


def _lag(settings: RunSettings) -> str | None:
    if settings.loop.max_lag:
        return f"loop.max_lag={settings.loop.max_lag}: verl's asynchronous trainers bound the age otherwise; set loop.max_lag=0"
    return None


def _engine(settings: RunSettings) -> str | None:
    if settings.rollout.engine != "vllm":
        return f"rollout.engine={settings.rollout.engine}: verl samples with vLLM; set rollout.engine=vllm"
    return None


def _coin(settings: RunSettings) -> str | None:
    return "rewards.coin_flip=true: a control of our own loop; run it with backend=local" if settings.rewards.coin_flip else None


def _method(settings: RunSettings) -> str | None:
    if settings.method != "rl":
        return f"method={settings.method}: verl's trainer is there for reinforcement learning; run it with backend=local, or set method=rl"
    return None


def _teachers(settings: RunSettings) -> str | None:
    if settings.distillation.teachers:
        names = ", ".join(settings.distillation.teachers)
        return f"distillation.teachers={names}: verl is given rewards alone; run it with backend=local, or set each to null"
    return None


def _stages(settings: RunSettings) -> str | None:
    if settings.stages:
        return f"stages={', '.join(settings.stages)}: verl's trainer is one run; name one stage's keys, or run them with backend=local"
    return None


def _further(settings: RunSettings) -> str | None:
    if settings.further_supervised_s is not None:
        return f"further_supervised_s={settings.further_supervised_s:g}: a control of our own loop; run it with backend=local"
    return None


def _aggregation(settings: RunSettings) -> str | None:
    objective = settings.objective
    if objective.name == "sapo" and objective.aggregation != "sequence":
        return f"objective.aggregation={objective.aggregation}: verl's SAPO takes the mean over tokens, then responses; set it to sequence"
    return None


def _decay(settings: RunSettings) -> str | None:
    if settings.learner.optimizer.decay == "linear":
        return "learner.optimizer.decay=linear: verl has constant and cosine"
    return None


def _mini_batches(settings: RunSettings) -> str | None:
    groups, parts = settings.loop.groups_per_batch, settings.learner.mini_batches
    if groups % parts:
        return f"learner.mini_batches={parts}: loop.groups_per_batch={groups} is not a multiple of it, and verl cuts it into equal parts"
    accelerators = settings.verl.nnodes * settings.verl.gpus_per_node
    if groups // parts * settings.rollout.group_size % accelerators:
        return (
            f"loop.groups_per_batch={groups}: a mini-batch of {groups // parts} groups of {settings.rollout.group_size} "
            f"does not divide among {accelerators} accelerators"
        )
    return None


def _tensor_parallel(settings: RunSettings) -> str | None:
    verl = settings.verl
    if verl.gpus_per_node % verl.tensor_parallel:
        return f"verl.tensor_parallel={verl.tensor_parallel}: verl.gpus_per_node={verl.gpus_per_node} is not a multiple of it"
    return None


def _lengths(settings: RunSettings) -> str | None:
    rollout = settings.rollout
    if rollout.max_tokens >= rollout.max_model_len:
        return f"rollout.max_tokens={rollout.max_tokens} leaves no room for a prompt in rollout.max_model_len={rollout.max_model_len}"
    return None


def _reference_on_cpu(settings: RunSettings) -> str | None:
    if settings.objective.reference.coefficient > 0:
        return "objective.reference.coefficient: verl's reference model needs a GPU; set it to 0 or use backend=local"
    return None


def _bfloat16_on_cpu(settings: RunSettings) -> str | None:
    if settings.policy.dtype == "bfloat16":
        return "policy.dtype=bfloat16: without a GPU verl runs in float32 here; set policy.dtype=auto"
    return None


_CHECKS: tuple[Check, ...] = (
    _no_policy,
    _cold_start,
    _query_filter,
    _lag,
    _engine,
    _coin,
    _method,
    _teachers,
    _stages,
    _further,
    _aggregation,
    _decay,
    _mini_batches,
    _tensor_parallel,
    _lengths,
)
_CPU_CHECKS: tuple[Check, ...] = (_reference_on_cpu, _bfloat16_on_cpu)
