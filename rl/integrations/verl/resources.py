"""What a run on verl asks of the cluster, in words."""

from rl.config.settings import RunSettings


def resource_plan(settings: RunSettings, *, on_cpu: bool) -> str:
    verl, rollout, loop = settings.verl, settings.rollout, settings.loop
    accelerators = verl.nnodes * verl.gpus_per_node
    samples = loop.groups_per_batch * rollout.group_size
    kind = "logical GPUs of Ray on CPU cores" if on_cpu else "GPUs"
    lines = [
        f"{verl.nnodes} node(s) x {verl.gpus_per_node} = {accelerators} {kind}, shared by training and sampling",
        f"training: FSDP2 over {accelerators} rank(s)",
        f"sampling: {accelerators // verl.tensor_parallel} vLLM engine(s) on {verl.tensor_parallel} accelerator(s) each",
        f"rewards: {verl.nnodes} reward process(es) with {settings.rewards.workers} worker(s) each",
        f"a step: {loop.groups_per_batch} problems x {rollout.group_size} = {samples} rollouts of at most {rollout.max_tokens} tokens, "
        f"{settings.learner.mini_batches} updates",
        f"the run: {loop.steps} steps, at most {loop.steps * samples * rollout.max_tokens:,} sampled tokens",
    ]
    return "\n".join(lines)
