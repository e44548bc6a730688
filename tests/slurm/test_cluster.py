"""Runs on a real Slurm: submissions work, and impossible ones are refused."""

import shutil
import sys
from pathlib import Path

import pytest

from core.directory.members import Members
from core.directory.run import open_run, read_info
from slurm.jobs.ledger import Ledger
from tests.faults.storms import REPOSITORY
from tests.run_files import rewrite
from tests.slurm.cluster import Cluster
from tests.slurm.conftest import Start
from tests.slurm.runs import SubmittedRun

pytestmark = pytest.mark.slurm
PLACED = "tests.slurm.trainers:placed"


# ---------------------------------------------------------------------------- arrays


def test_an_array_works_after_submit_has_returned(cluster: Cluster, tmp_path: Path) -> None:
    """The probe succeeds, nothing but jobs stays, and a second array is refused."""
    run = SubmittedRun(cluster, tmp_path / "run")
    (array,) = run.submit("--workers", "4", probe="20")
    assert not run.is_done()
    assert sorted(run.jobs()) == [f"{array}_{i}" for i in range(4)]
    assert "scale" in run.refused("--workers", "4")
    run.finished()
    assert set(run.states()) == {"COMPLETED"}
    for i in range(4):
        assert "all members are done" in run.log(f"{array}_{i}")
    assert "done" in run.refused("--workers", "4")


def test_what_still_waits_is_cancelled_when_the_run_is_done(
    cluster: Cluster, tmp_path: Path
) -> None:
    """Two of six jobs run at the same time; the other four never start."""
    run = SubmittedRun(cluster, tmp_path / "run", steps=4)
    run.submit("--workers", "6", "--array-parallelism", "2")
    most = 0

    def look() -> bool:
        nonlocal most
        most = max(most, run.count("RUNNING"))
        return run.is_done()

    run.until(look)
    run.finished()
    assert most == 2
    assert sorted(run.states()) == ["CANCELLED"] * 4 + ["COMPLETED"] * 2


def test_more_jobs_than_an_array_may_have(start: Start, tmp_path: Path) -> None:
    """More jobs than MaxArraySize become several arrays."""
    run = SubmittedRun(start("--max-array", "3"), tmp_path / "run")
    arrays = run.submit("--workers", "7")
    assert len(arrays) == 3
    assert len(run.jobs()) == 7
    run.at_work(7)
    run.finished()


def test_workers_on_nodes_of_different_size(cluster: Cluster, tmp_path: Path) -> None:
    """Five jobs with four CPUs each need all three nodes."""
    run = SubmittedRun(cluster, tmp_path / "run")
    run.submit("--workers", "5", "--cpus", "4")
    run.at_work(5)
    assert sorted(seen.node for seen in run.jobs().values()) == ["n1", "n1", "n2", "n2", "n3"]
    run.finished()


@pytest.mark.parametrize(
    ("options", "places", "devices"),
    [
        ("--workers 3 --gpus 1", ["n1 0", "n1 1", "n2 0"], {"cuda:0"}),
        ("--workers 4 --gpus 1 --workers-per-gpu 2", None, {"cuda:0"}),
        ("--workers 2 --gpus 2", ["n1 0,1"], {"cuda:0", "cuda:1"}),
    ],
)
def test_gpus(
    cluster: Cluster, tmp_path: Path, options: str, places: list[str] | None, devices: set[str]
) -> None:
    """No two jobs have the same GPU; the workers of a job share its GPUs."""
    run = SubmittedRun(cluster, tmp_path / "run", PLACED, steps=6)
    run.submit(*options.split())
    run.until(lambda: run.count("RUNNING") == len(run.jobs()))
    run.at_work(len(run.jobs()))
    run.finished()
    records = [record for id in range(run.members) for record in Members(run.root).history(id)]
    reports = [record.report for record in records if record.report]
    used = {(report["job"], f"{report['node']} {report['visible']}") for report in reports}
    found = sorted(place for _, place in used)
    assert len(set(found)) == len(found) == len(run.jobs())
    assert places is None or found == places
    assert {report["device"] for report in reports} == devices
    assert len({record.worker for record in records}) == int(options.split()[1])


# ---------------------------------------------------------------------------- while it runs


