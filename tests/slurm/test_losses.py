"""Jobs that are preempted, killed, cancelled, or lost with their node: the run continues."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from core import pbt
from core.directory.members import Members
from core.directory.record import Record
from core.directory.run import open_run
from slurm.jobs.lives import RETURNS
from tests.faults.storms import REPOSITORY
from tests.slurm.cluster import Cluster
from tests.slurm.conftest import Start
from tests.slurm.runs import SubmittedRun, process

pytestmark = pytest.mark.slurm


# ---------------------------------------------------------------------------- time limits


@pytest.fixture(scope="module", autouse=True)
def overdue(
    start: Start, tmp_path_factory: pytest.TempPathFactory
) -> tuple[SubmittedRun, SubmittedRun]:
    """Submit a run that needs 65 s to its own cluster, where a job has two minutes.

    A second run never ends a turn. Slurm sends its signal a minute or more before the end.
    Meanwhile the other tests run.
    """
    folder, cluster = tmp_path_factory.mktemp("overdue"), start()
    run = SubmittedRun(cluster, folder / "run", steps=26, members=5)
    endless = SubmittedRun(cluster, folder / "endless", "tests.slurm.trainers:endless")
    for each in (run, endless):
        each.submit("--notice", "60", time="2")
    return run, endless


def test_turns_that_were_longer_than_the_limit(cluster: Cluster, tmp_path: Path) -> None:
    """No jobs are submitted for such turns; an existing job warns and tries."""
    run = SubmittedRun(cluster, tmp_path / "run", steps=4)
    begun = open_run(run.root, run.preset, {"steps": run.steps, "members": run.members})
    population = Members(run.root)
    population.enter(0)
    population.publish(Record(member=pbt.start(0, begun.pbt), seconds={"step": 500.0}))
    assert "--time 10 is too short: a turn of this run takes 0:08:20" in run.refused()
    script = tmp_path / "worker.sbatch"
    script.write_text(
        f"#!/bin/bash\n#SBATCH --time=2 --output={tmp_path}/log --chdir={REPOSITORY}\n"
        f"exec {sys.executable} -m slurm work {' '.join(map(str, run.run_words()))}\n"
    )
    run.arrays.append(cluster.sh("sbatch", "--parsable", script))
    run.finished()
    said = (tmp_path / "log").read_text()
    assert "a turn takes 0:08:20, and this job may run for 0:0" in said


# ---------------------------------------------------------------------------- requeues


def _restarts(run: SubmittedRun) -> list[int]:
    return [seen.restarts for _, seen in sorted(run.jobs().items())]


def _wait_until_all_are_requeued(run: SubmittedRun) -> None:
    run.until(lambda: min(_restarts(run)) >= 1)


def test_preempted_jobs_come_back(cluster: Cluster, tmp_path: Path) -> None:
    """Jobs return with grace time, without, and where Slurm would cancel them."""
    runs = {name: SubmittedRun(cluster, tmp_path / name) for name in ("low", "low0", "low_cancel")}
    for name, run in runs.items():
        run.submit("--workers", "2", "--partition", name)
    for run in runs.values():
        run.at_work(2, 4)
    cluster.sh("sbatch", "-phigh", "-N3", "--exclusive", "-o/dev/null", "--wrap", "sleep 3")
    for run in runs.values():
        _wait_until_all_are_requeued(run)
    for run in runs.values():
        run.finished()


def _tell_to_leave(run: SubmittedRun, job: str, life: int, *, at_work: bool) -> None:
    """Send the signal until the job has received it, from its start on or during its work."""
    here = ("RUNNING", life)
    run.until(lambda: run.jobs()[job][:2] == here)
    if at_work:
        run.at_work(1, run.progress() + 1)
    while run.jobs()[job][:2] == here:
        run.cluster.sh("scancel", "--signal=USR2", job, check=False)
        time.sleep(0.05)


def test_a_job_that_is_told_to_leave_again_and_again_goes_on(
    cluster: Cluster, tmp_path: Path
) -> None:
    """The job is preempted five times; submitit would give up after three."""
    run = SubmittedRun(cluster, tmp_path / "run", steps=6)
    (job,) = run.submit()
    for life in range(5):
        _tell_to_leave(run, job, life, at_work=life % 2 == 0)
    run.finished()
    state, lives, *_ = run.jobs()[job]
    assert state == "COMPLETED"
    assert lives >= 5  # a signal may have come late, to the next life


def test_one_element_of_an_array_is_requeued_alone(cluster: Cluster, tmp_path: Path) -> None:
    """Each element is requeued alone, also the last one, whose id is that of the array."""
    run = SubmittedRun(cluster, tmp_path / "run", steps=12)
    (array,) = run.submit("--workers", "5")
    run.at_work(5)
    cluster.sh("scontrol", "requeue", f"{array}_1")
    cluster.sh("scancel", "--signal=USR2", f"{array}_2")
    cluster.sh("scancel", "--signal=USR2", f"{array}_4")
    expected = [0, 1, 1, 0, 1]
    run.until(lambda: _restarts(run) == expected)
    run.finished()
    assert _restarts(run) == expected


def test_the_last_element_of_an_array_is_requeued_by_hand(cluster: Cluster, tmp_path: Path) -> None:
    """The other jobs are not affected."""
    run = SubmittedRun(cluster, tmp_path / "run")
    (array,) = run.submit("--workers", "3")
    run.at_work(3)
    cluster.sh("scontrol", "requeue", f"{array}_2")
    run.until(lambda: run.jobs()[f"{array}_2"].restarts == 1)
    run.finished()
    assert _restarts(run) == [0, 0, 1]


# ---------------------------------------------------------------------------- kills


def test_killed_processes(cluster: Cluster, tmp_path: Path) -> None:
    """A job replaces a killed worker; if the job's process is killed, its worker leaves."""
    run = SubmittedRun(cluster, tmp_path / "run", steps=12)
    (array,) = run.submit("--workers", "3")
    run.at_work(3)
    (worker,) = run.workers()[f"{array}_0"]
    os.kill(worker, signal.SIGKILL)
    run.until(lambda: "another takes its place" in run.log(f"{array}_0"))
    (orphan,) = run.workers()[f"{array}_1"]
    os.kill(process(orphan)[1], signal.SIGKILL)
    run.until(lambda: run.jobs()[f"{array}_1"].state == "FAILED")
    run.until(lambda: process(orphan)[0] in ("", "Z"))
    assert not run.is_done()
    run.finished()
    assert run.states() == ["COMPLETED", "FAILED", "COMPLETED"]
    assert run.jobs()[f"{array}_0"].restarts == 0


