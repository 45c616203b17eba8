"""`python -m rl.report runs/<name> [control run folders ...]`"""

import sys
from collections.abc import Sequence
from pathlib import Path

from rl.records.run_folder import RunFolder, RunFolderError
from rl.report.page import write_report


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0 written, 2 the request was wrong."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: python -m rl.report runs/<name> [control run folders ...]", file=sys.stderr)
        return 2
    run, *controls = (RunFolder(Path(argument)) for argument in arguments)
    try:
        for folder in (run, *controls):
            folder.config()
        print(write_report(run, controls))
    except RunFolderError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
