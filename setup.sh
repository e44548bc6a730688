#!/bin/sh
# Make .venv with everything that the project needs: `setup.sh PYTHON`. The Makefile calls it once.
set -eu
cd "$(dirname "$0")"
python=$1
log=.venv/install.log

if ! command -v "$python" >/dev/null 2>&1; then
    echo "There is no $python: install Python 3.11 or newer, or name one, as in 'make test PYTHON=/usr/bin/python3.12'." >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "$python is $("$python" -c 'import platform; print(platform.python_version())'), and Python 3.11 or newer is needed: name one, as in 'make test PYTHON=/usr/bin/python3.11'." >&2
    exit 1
fi

rm -rf .venv
if "$python" -c 'import ensurepip' 2>/dev/null; then
    "$python" -m venv .venv
    pip() { .venv/bin/python -m pip "$@"; }
else # Debian without python3-venv: the system's pip can install into the environment
    "$python" -m venv --without-pip .venv
    if ! "$python" -m pip --version >/dev/null 2>&1; then
        echo "$python has neither venv nor pip: install them, as in 'apt-get install python3-venv python3-pip'." >&2
        exit 1
    fi
    pip() { "$python" -m pip --python .venv/bin/python "$@"; }
fi

extras=$("$python" -c '
import pathlib, tomllib
files = sorted(pathlib.Path("tasks").glob("*/task.toml"))
tasks = [extra for file in files for extra in tomllib.loads(file.read_text("utf-8"))["extras"]]
print(",".join([*tasks, "slurm", "analysis", "dev"]))
')

echo "Installing into .venv: once, about 1.9 GB and some minutes (progress: $log) ..."
if ! pip install --disable-pip-version-check --no-input --retries 2 -c constraints.txt \
    -e ".[$extras]" >"$log" 2>&1; then
    tail -n 3 "$log" >&2
    echo "The packages could not be installed: most likely the package index cannot be reached; when there is a network, type the same again (pip's output: $log)." >&2
    exit 1
fi
# fairseq is installed alone: it asks for an omegaconf whose metadata pip >= 24.1 refuses, so no extra
# can name it. The extra nmt has what it needs to run. There are no wheels: gcc compiles it. It must
# not see torch during the build, or it looks for sources that its package lacks.
if ! pip install --disable-pip-version-check --no-input --retries 2 --no-deps fairseq==0.12.2 >>"$log" 2>&1; then
    echo "fairseq 0.12.2 could not be compiled (a C++ compiler such as g++ is needed; pip's output: $log). Everything but the translation task works without it; for that task, type: .venv/bin/python -m pip install --no-deps fairseq==0.12.2" >&2
fi
touch .venv/installed
