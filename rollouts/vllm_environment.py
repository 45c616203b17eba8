"""What vLLM reads from the environment."""

import os


def prepare_environment() -> None:
    """Sets what the user has not set; before vLLM is first imported."""
    import torch

    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # The engine must live in this process: weights are handed over as tensors.
    defaults = {"VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
    if not torch.cuda.is_available():
        # One thread: OpenMP barriers cost more than they win at the sizes a CPU can train. No just-in-time compilation: 2 s for nothing.
        defaults |= {"OMP_NUM_THREADS": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "TORCHDYNAMO_DISABLE": "1"}
        # oneDNN keeps what it compiled for each shape, and every number of running sequences is a shape: hundreds of megabytes.
        defaults["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] = "16"
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
