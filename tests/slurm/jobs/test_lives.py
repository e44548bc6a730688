"""The lives of a job: it restarts while the run progresses, and not for ever without."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core.audits.verify import verify
from core.directory.run import open_run
from core.status.progress import View
from core.terminal.whole import look
from slurm.jobs.ledger import Ledger
from slurm.jobs.lives import RETURNS, idle_lives
from tests.faults.storms import REPOSITORY
from tests.slurm.fake import Fake

QUITS, QUITS_EARLY = "tests.slurm.trainers:quits", "tests.slurm.trainers:quits_early"
QUITS_LATE = "tests.slurm.trainers:quits_late"


def _life(out: Path, preset: str, *words: str) -> subprocess.Popen[str]:
    """Start one life of the job 9, with the commands of Slurm that are on the path."""
    clean = {name: word for name, word in os.environ.items() if not name.startswith("SLURM")}
    return subprocess.Popen(
        [sys.executable, "-m", "slurm", "work", preset, "--out", str(out), "--no-fsync", *words],
        cwd=REPOSITORY,
        env=clean | {"SLURM_JOB_ID": "9"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """A fake Slurm in which the job 9 runs."""
    fake = Fake(tmp_path, monkeypatch)
    fake.says("squeue", "RUNNING")
    return fake


def _until(what: Callable[[], object], seconds: float = 60.0) -> None:
    begin = time.monotonic()
    while not what():
        assert time.monotonic() - begin < seconds, "not in time"
        time.sleep(0.05)


def _requeues(slurm: Fake) -> int:
    return slurm.asked().count("scontrol requeue 9")


def test_what_others_publish_counts(tmp_path: Path) -> None:
    """Only lives in a row without progress count, and progress between two lives counts too."""
    ledger = Ledger(tmp_path / "run")

    counts = [
        idle_lives(ledger, "9_1", before, now)
        for before, now in ((0, 5), (5, 5), (5, 5), (5, 6), (6, 6), (7, 7), (7, 7), (7, 7))
    ]

    assert counts == [0, 1, 2, 0, 1, 1, 2, 3]
    assert idle_lives(ledger, "9_2", 7, 7) == 1


def test_jobs_that_are_submitted_anew_begin_to_count_anew(tmp_path: Path) -> None:
    """Slurm may use a number again."""
    ledger = Ledger(tmp_path / "run")
    idle_lives(ledger, "9_1", 5, 5)
    idle_lives(ledger, "9_2", 5, 5)

    ledger.forget(["9_2"])

    assert idle_lives(ledger, "9_1", 5, 5) == 1
    assert idle_lives(ledger, "9_2", 5, 5) == 2


def _idle(out: Path) -> tuple[Ledger, int]:
    """Give the job 9 of a run as many lives without progress as are allowed."""
    records = look(open_run(out, QUITS_LATE).root).records()
    for _ in range(RETURNS):
        lives = idle_lives(Ledger(out), "9", records, records)
    assert lives == RETURNS
    return Ledger(out), records


def test_a_job_that_comes_back_for_nothing_ends_with_a_reason(tmp_path: Path, slurm: Fake) -> None:
    """It says where to look, in its log and in the run directory."""
    out = tmp_path / "run"
    _idle(out)

    job = _life(out, QUITS_LATE)
    _, complained = job.communicate(timeout=60)

    assert job.returncode == 2
    assert _requeues(slurm) == 0
    assert f"has come back {RETURNS} times" in complained
    assert f"{out}/workers/9-{job.pid}-0.log" in complained
    assert any("has come back" in warning for warning in View(out, {}).warnings())


def test_a_life_in_which_the_job_was_told_to_leave_does_not_count(
    tmp_path: Path, slurm: Fake
) -> None:
    """A job that was preempted before any progress restarts."""
    out = tmp_path / "run"
    ledger, records = _idle(out)

    job = _life(out, QUITS_LATE)
    assert job.stdout is not None
    job.stdout.readline()  # its handlers are there
    job.send_signal(signal.SIGUSR2)
    _, complained = job.communicate(timeout=60)

    assert job.returncode == 0, complained
    assert _requeues(slurm) == 1
    assert look(out).records() == records
    assert idle_lives(ledger, "9", records, records) == RETURNS + 1, "that life was counted"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_worker_that_ends_as_if_all_were_done_is_an_error(
    tmp_path: Path, slurm: Fake, workers: str
) -> None:
    """The error comes at once, with the end of the worker's log; published records stay."""
    out = tmp_path / "run"
    job = _life(out, QUITS, "--workers", workers)
    _, complained = job.communicate(timeout=60)

    assert job.returncode == 2, complained
    assert _requeues(slurm) == 0
    assert "ended with status 0, but the run is not done" in complained
    assert "The end of its log" in complained
    assert any("status 0" in warning for warning in View(out, {}).warnings())
    faults = verify(open_run(out)).problems
    assert all("is not done" in fault or "has published nothing" in fault for fault in faults)


def test_local_jobs_end_too(tmp_path: Path) -> None:
    """submitit's local executor restarts a job as long as it asks for that."""
    out = tmp_path / "run"
    words = ["submit", QUITS_EARLY, "--out", str(out), "--cluster", "local", "--no-fsync"]
    done = subprocess.run(
        [sys.executable, "-m", "slurm", *words], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    [array] = Ledger(out).arrays()

    _until(lambda: not Path(f"/proc/{array.ids[0]}").exists(), 60)

    assert any("has come back" in warning for warning in View(out, {}).warnings())
