"""Every reward that there is: `python -m rewards.list`."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field
from rich.table import Table

from rewards.command_line import Arguments, OneOrMore, plain_console, run
from rewards.plugins import load_plugin
from rewards.registry import BUILT_IN, Reward, all_rewards
from tasks.message import Json

GRAMMAR = """\
  python -m rewards.list                                built-in rewards and those of installed packages
  python -m rewards.list 'rewards=[my.py, my_package]'  with plug-ins
  python -m rewards.list format=json
"""


class ListArguments(Arguments):
    rewards: OneOrMore = Field((), description="plug-ins: path/to/file.py[:name] or package.module")
    format: Literal["table", "json"] = Field("table", description="table or json")


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0 done, 2 a plug-in does not load or the request was wrong."""
    return run(ListArguments, GRAMMAR, _list, arguments)


def _list(settings: ListArguments) -> int:
    for plugin in settings.rewards:
        load_plugin(plugin)
    rewards = all_rewards()
    if settings.format == "json":
        print(json.dumps([_described(entry) for entry in rewards], indent=2))
    else:
        plain_console().print(_table(rewards))
    return 0


def _described(entry: Reward) -> Mapping[str, Json]:
    return {
        "name": entry.name,
        "targets": [target.__name__ for target in entry.targets],
        "settings": dict(entry.defaults),
        "version": entry.version,
        "images": entry.images,
        "origin": str(entry.origin),
    }


def _table(rewards: Sequence[Reward]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("reward", "grades", "settings", "version", "origin"):
        table.add_column(heading, overflow="fold")
    for entry in rewards:
        grades = ", ".join(target.__name__.removesuffix("Target") for target in entry.targets) or "any"
        settings = ", ".join(f"{name}={json.dumps(value)}" for name, value in entry.defaults.items())
        origin = "built in" if entry.name in BUILT_IN else str(entry.origin)
        table.add_row(entry.name, grades + (", with images" if entry.images else ""), settings, entry.version, origin)
    return table


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
