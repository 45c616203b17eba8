"""What `python -m rl.run` prints when it is asked for help: the grammar and the presets, or the keys."""

from collections.abc import Iterable, Sequence

from rich.console import Console, ConsoleRenderable, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from rl.config.error import ConfigError
from rl.config.keys import Key, known_keys
from rl.config.presets import Preset, presets
from tasks.errors import nearest

ASKS = ("help", "-h", "--help")
GRAMMAR = """\
Every argument is key=value. A key is dotted, a value is YAML:
  python -m rl.run config=reasoning_rl                        a preset
  python -m rl.run config=reasoning_rl dry_run=true           its plan only
  python -m rl.run config=my.yaml learner.optimizer.lr=3e-5   one key changed
  python -m rl.run config=reasoning_rl tasks.counting=null    without a task
  python -m rl.run help=keys                                  every key
  python -m rl.run help=learner                               keys of a group
"""


def usage(arguments: Sequence[str]) -> ConsoleRenderable | None:
    """The help that the arguments ask for; None when they ask for a run. Raises `ConfigError` for help on an unknown group."""
    if not arguments or any(argument in ASKS for argument in arguments):
        return _overview(presets())
    topics = [argument.removeprefix("help=") for argument in arguments if argument.startswith("help=")]
    return _keys(topics[0]) if topics else None


def print_usage(arguments: Sequence[str], console: Console) -> bool:
    """Prints the help that is asked for, and says whether any was."""
    asked = usage(arguments)
    if asked is not None:
        console.print(asked, crop=False)
    return asked is not None


def _overview(known: Iterable[Preset]) -> ConsoleRenderable:
    table = Table("preset", "what it does", box=None, title_justify="left", header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for preset in known:
        table.add_row(Text(preset.name, "bold"), Text(preset.summary))
    return Group(Text("posttrain: reinforcement learning for language and vision-language models\n", "bold"), Text(GRAMMAR), table)


def _keys(topic: str) -> ConsoleRenderable:
    keys = [key for key in known_keys() if topic == "keys" or ".".join(key.path).startswith(topic)]
    if not keys:
        groups = dict.fromkeys(key.path[0] for key in known_keys())
        raise ConfigError(f"help={topic}: there is no such key or group; {nearest(topic, ['keys', *groups])}")
    return Group(*(part for key in keys for part in _entry(key)))


def _entry(key: Key) -> tuple[ConsoleRenderable, ConsoleRenderable]:
    """The whole key with its default, as it is typed; below, however wide the screen, what it does."""
    described = Text.assemble(key.description, (f" ({key.allowed})", "dim"))
    typed = Text(f"{'.'.join(key.path)}={key.default}", "bold", no_wrap=True, overflow="ignore")
    return typed, Padding(described, (0, 0, 0, 4))
