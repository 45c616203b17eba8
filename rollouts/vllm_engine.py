"""The generator on vLLM, in this process: one engine on a thread of its own, on its CPU build or on a GPU."""

import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rollouts.checkpoint_weights import CheckpointWeights
from rollouts.engine_limits import EngineLimits
from rollouts.engine_thread import EngineThread
from rollouts.generator import Continuation, Generated, Request
from rollouts.seeds import sample_seed
from rollouts.vllm_environment import prepare_environment

if TYPE_CHECKING:
    import torch
    from vllm import RequestOutput, SamplingParams
    from vllm.v1.engine.llm_engine import LLMEngine

# The unit of prefix caching. The CPU attention kernels want a multiple of 32; their default, 128, would rarely hit in short prompts.
BLOCK_SIZE = 32
PROMPT_TOKENS_A_STEP = 8192
# Only the first and the last output of a sequence are of interest.
_NEVER = 1 << 30


@dataclass(frozen=True, slots=True)
class VllmSettings:
    """`model_path` is a folder. `kv_cache_mib` counts on the CPU, `gpu_memory_utilization` on a GPU."""

    model_path: Path
    max_model_len: int = 1024
    max_images: int = 1
    max_num_seqs: int = 256
    dtype: Literal["float32", "bfloat16"] = "float32"
    seed: int = 0
    kv_cache_mib: int = 64
    gpu_memory_utilization: float = 0.5


class VllmGenerator(EngineThread):
    """Implements `Generator`. One at a time in a process: vLLM keeps process-wide state, and reseeds the process's random streams."""

    def __init__(self, settings: VllmSettings) -> None:
        super().__init__(lambda: _VllmEngine(settings))


@dataclass(slots=True)
class _Pending:
    """A request in the engine. `versions` are those of first tokens, by sample."""

    count: int
    versions: dict[int, int] = field(default_factory=dict)
    continuations: dict[int, Continuation] = field(default_factory=dict)


class _VllmEngine:
    def __init__(self, settings: VllmSettings) -> None:
        prepare_environment()
        from transformers import AutoConfig

        self._weights = CheckpointWeights.of(settings.model_path)
        config = AutoConfig.from_pretrained(settings.model_path)
        self._limits = EngineLimits.of(settings.model_path, config, settings.max_model_len, settings.max_images)
        self._llm = start_engine(settings, has_vision=self._limits.image_id is not None)
        self._pending: dict[int, _Pending] = {}
        self._version = 0

    def add(self, ticket: int, request: Request) -> None:
        from vllm.exceptions import VLLMClientError

        self._limits.check(request)
        prompt: dict[str, object] = {"prompt_token_ids": list(request.prompt_ids)}
        if request.images:
            prompt["multi_modal_data"] = {"image": list(request.images)}
        try:
            (rendered,) = self._llm.renderer.render_cmpl([prompt])
            self._limits.check_length(len(rendered["prompt_token_ids"]))
            for index in range(request.count):
                self._llm.add_request(f"{ticket}/{index}", rendered, _sampling_params(request, index))
        except VLLMClientError as error:
            raise ValueError(f"{self._limits.model_path}: {error}") from error
        self._pending[ticket] = _Pending(request.count)

    def cancel(self, ticket: int) -> None:
        pending = self._pending.pop(ticket, None)
        if pending is not None:
            self._llm.abort_request([f"{ticket}/{index}" for index in range(pending.count)])

    def busy(self) -> bool:
        return bool(self._llm.has_unfinished_requests())

    def step(self) -> Sequence[tuple[int, Generated]]:
        finished = []
        for output in self._llm.step():
            ticket, index = map(int, output.request_id.split("/"))
            pending = self._pending.get(ticket)
            if pending is None:
                continue
            version = pending.versions.setdefault(index, self._version)
            if output.finished:
                pending.continuations[index] = _continuation(output, version)
            if len(pending.continuations) == pending.count:
                del self._pending[ticket]
                continuations = tuple(pending.continuations[i] for i in range(pending.count))
                finished.append((ticket, Generated(tuple(output.prompt_token_ids), continuations)))
        return finished

    def publish(self, weights: Mapping[str, "torch.Tensor"], version: int) -> None:
        """Loads through vLLM's layer-wise reload: its CPU kernels hold packed copies of the weights, which a plain load would not reach."""
        # A tied head has a packed copy of its own on the CPU, so it too is sent by name.
        named = list(self._weights.complete(weights).items())
        self._llm.collective_rpc("reload_weights", kwargs={"weights_iterator": named})
        # Sequences in flight lose their keys and values too, and compute them anew.
        self._llm.reset_prefix_cache(reset_running_requests=True)
        self._llm.reset_encoder_cache()
        self._version = version

    def close(self) -> None:
        self._llm.renderer.shutdown()
        self._llm.engine_core.shutdown()
        del self._llm
        gc.collect()