def test_cancelled_jobs_stay_away(cluster: Cluster, tmp_path: Path) -> None:
    """Half of an array, then all of it; another submission continues the run."""
    run = SubmittedRun(cluster, tmp_path / "run", steps=16)
    (array,) = run.submit("--workers", "4")
    run.at_work(4)
    cluster.sh("scancel", f"{array}_0", f"{array}_3")
    run.until(lambda: run.count("CANCELLED") == 2)
    before = run.progress()
    run.until(lambda: run.progress() > before + 6)
    assert run.states() == ["CANCELLED", "RUNNING", "RUNNING", "CANCELLED"]
    cluster.sh("scancel", array)
    run.until(lambda: not run.live())
    assert set(run.states()) == {"CANCELLED"}
    assert not run.is_done()
    run.submit("--workers", "6")
    run.finished()
    assert set(_restarts(run)) == {0}
    assert run.count("CANCELLED") == 4


def test_a_trainer_that_ends_its_process(cluster: Cluster, tmp_path: Path) -> None:
    """A trainer that ends its process fails the job, after a limited number of restarts."""
    done = SubmittedRun(cluster, tmp_path / "done", "tests.slurm.trainers:quits")
    early = SubmittedRun(cluster, tmp_path / "early", "tests.slurm.trainers:quits_early")
    for run in (done, early):
        run.submit()
    early.until(lambda: done.count("FAILED") == early.count("FAILED") == 1, 120)
    assert done.jobs()[done.arrays[0]].restarts == 0
    assert RETURNS <= early.jobs()[early.arrays[0]].restarts < 2 * RETURNS
    said = " ".join(done.command("status", done.root).stdout.split())
    assert "ended with status 0, but the run is not done" in said
    assert f"has come back {RETURNS} times" in early.command("status", early.root).stdout


# ---------------------------------------------------------------------------- nodes


def test_a_node_that_is_lost_and_returns(cluster: Cluster, tmp_path: Path) -> None:
    """The job waits for the run directory and continues when it is back."""
    run = SubmittedRun(cluster, tmp_path / "run", steps=20)
    run.submit("--workers", "3", "--exclusive")
    run.at_work(3)
    (lost,) = (id for id, seen in run.jobs().items() if seen.node == "n2")
    cluster.node("crash", "n2")
    run.until(lambda: run.jobs()[lost].state == "PENDING")
    cluster.node("start", "n2")
    run.until(lambda: run.jobs()[lost][:2] == ("RUNNING", 1) and lost in run.workers())
    run.finished()


def test_two_copies_of_a_job(cluster: Cluster, tmp_path: Path) -> None:
    """A node that lost its connection works on while Slurm restarts its job elsewhere."""
    run = SubmittedRun(cluster, tmp_path / "run", steps=24)
    (array,) = run.submit("--workers", "2", "--cpus", "3")
    run.at_work(2)
    twice, node = f"{array}_1", run.jobs()[f"{array}_1"].node
    cluster.node("hang", node)
    run.until(lambda: len(run.workers().get(twice, [])) == 2)
    assert run.jobs()[twice].restarts == 1
    assert run.jobs()[twice].node != node
    before = run.progress()
    run.until(lambda: run.progress() > before + 12)
    assert len(run.workers()[twice]) == 2
    cluster.node("start", node)
    run.until(lambda: len(run.workers().get(twice, [])) == 1)
    run.finished()


# ---------------------------------------------------------------------------- a real time limit


def test_a_time_limit_that_comes_before_the_end(overdue: tuple[SubmittedRun, SubmittedRun]) -> None:
    """Slurm's own signal makes the job leave; it is requeued and continues."""
    run, _ = overdue
    (job,) = run.arrays
    run.finished(150)
    assert run.jobs()[job].state == "COMPLETED"
    assert run.jobs()[job].restarts >= 1
    assert "requeued: it continues when Slurm starts it again" in run.log(job)


def test_a_time_limit_that_no_turn_fits_into(overdue: tuple[SubmittedRun, SubmittedRun]) -> None:
    """The job fails after one life with a message; it does not restart for ever."""
    _, run = overdue
    (job,) = run.arrays
    run.until(lambda: run.jobs()[job].state == "FAILED", 150)
    assert run.jobs()[job].restarts == 0
    status = run.command("status", run.root).stdout
    assert "no turn of any member ended, and the time limit is reached" in " ".join(status.split())
