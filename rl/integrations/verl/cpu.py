"""verl's platform for a machine without a GPU: enough for a real run of `verl.trainer.main_ppo` on CPU cores, to test what is ours.

Every process of verl's imports this module by `VERL_USE_EXTERNAL_MODULES`. Written for verl 0.9.1; not for speed.
"""

import contextlib
import types
from collections.abc import Iterator

import torch
import verl.utils.distributed
from verl.plugin.platform.platform_base import PlatformBase
from verl.plugin.platform.platform_manager import PlatformRegistry

from rl.integrations.verl.environment import NAME


class _CpuDevice(types.ModuleType):
    """`torch.cpu` with what verl asks of `torch.cuda`: a device that is always there and has no memory of its own to speak of."""

    def __getattr__(self, name: str) -> object:
        if name in _NUMBERS:
            return lambda *_, **__: _NUMBERS[name]
        if name in _NOTHING:
            return lambda *_, **__: None
        return getattr(torch.cpu, name)


_NUMBERS: dict[str, object] = {
    "is_available": True,
    "is_initialized": True,
    "current_device": torch.device(NAME),
    "device_count": 1,
    "memory_allocated": 0,
    "max_memory_allocated": 0,
    "memory_reserved": 0,
    "max_memory_reserved": 0,
    "mem_get_info": (1 << 34, 1 << 34),
    "memory_stats": {},
    "get_device_name": "cpu",
    "get_device_capability": (0, 0),
}
_NOTHING = frozenset(
    ["set_device", "synchronize", "empty_cache", "ipc_collect", "reset_peak_memory_stats", "manual_seed", "manual_seed_all", "init"]
)


@PlatformRegistry.register(platform=NAME)
class CpuPlatform(PlatformBase):  # type: ignore[misc]  # verl has no types
    """Ray's "GPUs" are logical ones here: verl counts them to place its workers, and nothing has to exist."""

    device_name = NAME
    vendor_name = NAME
    device_module = _CpuDevice("verl_cpu_device")

    def is_available(self) -> bool:
        return True

    def current_device(self) -> torch.device:
        """verl hands this to `Tensor.to`, where a number would mean a GPU."""
        return torch.device(NAME)

    def device_count(self) -> int:
        return 1

    def set_device(self, device_index: int) -> None:
        """There is one."""

    def synchronize(self, device_index: int | None = None) -> None:
        """The CPU computes at once."""

    def manual_seed(self, seed: int) -> None:
        torch.manual_seed(seed)

    def manual_seed_all(self, seed: int) -> None:
        torch.manual_seed(seed)

    def set_allocator_settings(self, settings: str) -> None:
        """There is no caching allocator."""

    def empty_cache(self) -> None:
        """There is no cache."""

    def get_device_capability(self, device_index: int = 0) -> tuple[int | None, int | None]:
        return None, None

    def communication_backend_name(self) -> str:
        return "gloo"

    def visible_devices_envvar(self) -> str:
        return "CUDA_VISIBLE_DEVICES"

    @contextlib.contextmanager
    def nvtx_range(self, msg: str) -> Iterator[None]:
        yield

    def profiler_start(self) -> None:
        """There is no device profiler."""

    def profiler_stop(self) -> None:
        """There is no device profiler."""

    def ray_resource_name(self) -> str:
        return "GPU"

    def ray_noset_envvars(self) -> list[str]:
        return ["RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES"]

    def is_ipc_supported(self) -> bool:
        return False

    def cudart(self) -> None:
        return None


_initialize = verl.utils.distributed.initialize_global_process_group_ray


def _initialize_on_cpu(timeout_second: int | None = None, backend: str | None = None) -> None:
    """verl would ask for `cpu:gloo,cpu:gloo`, which torch refuses."""
    _initialize(timeout_second, backend or "cpu:gloo")


verl.utils.distributed.initialize_global_process_group_ray = _initialize_on_cpu
