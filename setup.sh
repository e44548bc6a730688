#!/bin/sh
# Make .venv with everything that the project needs, once: `setup.sh PYTHON`. Called by the Makefile.
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

echo "Installing into .venv: once, about 1.9 GB and some minutes (progress: $log) ..."
if ! pip install --disable-pip-version-check --no-input --retries 2 -c constraints.txt \
    -e '.[gan,nmt,rl,atari,vizdoom,slurm,analysis,dev]' >"$log" 2>&1; then
    tail -n 3 "$log" >&2
    echo "The packages could not be installed: most likely the package index cannot be reached; when there is a network, type the same again (all of pip's words: $log)." >&2
    exit 1
fi
# fairseq by itself: it asks for an omegaconf whose metadata pip >= 24.1 refuses, so no extra can name
# it; what it needs to run is in the extra nmt. There are no wheels: gcc compiles it, and it must
# not see torch while it is built, or it looks for sources that its package lacks.
if ! pip install --disable-pip-version-check --no-input --retries 2 --no-deps fairseq==0.12.2 >>"$log" 2>&1; then
    echo "fairseq 0.12.2 could not be compiled (a C++ compiler such as g++ is needed; pip's words: $log). All but the translation works without it; for that, type: .venv/bin/python -m pip install --no-deps fairseq==0.12.2" >&2
fi
touch .venv/installed
