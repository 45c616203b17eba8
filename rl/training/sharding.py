"""A policy sharded over the ranks of a process group with FSDP2.

accelerate's own FSDP2 wants a GPU; torch's `fully_shard` also runs on the CPU, so it is applied here and accelerate does the rest.
"""

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

from rl.training.model import Policy


def shard(policy: Policy, device: torch.device, *, bfloat16: bool) -> None:
    """Shards `policy` in place: one unit for each transformer block, one for all the rest, where tied embeddings stay one parameter.

    Every rank must have read the same weights. With `bfloat16`, blocks are gathered and computed in it, gradients are summed in float32.
    """
    mesh = init_device_mesh(device.type, (torch.distributed.get_world_size(),))
    precision = MixedPrecisionPolicy(torch.bfloat16, torch.float32) if bfloat16 else MixedPrecisionPolicy()
    blocks = set(policy.model._no_split_modules or ())
    for module in reversed(list(policy.modules())):
        if type(module).__name__ in blocks:
            fully_shard(module, mesh=mesh, mp_policy=precision)
    fully_shard(policy, mesh=mesh, mp_policy=precision)
