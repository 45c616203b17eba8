"""Finding rewards outside this package: a user's file, an importable module, an installed package (entry-point group `rewards`).

Nothing is ever imported from a data file: only what the command line, the configuration or an installed package names.
"""

import hashlib
import importlib
import importlib.metadata
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from rewards.errors import RewardError

GROUP = "rewards"
LOAD_ERRORS = (
    ImportError,
    SyntaxError,
    NameError,
    AttributeError,
    TypeError,
    ValueError,
    LookupError,
    ArithmeticError,
    AssertionError,
    OSError,
    RuntimeError,
    SystemExit,
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a reward comes from, in a form that any process can load again: a module, or a file (then `path` is absolute)."""

    module: str
    path: str = ""

    def __str__(self) -> str:
        return self.path or self.module


def load_plugin(spec: str) -> Origin:
    """Imports `path/to/file.py`, `path/to/file.py:name`, `package.module` or `package.module:name`, which registers its rewards.

    Raises `RewardError` with file, line and reason when it does not load, registers nothing, or has no such name.
    """
    place, _, name = spec.rpartition(":") if ":" in spec else (spec, "", "")
    origin = Origin(*_file_origin(place)) if place.endswith(".py") else Origin(place)
    module = load_origin(origin)
    from rewards.registry import find, registered_from  # the registry imports this module to know where a function comes from

    names = registered_from(origin)
    if not names:
        raise RewardError(f"plug-in {spec}: registers no reward; decorate a function with @reward(name, target=...)")
    if name and name not in names and not any(find(n).function is getattr(module, name, None) for n in names):
        raise RewardError(f"plug-in {spec}: has no reward {name!r}; it has {', '.join(names)}")
    return origin


def load_origin(origin: Origin) -> ModuleType:
    """Imports it, once for each process. Raises `RewardError` with file, line and reason."""
    if origin.module in sys.modules:
        return sys.modules[origin.module]
    if origin.module == "__main__":
        raise RewardError(
            "a reward is defined in the running script, which workers do not import; move it to a file and name that file as a plug-in"
        )
    try:
        return _exec_file(origin) if origin.path else importlib.import_module(origin.module)
    except RewardError as error:
        raise RewardError(f"plug-in {origin}: {error}") from error
    except LOAD_ERRORS as error:
        raise RewardError(f"plug-in {origin} does not load: {_where(error, origin)}{type(error).__name__}: {error}") from error


def load_entry_points(only: str | None = None) -> None:
    """Imports the installed packages that offer rewards; with `only`, the entry points of that name alone."""
    for point in importlib.metadata.entry_points(group=GROUP):
        if only is None or point.name == only:
            load_origin(Origin(point.module))


def entry_point_names() -> tuple[str, ...]:
    return tuple(sorted(point.name for point in importlib.metadata.entry_points(group=GROUP)))


def loading(function: Callable[..., object]) -> Origin:
    """The origin of a function: its file if that was loaded as a plug-in file, else its module."""
    module = function.__module__
    if module.startswith(_FILE_PREFIX):
        return Origin(module, str(Path(inspect.getfile(function)).resolve()))
    return Origin(module)


_FILE_PREFIX = "rewards_plugin_"


def _file_origin(place: str) -> tuple[str, str]:
    path = Path(place).expanduser().resolve()
    if not path.is_file():
        raise RewardError(f"plug-in {place}: there is no file {path}")
    return f"{_FILE_PREFIX}{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}", str(path)


def _exec_file(origin: Origin) -> ModuleType:
    spec = importlib.util.spec_from_file_location(origin.module, origin.path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[origin.module] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[origin.module]
        raise
    return module


def _where(error: BaseException, origin: Origin) -> str:
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: "
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == origin.path] or [f for f in frames if "importlib" not in f.filename]
    return f"{own[-1].filename}, line {own[-1].lineno}: " if own else ""
