"""The folder beside a run: which jobs there are, who was asked to leave, who ends the rest."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from core.directory.run import RunError
from slurm.jobs.ledger import Array, Ledger
from tests.slurm.fake import Fake


@pytest.fixture
def launch(tmp_path: Path) -> Ledger:
    """That of a run that need not exist."""
    return Ledger(tmp_path / "runs" / "a run")


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Commands of Slurm's, for a process outside of any job."""
    for name in ("SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_MAX", "SUBMITIT_EXECUTOR"):
        monkeypatch.delenv(name, raising=False)
    return Fake(tmp_path, monkeypatch)


WHOLE = Array(("1234_0", "1234_1", "1234_2"), request={"gpus": 1}, code="c", commit="abc")


def test_it_lies_beside_the_run(launch: Ledger) -> None:
    """In the run directory there is nothing that a job executes."""
    assert launch.folder == launch.root.parent / "a run.slurm"


def test_arrays_are_kept_as_they_were_submitted(launch: Ledger) -> None:
    """Oldest first, each once."""
    launch.add(WHOLE)
    launch.add(Array(("7",), cluster="local"))
    launch.add(Array(("1234_0", "1234_1", "1234_2"), commit="another"))

    arrays = launch.arrays()

    assert [array.name for array in arrays] == ["1234", "7"]
    assert arrays[0].request == {"gpus": 1}
    assert arrays[0].commit == "abc"
    assert launch.slurm_ids() == ["1234"]


def test_a_file_that_is_not_ours_is_named(launch: Ledger) -> None:
    """Rather than believed."""
    launch.add(WHOLE)
    path = launch.folder / "jobs/1234.json"
    path.write_text("[]")

    with pytest.raises(RunError, match=r"1234\.json is not what was written"):
        launch.arrays()


def test_a_job_of_a_script_makes_its_array_known(
    launch: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it if its elements work together; only itself if each has a run of its own."""
    monkeypatch.setenv("SLURM_ARRAY_TASK_MIN", "2")
    monkeypatch.setenv("SLURM_ARRAY_TASK_MAX", "4")
    other = Ledger(launch.root.with_name("other"))

    launch.register("55_3", together=True)
    launch.register("55_4", together=True)
    other.register("55_3", together=False)

    assert [array.ids for array in launch.arrays()] == [("55_2", "55_3", "55_4")]
    assert launch.slurm_ids() == ["55"]
    assert other.slurm_ids() == ["55_3"]


def test_a_job_outside_of_slurm_is_none(launch: Ledger) -> None:
    """Nothing is written for it."""
    launch.register("", together=True)
    assert launch.arrays() == []


def test_a_wish_is_fulfilled_once(launch: Ledger) -> None:
    """The job that leaves takes it back, so that one of the same name may come again."""
    assert not launch.must_leave("1234_1")
    launch.ask_to_leave(["1234_1", "1234_2"])
    assert launch.must_leave("1234_1")
    assert launch.asked_to_leave() == {"1234_1", "1234_2"}
    launch.has_left("1234_1")
    launch.has_left("1234_1")
    assert launch.asked_to_leave() == {"1234_2"}


def test_the_first_to_see_the_run_done_cancels_what_is_pending(launch: Ledger, slurm: Fake) -> None:
    """One call for all arrays, by one job of many."""
    launch.add(WHOLE)
    launch.add(Array(("99",)))

    slurm.says("squeue", "1234_1|PENDING|Priority||0|9:00|x|\n99|PENDING|Priority||0|9:00|x|")
    launch.end_all("1234_0")
    launch.end_all("1234_1")

    assert slurm.asked()[1:] == ["scancel --state=PENDING 1234 99"]


def test_a_study_cancels_nobody_elses_jobs(launch: Ledger, slurm: Fake) -> None:
    """Its array's other elements have runs of their own."""
    launch.register("55_3", together=False)
    slurm.says("squeue", "55_3|RUNNING|None|n1|0|9:00|x|")
    launch.end_all("55_3")
    assert [line.split()[:6] for line in slurm.asked()] == [
        ["squeue", "-h", "-r", "-t", "all", "-j"]
    ]
    assert slurm.asked()[0].split()[6] == "55_3"


def test_elements_cancelled_while_pending_are_known(launch: Ledger, slurm: Fake) -> None:
    """Slurm shows them as one line, that of their array."""
    launch.add(WHOLE)
    slurm.says("squeue", "1234_0|RUNNING|None|n1|0|9:00|x|\n1234|CANCELLED|None||0|9:00|x|")

    jobs = launch.elements()

    assert {id: job.state for id, job in jobs.items()} == {
        "1234_0": "RUNNING",
        "1234_1": "CANCELLED",
        "1234_2": "CANCELLED",
    }


def test_a_number_that_is_another_jobs_now_is_not_ours(launch: Ledger, slurm: Fake) -> None:
    """Slurm counts anew after a reset: what is done to our jobs must not be done to it."""
    launch.add(replace(WHOLE, job_name="pbt-a run"))
    slurm.says("squeue", "1234_0|PENDING|Priority||0|9:00|somebody|")
    assert launch.elements() == {}


def test_the_jobs_of_a_copied_folder_are_not_ours(launch: Ledger) -> None:
    """`cp -r RUN RUN.slurm` makes another run, without any."""
    launch.add(WHOLE)
    other = Ledger(launch.root.with_name("copy"))
    shutil.copytree(launch.folder, other.folder)
    assert other.arrays() == []


def test_a_link_to_a_run_is_that_run(launch: Ledger) -> None:
    """With the same jobs."""
    launch.root.mkdir(parents=True)
    launch.add(WHOLE)
    link = launch.root.with_name("latest")
    link.symlink_to(launch.root)
    assert Ledger(link).folder == launch.folder
    assert len(Ledger(link).arrays()) == 1


def test_one_at_a_time_submits(launch: Ledger) -> None:
    """The other is told who does."""
    other = launch.alone()
    with launch.alone(), pytest.raises(RunError, match="somebody is submitting jobs"):
        other.__enter__()
    with launch.alone():
        pass


def test_wishes_of_an_earlier_life_are_forgotten(launch: Ledger) -> None:
    """But not those to jobs that are still there."""
    launch.ask_to_leave(["1234_0", "7_1"])
    launch.end_all("")
    launch.forget(["7_1"])
    assert launch.asked_to_leave() == {"7_1"}
    assert not (launch.folder / "done").exists()
