"""What every process of verl's finds in its environment; importable before verl is."""

from pathlib import Path

from rl.config.settings import RunSettings

NAME = "cpu"
_CPU = {
    "VERL_PLATFORM": NAME,
    # verl's engines are registered for cuda and npu alone; the one for cuda asks the platform for its device.
    "VERL_ENGINE_DEVICE": "cuda",
    "OMP_NUM_THREADS": "1",
    "TORCHDYNAMO_DISABLE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_NO_USAGE_STATS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def run_environment(settings: RunSettings, *, on_cpu: bool) -> dict[str, str]:
    """To be set before verl is imported: it reads its plug-ins and its platform then."""
    modules = ["rl.integrations.verl.without_trl", *(["rl.integrations.verl.cpu"] if on_cpu else [])]
    board = Path(settings.runs, settings.name, "tensorboard").resolve()
    return {"VERL_USE_EXTERNAL_MODULES": ",".join(modules), "TENSORBOARD_DIR": str(board), **(_CPU if on_cpu else {})}
