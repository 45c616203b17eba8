"""What setting up the environment says of a machine that lacks something."""

import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "make_environment.py"


def test_a_library_that_is_missing_is_told_with_its_package() -> None:
    check_library = runpy.run_path(str(SCRIPT))["check_library"]
    check_library("libc.so.6", "libc6")
    with pytest.raises(SystemExit, match=r"libnothing.so.1 is missing: .*apt-get install libnothing1\)"):
        check_library("libnothing.so.1", "libnothing1")
