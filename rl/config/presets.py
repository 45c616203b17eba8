"""The presets in `configs/`: where they are, what each is for, and which file a name means."""

from dataclasses import dataclass
from pathlib import Path

from rl.config.error import ConfigError
from tasks.errors import nearest

# Beside this package, in a checkout and in an installed wheel alike.
PRESETS = Path(__file__).resolve().parents[2] / "configs"


@dataclass(frozen=True, slots=True)
class Preset:
    """`summary` is the comment in the file's first line."""

    name: str
    path: Path
    summary: str


def presets(folder: Path = PRESETS) -> tuple[Preset, ...]:
    """All presets, sorted by name."""
    return tuple(Preset(path.stem, path, _summary(path)) for path in sorted(folder.glob("*.yaml")))


def config_file(name: str, folder: Path = PRESETS, relative_to: Path = Path()) -> Path:
    """The file that `config=name` means: a preset's name, or the path of a YAML file."""
    if not name.endswith((".yaml", ".yml")) and "/" not in name:
        known = {preset.name: preset.path for preset in presets(folder)}
        if name not in known:
            raise ConfigError(f"unknown preset {name!r}; {nearest(name, known)} (a file of your own: config=path/to/{name}.yaml)")
        return known[name]
    path = relative_to / Path(name).expanduser()
    if not path.is_file():
        preset = Path(name).stem
        known_name = any(preset == other.name for other in presets(folder))
        hint = f"; the preset is config={preset}" if known_name else ""
        raise ConfigError(f"no file {path}{hint}")
    return path


def _summary(path: Path) -> str:
    with path.open(encoding="utf-8") as lines:
        first = lines.readline().strip()
    return first.lstrip("# ") if first.startswith("#") else ""
