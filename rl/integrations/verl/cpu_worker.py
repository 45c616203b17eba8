"""How weights reach vLLM's CPU build inside verl."""

from pathlib import Path

import torch
from verl.workers.rollout.vllm_rollout.bucketed_weight_transfer import BucketedWeightReceiver
from verl.workers.rollout.vllm_rollout.utils import vLLMColocateWorkerExtension

from rollouts.checkpoint_weights import CheckpointWeights


class CpuWorkerExtension(vLLMColocateWorkerExtension):  # type: ignore[misc]  # verl has no types
    """vLLM's CPU kernels hold packed copies of the weights: a plain load, bucket by bucket, would fail. This one reloads layer by layer."""

    def update_weights_from_ipc(self, peft_config: object = None, base_sync_done: bool = False, use_shm: bool = False) -> None:
        assert peft_config is None, "LoRA adapters are not supported on the CPU"
        received: dict[str, torch.Tensor] = {}

        def keep(weights: list[tuple[str, torch.Tensor]], is_last: bool) -> None:
            # The bucket is used again for the next one.
            received.update((name, tensor.clone()) for name, tensor in weights)

        receiver = BucketedWeightReceiver(zmq_handle=self._get_zmq_handle(), device=torch.device("cpu"), use_shm=use_shm)
        receiver.receive_weights(on_bucket_received=keep)
        checkpoint = CheckpointWeights.of(Path(self.model_runner.model_config.model))
        self.model_runner.reload_weights(weights_iterator=iter(checkpoint.complete(received).items()))
