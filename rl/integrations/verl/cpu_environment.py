"""What every process of verl's finds in its environment on a machine without a GPU; importable before verl is."""

NAME = "cpu"
ENVIRONMENT = {
    "VERL_USE_EXTERNAL_MODULES": "rl.integrations.verl.cpu",
    "VERL_PLATFORM": NAME,
    # verl's engines are registered for cuda and npu alone; the one for cuda asks the platform for its device.
    "VERL_ENGINE_DEVICE": "cuda",
    "OMP_NUM_THREADS": "1",
    "TORCHDYNAMO_DISABLE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_NO_USAGE_STATS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