def start_engine(settings: VllmSettings, *, has_vision: bool) -> "LLMEngine":
    """vLLM's engine in this process. `prepare_environment` has been called."""
    import torch
    from vllm import EngineArgs
    from vllm.v1.engine.llm_engine import LLMEngine

    _keep_pixels()
    vision = {"skip_mm_profiling": True, "limit_mm_per_prompt": {"image": settings.max_images, "video": 0}} if has_vision else {}
    arguments = EngineArgs(
        model=str(settings.model_path),
        max_model_len=settings.max_model_len,
        max_num_seqs=settings.max_num_seqs,
        dtype=settings.dtype,
        seed=settings.seed,
        block_size=BLOCK_SIZE,
        enable_prefix_caching=True,
        logprobs_mode="processed_logprobs",
        max_logprobs=-1,  # No limit.
        generation_config="vllm",
        mm_processor_cache_gb=0.0625,
        disable_log_stats=True,
        use_tqdm_on_load=False,
        **(_gpu_arguments(settings) if torch.cuda.is_available() else _cpu_arguments(settings)),
        **vision,
    )
    engine = LLMEngine.from_engine_args(arguments)
    _remove_rendezvous_file(engine)
    return engine


def _keep_pixels() -> None:
    """vLLM 0.30 drops an image's pixels where the cache covers it as its request starts, and dies when it has to encode the image after
    all: when the cache is reset under the request, or another sequence needs its place.
    """
    from vllm.v1.core.sched import output

    output.strip_covered_mm_data = lambda features, *_, **__: features


def _remove_rendezvous_file(llm: "LLMEngine") -> None:
    """vLLM meets the one worker it has through a file that it would leave behind."""
    method: str = llm.model_executor.driver_worker.worker.distributed_init_method
    if method.startswith("file://"):
        Path(method.removeprefix("file://")).unlink(missing_ok=True)


def _gpu_arguments(settings: VllmSettings) -> dict[str, object]:
    return {"gpu_memory_utilization": settings.gpu_memory_utilization}


def _cpu_arguments(settings: VllmSettings) -> dict[str, object]:
    from rollouts.vllm_scheduler import WholePromptScheduler

    return {
        "kv_cache_memory_bytes": settings.kv_cache_mib << 20,
        "enforce_eager": True,
        "enable_chunked_prefill": False,
        "max_num_batched_tokens": max(settings.max_model_len, PROMPT_TOKENS_A_STEP),
        "scheduler_cls": WholePromptScheduler,
    }


def _sampling_params(request: Request, index: int) -> "SamplingParams":
    from vllm import SamplingParams

    sampling = request.sampling
    return SamplingParams(
        temperature=sampling.temperature,
        max_tokens=sampling.max_tokens,
        stop_token_ids=list(sampling.stop_ids),
        ignore_eos=True,  # `stop_ids` alone say where to stop.
        logit_bias={banned: -float("inf") for banned in sampling.banned_ids},
        seed=sample_seed(request.seed, index),
        logprobs=0,
        flat_logprobs=True,
        detokenize=False,
        stream_interval=_NEVER,
    )


def _continuation(output: "RequestOutput", version: int) -> Continuation:
    (sample,) = output.outputs
    assert sample.finish_reason in ("stop", "length"), sample.finish_reason
    return Continuation(tuple(sample.token_ids), tuple(sample.logprobs.logprobs), sample.finish_reason, version)