def test_scale(cluster: Cluster, tmp_path: Path) -> None:
    """Pending jobs are cancelled first, others leave after their turn; none is requeued."""
    run = SubmittedRun(cluster, tmp_path / "run", steps=16)
    (array,) = run.submit("--workers", "4", "--array-parallelism", "2")
    run.at_work(2)
    assert "Cancelled" in run.scale(2)
    assert run.states() == ["RUNNING"] * 2 + ["CANCELLED"] * 2
    assert "Submitted 2 jobs" in run.scale(4)
    run.at_work(4)
    assert "There are 4 workers already" in run.scale(4)
    assert run.scale(1).count("_") == 3
    run.until(lambda: run.count("RUNNING") == 1 and run.count("COMPLETED") == 3)
    assert f"{array}_0" in run.scale(0)
    run.until(lambda: not run.live())
    assert all(seen.restarts == 0 for seen in run.jobs().values())
    assert sorted(run.states()) == ["CANCELLED"] * 2 + ["COMPLETED"] * 4
    assert not run.is_done()
    run.submit("--workers", "6")
    run.finished()


def test_status(cluster: Cluster, tmp_path: Path) -> None:
    """status says why jobs wait and what others train, with at most one call of squeue."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("squeue", "sacct", "scontrol", "sinfo"):
        real = shutil.which(name)
        script = f'#!/bin/sh\necho {name} >>{tools}/asked\nexec {real} "$@"\n'
        (tools / name).write_text(script)
        (tools / name).chmod(0o755)
    run = SubmittedRun(cluster, tmp_path / "run", steps=12)
    (array,) = run.submit("--workers", "3", "--array-parallelism", "2", "--setup", "true")
    run.at_work(2)
    cluster.sh("scontrol", "requeue", f"{array}_0")
    run.until(lambda: run.jobs()[f"{array}_0"][:2] == ("PENDING", 1))
    env = cluster.env | {"PATH": f"{tools}:{cluster.env['PATH']}", "COLUMNS": "200"}
    said = run.command("status", run.root, env=env)
    assert said.returncode == 0, said.stderr
    assert (tools / "asked").read_text() == "squeue\n"
    assert "1 of them requeued before" in said.stdout
    assert "JobArrayTaskLimit" in said.stdout or "BeginTime" in said.stdout

    def trains() -> bool:
        lines = run.command("status", run.root, env=env).stdout.splitlines()
        line = next(line for line in lines if f"{array}_1 " in line)
        return "running" in line and line.split("│")[-2].strip() in tuple("012345")

    run.until(trains)  # between two turns it trains none
    said = run.command("status", run.root, env=env | {"PATH": str(tmp_path)})
    assert said.returncode == 0, said.stderr
    assert "no squeue on the path" in said.stdout
    run.finished()


def test_code_edited_after_submission_is_not_what_runs(cluster: Cluster, tmp_path: Path) -> None:
    """Jobs import the code as it was at the submission."""
    tree = tmp_path / "tree"
    for name in ("core", "slurm", "tasks", "tests"):
        shutil.copytree(REPOSITORY / name, tree / name)
    run = SubmittedRun(cluster, tmp_path / "run")
    (array,) = run.submit("--workers", "3", "--hold", cwd=tree)
    for module in (
        "core/workers/worker.py",
        "core/__init__.py",
        "slurm/jobs/job.py",
        "tests/trainers.py",
    ):
        (tree / module).write_text("raise SystemExit('this is another code')\n")
    cluster.sh("scontrol", "release", array)
    run.finished()


def test_a_task_in_a_file_of_the_projects_root(cluster: Cluster, tmp_path: Path) -> None:
    """A user's task is frozen with the files beside it; jobs run after it was deleted."""
    tree = tmp_path / "tree"
    for name in ("core", "slurm", "tasks"):
        shutil.copytree(REPOSITORY / name, tree / name)
    (tree / "beside.py").write_text("from tasks.toy.presets import pbt\n")
    (tree / "my_task.py").write_text(
        "def mine():\n    from beside import pbt\n\n    return pbt()\n"
    )
    run = SubmittedRun(cluster, tmp_path / "run", "my_task:mine")
    words = ["submit", *run.run_words(), "--time", "10", "--no-fsync", "--hold"]
    tried = run.command(*words, "--dry-run", cwd=tree)
    assert tried.returncode == 0, tried.stderr
    assert not run.root.exists()
    done = run.command(*words, "--workers", "3", cwd=tree)
    assert done.returncode == 0, done.stderr
    array = done.stdout.split("jobs: ")[1].split()[0]
    shutil.rmtree(tree)
    tree.mkdir()  # the jobs' working directory
    cluster.sh("scontrol", "release", array)
    run.arrays.append(array)
    run.until(lambda: run.states() == ["COMPLETED"] * 3)


def test_code_that_was_tampered_with_is_not_run(cluster: Cluster, tmp_path: Path) -> None:
    """A changed snapshot fails the job; a missing one is frozen again."""
    run = SubmittedRun(cluster, tmp_path / "run")
    (job,) = run.submit("--hold")
    code = Path(Ledger(run.root).arrays()[0].code)
    module = code / "project" / "core" / "pbt.py"
    module.chmod(0o644)
    module.write_text(module.read_text() + "\n")
    cluster.sh("scontrol", "release", job)
    run.until(lambda: run.count("FAILED") == 1)
    assert "was changed after it was frozen" in run.log(job)
    shutil.rmtree(code)
    run.submit("--workers", "3")
    run.finished()


