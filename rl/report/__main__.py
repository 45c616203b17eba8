"""`python -m rl.report runs/<name> [control run folders ...]`"""

import sys
from collections.abc import Sequence
from pathlib import Path

from rl.config.usage import ASKS
from rl.records.run_folder import RunFolder, RunFolderError
from rl.report.page import write_report


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0 written, or help was asked for; 2 the request was wrong."""
    if not arguments or any(argument in ASKS for argument in arguments):
        print("python -m rl.report runs/<name> [control run folders ...]     writes report.html into the first folder")
        return 0
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
