"""The set-up: what is missing is said in one sentence, before anything is made or lost."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A place with a space in its name that holds what the set-up needs."""
    clone = tmp_path / "a clone"
    clone.mkdir()
    for name in ("setup.sh", "Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, clone / name)
    for path in ROOT.glob("tasks/*/task.toml"):
        (clone / path.relative_to(ROOT).parent).mkdir(parents=True)
        shutil.copy(path, clone / path.relative_to(ROOT))
    return clone


def _make(clone: Path, python: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "test", f"PYTHON={python}"],
        cwd=clone,
        env=dict(os.environ) | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_no_python_is_one_clear_sentence(clone: Path) -> None:
    """With how to name another."""
    done = _make(clone, "python3.999")

    assert done.returncode != 0
    assert "There is no python3.999: install Python 3.11 or newer, or name one" in done.stderr
    assert not (clone / ".venv").exists()


def test_an_old_python_is_one_clear_sentence(clone: Path) -> None:
    """With its version, and what is needed."""
    old = clone / "old"
    old.write_text('#!/bin/sh\ncase "$2" in *version_info*) exit 1;; *) echo 3.9.2;; esac\n')
    old.chmod(0o755)

    done = _make(clone, "./old")

    assert done.returncode != 0
    assert "./old is 3.9.2, and Python 3.11 or newer is needed" in done.stderr
    assert not (clone / ".venv").exists()


def test_no_network_is_one_clear_sentence_and_the_next_call_tries_again(clone: Path) -> None:
    """Nothing half-installed is taken for installed."""
    nowhere = "http://127.0.0.1:9/simple"
    done = _make(
        clone,
        sys.executable,
        PIP_CONFIG_FILE=os.devnull,
        PIP_INDEX_URL=nowhere,
        PIP_EXTRA_INDEX_URL="",
        PIP_FIND_LINKS="",
    )

    assert done.returncode != 0
    assert "most likely the package index cannot be reached" in done.stderr
    assert not (clone / ".venv/installed").exists()
