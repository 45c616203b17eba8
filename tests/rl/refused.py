"""Settings that are refused, for tests."""

from pathlib import Path

import pytest

from rl.config.configure import load
from rl.config.error import ConfigError

TASK = "tasks.sums.family=algebra"


def refusal(*arguments: str, folder: Path | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load(arguments, folder) if folder else load(arguments)
    return str(caught.value)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
