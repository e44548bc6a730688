"""Jobs without Slurm: with submitit's local executor, and in this process."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from core.directory.run import open_run
from core.status.progress import View
from slurm.jobs.ledger import Ledger
from tests.faults.storms import REPOSITORY, Witness, hold
from tests.slurm.runs import HALF_SECONDS, calm

STEPS, MEMBERS = 6, 5  # more than two workers do before they look whether they should leave


def _slurm(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "slurm", *words],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        env={name: word for name, word in os.environ.items() if not name.startswith("SLURM")},
    )


def _submit(root: Path, preset: str, *options: str) -> subprocess.CompletedProcess[str]:
    size = ("--steps", str(STEPS), "--members", str(MEMBERS))
    return _slurm("submit", preset, "--out", root, *size, "--no-fsync", *options)


def _until(what: Callable[[], object], seconds: float = 30.0) -> None:
    begin = time.monotonic()
    while not what():
        assert time.monotonic() - begin < seconds, "not in time"
        time.sleep(0.1)


def _is_done(root: Path) -> bool:
    view = View(root, open_run(root).info)
    return view.is_done(view.rows())


def test_local_jobs(tmp_path: Path) -> None:
    """Jobs outlive `submit`, respect the limit of parallel jobs, and end."""
    root = tmp_path / "run"
    local = ("--cluster", "local", "--workers", "5", "--array-parallelism", "2")
    done = _submit(root, HALF_SECONDS, *local)
    assert done.returncode == 0, done.stderr
    assert not _is_done(root)
    jobs = [id for array in Ledger(root).arrays() for id in array.ids]
    assert len(jobs) == 2
    assert all(Path(f"/proc/{id}").exists() for id in jobs)
    _until(lambda: len(list((root / "workers").glob("*.json"))) == 2)
    left = _slurm("scale", root, "--workers", "0")
    assert left.returncode == 0, left.stderr
    assert all(id in left.stdout for id in jobs)
    _until(lambda: not any(Path(f"/proc/{id}").exists() for id in jobs))
    assert not list((root / "workers").glob("*.json"))
    assert not _is_done(root)
    many = ("--cluster", "local", "--workers", "5", "--array-parallelism", "5")
    assert _submit(root, HALF_SECONDS, *many).returncode == 0
    _until(lambda: _is_done(root))
    hold(Witness(open_run(root)), calm(STEPS, MEMBERS))


def test_debug(tmp_path: Path) -> None:
    """The run takes place in this process; an exception of the trainer becomes an error."""
    fine = _submit(tmp_path / "fine", "tests.trainers:walk", "--cluster", "debug")
    assert fine.returncode == 0, fine.stderr
    hold(Witness(open_run(tmp_path / "fine")), calm(STEPS, MEMBERS))
    bad = _submit(tmp_path / "bad", "tests.trainers:unknown_name", "--cluster", "debug")
    assert bad.returncode == 2, bad
    assert "asked for 'rate', which the space does not have" in bad.stderr
    assert "Pdb" not in bad.stdout + bad.stderr
