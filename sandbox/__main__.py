"""`python -m sandbox`: which isolation confined code gets on this machine, and why not a stronger one."""

from sandbox.interpreter import interpreter
from sandbox.isolation import choose, report
from sandbox.limits import SandboxUnavailableError


def main() -> None:
    for level, reason in report().items():
        print(f"{level:10}  {reason or 'holds: a hostile program reached nothing'}")
    try:
        python = interpreter()
        print(f"\nauto takes {choose()}, on {python.path}, as {'this user' if python.uid is None else f'uid {python.uid}'}")
        print(f"packages of {python.packages} can be imported" if python.packages else "no installed packages can be imported")
    except SandboxUnavailableError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
