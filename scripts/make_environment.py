"""Makes `.venv`: a virtual environment with this project, editable, and all it needs. Standard library only; run by `make`.

uv installs, since it resolves and links 4 GB in seconds where pip takes minutes. It does not read pip's configuration, so places to find
packages that are named there are handed over.
"""

import ctypes
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
# What pip calls a place, and what uv does. uv takes the first index that has a package, pip the best of all.
PLACES = {"find-links": "UV_FIND_LINKS", "index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX"}


def check_prerequisites() -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if sys.version_info[:2] not in ((3, 11), (3, 12)):
        sys.exit(
            f"This is Python {version} ({sys.executable}); 3.11 or 3.12 is needed. "
            "Install it (Debian: apt-get install python3.11 python3.11-venv) or name it: make setup PYTHON=/path/to/python3.11"
        )
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        sys.exit(f"Python {version} lacks the venv module. Install it (Debian: apt-get install python{version}-venv)")
    for compiler in ("gcc", "g++"):
        if shutil.which(compiler) is None:
            sys.exit(f"{compiler} is missing: torch compiles kernels with it. Install it (Debian: apt-get install {compiler})")
    if extra() == "cpu":
        check_library("libnuma.so.1", "libnuma1")


def check_library(library: str, package: str) -> None:
    """vLLM's CPU build is linked with it, and only warns where it is missing: its engine then fails at the first operator."""
    try:
        ctypes.CDLL(library)
    except OSError:
        sys.exit(f"{library} is missing: vLLM's CPU build needs it. Install it (Debian: apt-get install {package})")


def extra() -> str:
    return "gpu" if shutil.which("nvidia-smi") else "cpu"


def places_of_pip() -> dict[str, str]:
    """Where pip would look, as variables for uv; what the user has set for uv stays."""
    places = {}
    for name, variable in PLACES.items():
        found = subprocess.run([PYTHON, "-m", "pip", "config", "get", f"global.{name}"], capture_output=True, text=True, check=False).stdout
        value = os.environ.get(f"PIP_{name.upper().replace('-', '_')}", found).split()
        if value and variable not in os.environ:
            places[variable] = ("," if name == "find-links" else " ").join(value)
    if "UV_INDEX" in places:
        places.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    return places


def install() -> None:
    # Compiled once here: where PYTHONDONTWRITEBYTECODE is set, as in many images, every process of every run would do it again, for 10 s.
    options = ["--python", PYTHON, "--compile-bytecode"]
    command: list[str | Path] = [PYTHON, "-m", "uv", "pip", "install", *options, "-e", f"{ROOT}[{extra()},dev]"]
    environment = {**os.environ, **places_of_pip()}
    tried = subprocess.run([*command, "--dry-run"], env=environment, capture_output=True, text=True, check=False)
    if tried.returncode != 0 and extra() == "cpu":
        # The CPU build of torch is not where packages usually are: ask its publisher for it.
        command.append("--torch-backend=cpu")
    sys.exit(subprocess.run(command, env=environment, check=False).returncode)


if __name__ == "__main__":
    check_prerequisites()
    if not PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True)
    subprocess.run([PYTHON, "-m", "pip", "install", "--quiet", "uv>=0.9"], check=True)
    install()
