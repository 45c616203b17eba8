#!/usr/bin/env bash
# Makes .venv with all dependencies and this project, editable. Called by the Makefile.
set -euo pipefail
cd "$(dirname "$0")"

fail() {
    printf 'setup: %s\n' "$1" >&2
    exit 1
}

[ -n "${PYTHON:-}" ] || fail "no Python found: apt-get install python3 python3-venv (3.11 or 3.12 is needed)"
version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
case $version in
    3.11 | 3.12) ;;
    *) fail "Python $version at $PYTHON, but 3.11 or 3.12 is needed: apt-get install python3.11 python3.11-venv, or make PYTHON=/path/to/python3.11 ..." ;;
esac
"$PYTHON" -c 'import venv, ensurepip' 2>/dev/null || fail "this Python cannot make virtual environments: apt-get install python$version-venv"
for tool in gcc g++; do
    command -v "$tool" >/dev/null || fail "$tool is missing: apt-get install $tool"
done

[ -x .venv/bin/python ] || "$PYTHON" -m venv .venv
[ -x .venv/bin/uv ] || .venv/bin/python -m pip install --quiet uv

# uv does not read pip's settings: hand over where pip was told to look besides the registry.
found=${PIP_FIND_LINKS:-$(.venv/bin/python -m pip config get global.find-links 2>/dev/null || true)}
[ -z "$found" ] || export UV_FIND_LINKS="${UV_FIND_LINKS:-$(printf '%s' "$found" | tr ' \n' ',,' | tr -d "'[]")}"

install() {
    .venv/bin/uv pip install --quiet --python .venv/bin/python -e ".[$ENGINE,dev]" "$@"
}

echo "installing into .venv (about 4 GB the first time) ..."
# Where no index offers torch's CPU build, uv knows the one that does.
install || { [ "$ENGINE" = cpu ] && install --torch-backend=cpu; } || fail "the dependencies could not be installed (see above)"
