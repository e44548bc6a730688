"""One job: its checks, its signals, and its requeueing."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from submitit.helpers import DelayedSubmission

from core.audits.verify import verify
from core.directory.heartbeat import Heartbeat
from core.directory.run import RunError, open_run
from core.status.progress import View
from slurm.code.snapshot import freeze
from slurm.jobs.job import Job
from tests.slurm.fake import Fake

ROOT = Path(__file__).parents[3]
VARIABLES = ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SUBMITIT_EXECUTOR")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run without a trained step, outside of any job."""
    for name in (*VARIABLES, "SLURM_JOB_END_TIME", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    return open_run(tmp_path / "run", "tests.trainers:walk").root


def _work(*words: str, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "slurm", "work", *words, "--no-fsync"]
    clean = {name: word for name, word in os.environ.items() if name not in VARIABLES}
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=clean | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _faults(root: Path) -> list[str]:
    """Return what verify finds, except that the run is not done."""
    return [
        line
        for line in verify(open_run(root)).problems
        if "is not done" not in line and "has published nothing" not in line
    ]


def test_a_job_works_until_the_run_is_done(root: Path) -> None:
    """A job with several workers completes a run, outside of Slurm too."""
    job = _work("tests.trainers:walk", "--out", str(root), "--workers", "2")
    said, complained = job.communicate(timeout=60)

    assert job.returncode == 0, complained
    assert "2 workers on cpu, cpu" in said
    assert "all members are done" in said
    assert _faults(root) == []


@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGTERM])
def test_a_signal_lets_the_turns_end_and_the_job_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """Workers finish their turns, nothing is lost, and Slurm is asked to requeue."""
    slurm = Fake(tmp_path, monkeypatch)
    slurm.says("squeue", "RUNNING")
    out = tmp_path / "run"
    where = {"SLURM_JOB_ID": "9"}
    job = _work("tests.trainers:half_seconds", "--out", str(out), PATH=os.environ["PATH"], **where)
    view = View(out, {"settings": {"members": 6, "steps": 16}})
    while not any(row.record.member.step for row in view.rows()):
        time.sleep(0.05)

    job.send_signal(number)
    said, complained = job.communicate(timeout=30)

    assert job.returncode == 0, complained
    assert f"{number.name}: the workers finish their turns" in said
    assert slurm.asked()[-1] == "scontrol requeue 9"
    assert _faults(out) == []
    assert all(not row.worker for row in View(out, open_run(out).info).rows())


def test_a_worker_that_is_killed_is_replaced(tmp_path: Path) -> None:
    """The same job starts another worker; Slurm is not involved."""
    out = tmp_path / "run"
    job = _work("tests.trainers:slow_walk", "--out", str(out))
    while not (beats := list((out / "workers").glob("*.json"))):
        time.sleep(0.02)

    os.kill(json.loads(beats[0].read_text())["pid"], signal.SIGKILL)
    said, complained = job.communicate(timeout=60)

    assert job.returncode == 0, complained
    assert "worker 0 ended with status -9; another takes its place" in said
    assert _faults(out) == []


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A missing run directory is an error: the node may not see it."""
    with pytest.raises(RunError, match="directory must be on a file system that all nodes share"):
        Job(str(tmp_path / "none"))()


def test_another_code_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Changed code is refused unless --other-code allows it."""
    monkeypatch.setattr("slurm.jobs.job.code_version", lambda: "another")
    with pytest.raises(RunError, match=r"began with the code of commit .* and this is another"):
        Job(str(root))()


def test_a_snapshot_that_is_not_what_is_imported_is_refused(root: Path, tmp_path: Path) -> None:
    """A job never imports the live code in place of its snapshot."""
    frozen = freeze("tests.trainers:walk", tmp_path / "jobs")
    with pytest.raises(RunError, match="not from the code that was frozen"):
        Job(str(root), code=str(frozen.folder))()


@pytest.mark.parametrize(("given", "count"), [(None, 0), ("", 0), ("0", 1), ("GPU-8a,GPU-9b", 2)])
def test_gpus_are_those_that_slurm_gave(
    root: Path, monkeypatch: pytest.MonkeyPatch, given: str | None, count: int
) -> None:
    """A job with too few GPUs stops before it trains."""
    monkeypatch.setenv("SLURM_JOB_ID", "9")
    if given is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)

    with pytest.raises(RunError, match=f"wants 3 GPUs, and Slurm has given it {count} on"):
        Job(str(root), devices=("cuda:0", "cuda:1", "cuda:2"))()
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == given


def test_why_a_job_failed_is_in_the_run_directory(root: Path) -> None:
    """The error is in the run directory, so `status` shows it."""
    with pytest.raises(RunError):
        Job(str(root), code="/nowhere")()

    assert any("not a snapshot" in warning for warning in View(root, {}).warnings())


def test_a_checkpoint_is_the_job_itself(root: Path) -> None:
    """submitit may call checkpoint in its signal handler, where nothing may wait."""
    job = Job(str(root))
    submission = job.checkpoint()
    assert isinstance(submission, DelayedSubmission)
    assert (submission.function, submission.args, submission.kwargs) == (job, (), {})


def test_turns_that_cannot_end_are_not_begun(tmp_path: Path) -> None:
    """A worker that knows how long its turns are leaves before its time is over."""
    out = tmp_path / "run"
    run = open_run(out, "tests.trainers:half_seconds")
    command = [sys.executable, "-m", "core", "work", str(out), "--lifetime", "3", "--no-fsync"]

    began = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, timeout=60)
    spent = time.monotonic() - began

    assert done.returncode == 3
    steps = sum(row.record.member.step for row in View(out, run.info).rows())
    assert 2 <= steps <= 5
    assert spent < 5
    assert _faults(out) == []


def test_a_heartbeat_names_the_job(tmp_path: Path) -> None:
    """The heartbeat names the job, so `status` can join it with squeue."""
    with Heartbeat(tmp_path, job="1234_5") as worker:
        beat = json.loads((tmp_path / "workers" / f"{worker.name}.json").read_text())
    assert beat["job"] == "1234_5"
