"""Questions to Slurm: how many, and how the answers are read."""

from pathlib import Path

import pytest

from core.directory.run import RunError
from slurm import squeue
from tests.slurm.fake import Fake


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Fake commands of Slurm."""
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SUBMITIT_EXECUTOR"):
        monkeypatch.delenv(name, raising=False)
    return Fake(tmp_path, monkeypatch)


def test_the_jobs_of_an_array_are_read_in_one_question(slurm: Fake) -> None:
    """One call of squeue gives state, reason, node and restarts of all jobs."""
    jobs = squeue.elements(["1234"])

    assert len(slurm.asked()) == 1
    assert jobs["1234_1"] == squeue.Element("1234_1", "RUNNING", "None", "n2", 2, "50:00", "pbt")
    assert [id for id, job in jobs.items() if job.is_live] == [
        "1234_0",
        "1234_1",
        "1234_2",
        "1234_3",
    ]
    assert jobs["1234_2"].reason == "Resources"


def test_nothing_is_asked_of_no_jobs(slurm: Fake) -> None:
    """An empty list calls no command."""
    assert squeue.elements([]) == {}
    assert slurm.asked() == []


def test_jobs_that_slurm_has_forgotten_are_none(slurm: Fake) -> None:
    """squeue reports an error if it has forgotten all jobs; we return none."""
    slurm.says("squeue", "slurm_load_jobs error: Invalid job id specified", 1, stream=2)
    assert squeue.elements(["77"]) == {}


def test_a_controller_that_is_away_is_an_error_in_its_own_words(slurm: Fake) -> None:
    """The message names the command and quotes its output."""
    slurm.says("squeue", "Unable to contact slurm controller", 1, stream=2)
    with pytest.raises(RunError, match="squeue: Unable to contact slurm controller"):
        squeue.elements(["77"])


def test_a_machine_without_slurm_is_told_so(slurm: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to do."""
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(RunError, match=r"no squeue on the path.*login node.*--cluster local"):
        squeue.elements(["77"])


def test_partitions_are_read(slurm: Fake) -> None:
    """A partition with two kinds of nodes is read as one."""
    slurm.says("sinfo", "debug*|infinite|(null)\ngpu|2-00:00:00|gpu:2\ngpu|2-00:00:00|(null)")

    assert squeue.partitions() == {
        "debug": {"limit": "infinite", "gres": "", "default": "yes"},
        "gpu": {"limit": "2-00:00:00", "gres": "gpu:2", "default": ""},
    }


def test_the_limit_of_an_array_is_read(slurm: Fake) -> None:
    """The limit comes from the controller's settings, else it is Slurm's default."""
    slurm.says("scontrol", "MaxArraySize            = 77\nMaxDBDMsgs = 3")
    assert squeue.largest_array() == 77
    slurm.says("scontrol", "")
    assert squeue.largest_array() == 1001


def test_the_last_element_of_an_array_is_not_the_array(
    slurm: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its SLURM_JOB_ID is the array's: requeueing that id would requeue all elements."""
    monkeypatch.setenv("SLURM_JOB_ID", "1234")
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "1234")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "2")
    slurm.says("squeue", "RUNNING")

    assert squeue.own_job_id() == "1234_2"
    assert squeue.requeue_self(squeue.own_job_id(), print)
    assert slurm.asked()[-1] == "scontrol requeue 1234_2"


@pytest.mark.parametrize("state", ["COMPLETING", "CANCELLED", "PENDING", ""])
def test_a_job_that_was_cancelled_does_not_come_back(
    slurm: Fake, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """A cancelled job, or one that is requeued already, is not requeued."""
    monkeypatch.setenv("SLURM_JOB_ID", "1234")
    slurm.says("squeue", state)

    assert not squeue.requeue_self(squeue.own_job_id(), print)
    assert not any("requeue" in line for line in slurm.asked())


def test_a_job_comes_back_although_the_controller_was_away(
    slurm: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job asks again until Slurm answers."""
    monkeypatch.setenv("SLURM_JOB_ID", "1234")
    slurm.says("squeue", "Unable to contact slurm controller", 1, stream=2)
    said: list[str] = []

    def back(_: float) -> None:
        slurm.says("squeue", "RUNNING")

    monkeypatch.setattr("slurm.squeue.time.sleep", back)

    assert squeue.requeue_self("1234", said.append)
    assert said[0].startswith("cannot be requeued yet: squeue: Unable to contact")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1:00:00", 3600), ("9:59", 599), ("1-00:00:01", 86401), ("0:30", 30), ("UNLIMITED", None)],
)
def test_the_time_that_is_left_is_read(
    slurm: Fake, monkeypatch: pytest.MonkeyPatch, text: str, seconds: float | None
) -> None:
    """All formats of squeue are read; UNLIMITED is None."""
    monkeypatch.setenv("SLURM_JOB_ID", "1234")
    monkeypatch.delenv("SLURM_RESTART_COUNT", raising=False)
    slurm.says("squeue", text)
    assert squeue.seconds_left("1234", None) == seconds


def test_a_job_whose_limit_may_have_changed_asks(
    slurm: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A requeued job asks Slurm, because `scontrol update` may have changed its limit."""
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    slurm.says("squeue", "1:00:00")
    assert squeue.seconds_left("1234", 600.0) == 3600


def test_a_job_that_may_not_be_requeued_says_so(slurm: Fake) -> None:
    """The job reports the error instead of asking until it is killed."""
    slurm.says("squeue", "RUNNING")
    slurm.says("scontrol", "Requested operation is presently disabled", 1, stream=2)
    with pytest.raises(RunError, match="may not be requeued, so it does not come back"):
        squeue.requeue_self("1234", print)


def test_variables_of_another_array_are_not_believed(
    slurm: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job submitted from within an array's job has them still."""
    monkeypatch.setenv("SLURM_JOB_ID", "99")
    slurm.says("squeue", "77")
    assert not squeue.is_own("1234_1")
    slurm.says("squeue", "99")
    assert squeue.is_own("1234_1")


def test_a_limit_that_is_known_costs_no_question(
    slurm: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A known limit needs no call: a thousand jobs may start at the same time."""
    monkeypatch.setenv("SLURM_JOB_ID", "1234")
    monkeypatch.delenv("SLURM_RESTART_COUNT", raising=False)
    assert squeue.seconds_left("1234", 600.0) == 600
    assert slurm.asked() == []
