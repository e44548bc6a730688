"""The ledger beside a run: its jobs, requests to leave, and the end of pending jobs."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from core.directory.run import RunError
from slurm.jobs.ledger import Array, Ledger
from tests.slurm.fake import Fake


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """The ledger of a run that does not exist."""
    return Ledger(tmp_path / "runs" / "a run")


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Fake commands of Slurm, for a process outside of any job."""
    for name in ("SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_MAX", "SUBMITIT_EXECUTOR"):
        monkeypatch.delenv(name, raising=False)
    return Fake(tmp_path, monkeypatch)


WHOLE = Array(("1234_0", "1234_1", "1234_2"), request={"gpus": 1}, code="c", commit="abc")


def test_it_lies_beside_the_run(ledger: Ledger) -> None:
    """The run directory holds nothing that a job executes."""
    assert ledger.folder == ledger.root.parent / "a run.slurm"


def test_arrays_are_kept_as_they_were_submitted(ledger: Ledger) -> None:
    """Oldest first, each once."""
    ledger.add(WHOLE)
    ledger.add(Array(("7",), cluster="local"))
    ledger.add(Array(("1234_0", "1234_1", "1234_2"), commit="another"))

    arrays = ledger.arrays()

    assert [array.name for array in arrays] == ["1234", "7"]
    assert arrays[0].request == {"gpus": 1}
    assert arrays[0].commit == "abc"
    assert ledger.slurm_ids() == ["1234"]


def test_a_file_that_is_not_ours_is_named(ledger: Ledger) -> None:
    """A damaged file is an error."""
    ledger.add(WHOLE)
    path = ledger.folder / "jobs/1234.json"
    path.write_text("[]")

    with pytest.raises(RunError, match=r"1234\.json is not what was written"):
        ledger.arrays()


def test_a_job_of_a_script_makes_its_array_known(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole array if its elements work together, else only the job itself."""
    monkeypatch.setenv("SLURM_ARRAY_TASK_MIN", "2")
    monkeypatch.setenv("SLURM_ARRAY_TASK_MAX", "4")
    other = Ledger(ledger.root.with_name("other"))

    ledger.register("55_3", together=True)
    ledger.register("55_4", together=True)
    other.register("55_3", together=False)

    assert [array.ids for array in ledger.arrays()] == [("55_2", "55_3", "55_4")]
    assert ledger.slurm_ids() == ["55"]
    assert other.slurm_ids() == ["55_3"]


def test_a_job_outside_of_slurm_is_none(ledger: Ledger) -> None:
    """Nothing is written for it."""
    ledger.register("", together=True)
    assert ledger.arrays() == []


def test_a_job_is_asked_to_leave_once(ledger: Ledger) -> None:
    """A job that leaves removes the request, so a later job of that name may stay."""
    assert not ledger.must_leave("1234_1")
    ledger.ask_to_leave(["1234_1", "1234_2"])
    assert ledger.must_leave("1234_1")
    assert ledger.asked_to_leave() == {"1234_1", "1234_2"}
    ledger.has_left("1234_1")
    ledger.has_left("1234_1")
    assert ledger.asked_to_leave() == {"1234_2"}


def test_the_first_to_see_the_run_done_cancels_what_is_pending(ledger: Ledger, slurm: Fake) -> None:
    """One job calls scancel once, for all arrays."""
    ledger.add(WHOLE)
    ledger.add(Array(("99",)))

    slurm.says("squeue", "1234_1|PENDING|Priority||0|9:00|x|\n99|PENDING|Priority||0|9:00|x|")
    ledger.end_all("1234_0")
    ledger.end_all("1234_1")

    assert slurm.asked()[1:] == ["scancel --state=PENDING 1234 99"]


def test_a_study_cancels_nobody_elses_jobs(ledger: Ledger, slurm: Fake) -> None:
    """The other elements of its array have their own runs."""
    ledger.register("55_3", together=False)
    slurm.says("squeue", "55_3|RUNNING|None|n1|0|9:00|x|")
    ledger.end_all("55_3")
    assert [line.split()[:6] for line in slurm.asked()] == [
        ["squeue", "-h", "-r", "-t", "all", "-j"]
    ]
    assert slurm.asked()[0].split()[6] == "55_3"


def test_elements_cancelled_while_pending_are_known(ledger: Ledger, slurm: Fake) -> None:
    """Slurm shows them as one line, with the id of their array."""
    ledger.add(WHOLE)
    slurm.says("squeue", "1234_0|RUNNING|None|n1|0|9:00|x|\n1234|CANCELLED|None||0|9:00|x|")

    jobs = ledger.elements()

    assert {id: job.state for id, job in jobs.items()} == {
        "1234_0": "RUNNING",
        "1234_1": "CANCELLED",
        "1234_2": "CANCELLED",
    }


def test_a_number_that_is_another_jobs_now_is_not_ours(ledger: Ledger, slurm: Fake) -> None:
    """After a reset Slurm may give our number to another job, which must be left alone."""
    ledger.add(replace(WHOLE, job_name="pbt-a run"))
    slurm.says("squeue", "1234_0|PENDING|Priority||0|9:00|somebody|")
    assert ledger.elements() == {}


def test_the_jobs_of_a_copied_folder_are_not_ours(ledger: Ledger) -> None:
    """A copy of RUN.slurm beside another run brings no jobs."""
    ledger.add(WHOLE)
    other = Ledger(ledger.root.with_name("copy"))
    shutil.copytree(ledger.folder, other.folder)
    assert other.arrays() == []


def test_a_link_to_a_run_is_that_run(ledger: Ledger) -> None:
    """A symbolic link has the jobs of the run."""
    ledger.root.mkdir(parents=True)
    ledger.add(WHOLE)
    link = ledger.root.with_name("latest")
    link.symlink_to(ledger.root)
    assert Ledger(link).folder == ledger.folder
    assert len(Ledger(link).arrays()) == 1


def test_one_at_a_time_submits(ledger: Ledger) -> None:
    """A second process gets an error that names the first."""
    other = ledger.alone()
    with ledger.alone(), pytest.raises(RunError, match="another process is submitting jobs"):
        other.__enter__()
    with ledger.alone():
        pass


def test_requests_to_jobs_that_are_gone_are_forgotten(ledger: Ledger) -> None:
    """Requests to live jobs stay."""
    ledger.ask_to_leave(["1234_0", "7_1"])
    ledger.end_all("")
    ledger.forget(["7_1"])
    assert ledger.asked_to_leave() == {"7_1"}
    assert not (ledger.folder / "done").exists()