# ---------------------------------------------------------------------------- scripts


def test_a_batch_script_of_the_users_own(cluster: Cluster, tmp_path: Path) -> None:
    """`python -m slurm work` restarts after its signal, but not after a cancellation."""
    run = SubmittedRun(cluster, tmp_path / "run", steps=12)
    script = tmp_path / "worker.sbatch"
    words = " ".join(map(str, run.run_words()))
    script.write_text(
        "#!/bin/bash\n"
        "#SBATCH --array=0-2 --requeue --open-mode=append --signal=B:USR2@60 --time=10\n"
        f"#SBATCH --output={tmp_path}/%a.log --chdir={REPOSITORY}\n"
        f"exec {sys.executable} -m slurm work {words} --no-fsync\n"
    )
    array = cluster.sh("sbatch", "--parsable", script)
    run.arrays.append(array)
    run.until(lambda: (run.root / "run.json").exists())
    run.at_work(3)
    told, cancelled = f"{array}_1", f"{array}_2"
    cluster.sh("scancel", "--batch", "--signal=USR2", told)
    cluster.sh("scancel", cancelled)
    run.until(lambda: run.jobs()[cancelled].state == "CANCELLED")
    run.until(lambda: run.jobs()[told].restarts == 1)
    said = run.command("status", run.root)
    assert "1 of them requeued before" in said.stdout, said.stdout
    run.finished()
    assert run.jobs()[cancelled] == ("CANCELLED", 0, run.jobs()[cancelled].node)
    assert run.jobs()[f"{array}_0"].state == "COMPLETED"


# ---------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("options", "time", "sentence"),
    [
        (["--partition", "nowhere"], "10", "there is no partition 'nowhere'; there are cpu, debug"),
        (["--partition", "cpu", "--gpus", "1"], "10", "have no GPUs"),
        (["--partition", "short"], "5", "more than partition short allows"),
        ([], None, "--time is missing"),
        (["--frobnicate=1"], "10", "frobnicate"),
        (["--account", "nobody", "--cpus", "100"], "10", "Slurm would not take these jobs"),
    ],
)
def test_what_slurm_would_not_take_is_refused(
    cluster: Cluster, tmp_path: Path, options: list[str], time: str | None, sentence: str
) -> None:
    """A sentence says what is wrong, before anything is written."""
    run = SubmittedRun(cluster, tmp_path / "run")
    assert sentence in run.refused(*options, time=time)
    assert not run.root.exists()
    assert not Ledger(run.root).folder.exists()


def test_a_machine_without_slurm(cluster: Cluster, tmp_path: Path) -> None:
    """The message says where to go."""
    run = SubmittedRun(cluster, tmp_path / "run")
    said = run.refused(env=cluster.env | {"PATH": str(tmp_path)})
    assert "no sbatch on the path" in said
    assert "--cluster local" in said
    assert not run.root.exists()


def test_a_directory_that_a_node_does_not_see(start: Start, tmp_path: Path) -> None:
    """The probe detects it before anything is submitted."""
    hidden = tmp_path / "hidden"
    run = SubmittedRun(start("--hide", f"{hidden}:n2"), hidden / "run", steps=4)
    said = run.refused("--nodelist=n2", probe="20")
    assert "is not there" in said
    assert "Nothing was submitted" in said
    run.submit("--exclude=n2", "--workers", "3", probe="20")
    run.finished()


def test_a_directory_that_a_node_does_not_see_without_a_probe(start: Start, tmp_path: Path) -> None:
    """The job on that node fails at once; the other jobs complete the run."""
    hidden = tmp_path / "hidden"
    run = SubmittedRun(start("--hide", f"{hidden}:n2"), hidden / "run", steps=6)
    (array,) = run.submit("--exclusive", "--workers", "3")
    run.finished()
    assert sorted(run.states()) == ["COMPLETED", "COMPLETED", "FAILED"], array


def test_a_run_of_other_code_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    """Another commit is refused unless --other-code allows it."""
    run = SubmittedRun(cluster, tmp_path / "run", steps=4)
    open_run(run.root, run.preset, {"steps": 4, "members": 6})
    rewrite(run.root, {"code": "0123456789ab"})
    assert "0123456789ab" in str(read_info(run.root)["code"])
    assert "began with the code of commit 0123456789ab" in run.refused()
    run.submit("--workers", "3", "--other-code")
    run.finished()
