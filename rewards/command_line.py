"""The `key=value` grammar of the commands of this package, read into a checked settings model.

    python -m rewards.score data=answers.jsonl reward=math columns.response=output

A key is dotted, a value is YAML. `config=file.yaml` holds further settings, which the command line overrides.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, TypeAlias, TypeVar

import yaml
from omegaconf import OmegaConf
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import ErrorDetails
from rich.console import Console

from rewards.errors import RewardError, unknown
from tasks.errors import RowError, TaskError
from tasks.message import Json

ASKS = ("help", "-h", "--help")
OneOrMore: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)]
"""A list of texts, where one alone may stand without brackets."""


class Arguments(BaseModel):
    """The settings of one command; each field has a description."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


A = TypeVar("A", bound=Arguments)


def run(
    kind: type[A],
    grammar: str,
    work: Callable[[A], int],
    arguments: Sequence[str],
    positional: Sequence[str] = (),
    stopped: str = "stopped",
) -> int:
    """A command from its arguments to its exit code: that of `work`, or 0 after help, 2 for a wrong request, 130 when the user ended it.

    Without arguments, a command that needs some prints its help. `stopped` is what the user reads who ended it.
    """
    try:
        needed = any(field.is_required() for field in kind.model_fields.values())
        if any(argument in ASKS for argument in arguments) or (needed and not arguments):
            print(usage(kind, grammar))
            return 0
        return work(read_arguments(kind, arguments, positional))
    except (RewardError, TaskError, RowError) as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:  # A file that cannot be written, a disk that is full.
        print(f"{error.filename}: {error.strerror}" if error.filename else error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(stopped, file=sys.stderr)
        return 130


def read_arguments(kind: type[A], arguments: Sequence[str], positional: Sequence[str] = ()) -> A:
    """The settings that the arguments ask for; `positional` names the keys that a bare value stands for, in order.

    Raises `RewardError` for an unknown key, with the nearest one, and for a value that the key does not take.
    """
    values: dict[str, Json] = {}
    free = iter(positional)
    written: dict[str, str] = {}
    for argument in arguments:
        key, value = _key_value(argument, free)
        if key in written:
            raise RewardError(f"two values for {key}: {written[key]} and {argument}")
        written[key] = argument
        nested: Json = value
        for name in reversed(key.split(".")):
            nested = {name: nested}
        values = _merged(values, nested)
    config = values.pop("config", None)
    if config is not None:
        values = _merged(read_yaml(Path(str(config)).expanduser()), values)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise RewardError("\n".join(dict.fromkeys(_mistake(kind, details) for details in error.errors()))) from None


def read_yaml(path: Path) -> dict[str, Json]:
    """The mapping that a YAML file holds. Raises `RewardError` with file and line."""
    try:
        loaded = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except OSError as error:
        raise RewardError(f"config={path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
        raise RewardError(f"{path}{f':{mark.line + 1}' if mark else ''}: not YAML: {error}") from None
    if not isinstance(loaded, dict):
        raise RewardError(f"{path}: a settings file holds `key: value` lines")
    return {str(key): value for key, value in loaded.items()}


def usage(kind: type[Arguments], grammar: str) -> str:
    """What `help` prints: the grammar, then every key with what it does and its default."""
    width = max(len(name) for name in kind.model_fields)
    lines = []
    for name, field in kind.model_fields.items():
        default = "" if field.is_required() or field.default in (None, (), {}) else f" [{_shown(field.default)}]"
        lines.append(f"  {name:{width}}  {field.description}{default}")
    return "\n".join([grammar.rstrip(), "", *lines])


def plain_console(*, stderr: bool = False) -> Console:
    """Prints texts as they are: in a user's names and messages, rich would read `[/b]` as markup and `:key:` as a picture."""
    return Console(stderr=stderr, markup=False, emoji=False)


def _key_value(argument: str, free: "Sequence[str] | object") -> tuple[str, Json]:
    bare = argument.lstrip("-")
    key, equals, raw = bare.partition("=")
    if not equals and bare == argument:
        place = next(free, None)  # type: ignore[call-overload]
        if place is None:
            raise RewardError(f"{argument}: there is no `=`, every argument is key=value; write {argument}=<value>")
        return str(place), argument
    if bare != argument:
        raise RewardError(f"{argument}: there are no flags, every argument is key=value; write {key}={raw or '<value>'}")
    if not all(key.split(".")) or not raw.strip():
        raise RewardError(f"{argument}: write a dotted key, `=` and a value; {key or '<key>'}=null for none")
    if "${" in raw:
        raise RewardError(f"{argument}: `${{...}}` is not expanded here; write the value itself")
    try:
        value = OmegaConf.to_container(OmegaConf.from_dotlist([f"value={raw}"]), resolve=False)
    except yaml.YAMLError as error:
        raise RewardError(f"{argument}: the value is not YAML: {error}") from None
    assert isinstance(value, dict)
    return key, value["value"]


def _merged(lower: dict[str, Json], upper: Json) -> dict[str, Json]:
    values = OmegaConf.to_container(OmegaConf.merge(lower, upper), resolve=False)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def _mistake(kind: type[Arguments], details: ErrorDetails) -> str:
    place = ".".join(str(part) for part in details["loc"] if not str(part).endswith("]")) or "the settings"
    if details["type"] == "extra_forbidden":
        return str(unknown("key", str(details["loc"][0]), kind.model_fields))
    if details["type"] == "missing":
        return f"{place} is missing: write {place}=<value>; {kind.model_fields[str(details['loc'][0])].description}"
    if details["type"] == "value_error":
        return details["msg"].removeprefix("Value error, ")
    description = kind.model_fields[str(details["loc"][0])].description
    return f"{details['loc'][0]!s} is {details['input']!r}: {details['msg'][0].lower()}{details['msg'][1:]}; it takes {description}"


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
