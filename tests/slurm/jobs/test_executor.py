"""The parameters for submitit, and the script for sbatch."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.directory.run import RunError
from slurm.code.snapshot import Snapshot
from slurm.jobs.executor import chunks, sbatch_file
from slurm.request import Request


def _lines(request: Request) -> list[str]:
    code = Snapshot(Path("/shared/a run.slurm/code-1"), "abc", "1")
    return sbatch_file(request, Path("/shared/log"), request.jobs, code).splitlines()


def test_the_batch_file_says_what_was_asked() -> None:
    """Each option stands once, with the options that requeue a job."""
    request = Request(
        workers=8,
        gpus=1,
        workers_per_gpu=2,
        cpus=3,
        gigabytes=2.0,
        minutes=240,
        partition="gpu",
        account="a",
        qos="q",
        constraint="v100|a100",
        array_parallelism=3,
        setup=("module load cuda",),
        notice=300,
        sbatch={"exclude": "n1", "exclusive": True},
    )

    lines = _lines(request)

    for option in (
        "--array=0-3%3",
        "--cpus-per-task=6",
        "--mem=4GB",
        "--gpus-per-node=1",
        "--time=240",
        "--partition=gpu",
        "--account=a",
        "--qos=q",
        "--constraint='v100|a100'",
        "--signal=USR2@300",
        "--requeue",
        "--open-mode=append",
        "--exclude=n1",
        "--exclusive",
        "--nodes=1",
    ):
        assert lines.count(f"#SBATCH {option}") == 1, option
    assert "export PYTHONSAFEPATH=1" in lines
    assert lines.index("module load cuda") < lines.index("export PYTHONSAFEPATH=1")
    assert lines.index("module load cuda") < next(
        i for i, line in enumerate(lines) if line.startswith("srun")
    )


def test_all_jobs_may_run_at_once_if_nothing_else_is_said() -> None:
    """submitit's own default would let 256 run."""
    assert "#SBATCH --array=0-299%300" in _lines(Request(workers=300, minutes=60))


def test_the_batch_file_is_a_shell_script_whatever_is_in_the_names() -> None:
    """bash accepts the script although a path has a space."""
    text = "\n".join(_lines(Request(workers=2, minutes=60)))
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    frozen = "/shared/a run.slurm/code-1"
    path = f"'{frozen}/own:{frozen}/project'${{PYTHONPATH:+:$PYTHONPATH}}"
    assert f"export PYTHONPATH={path}" in text


def test_python_ignores_the_notice_until_it_has_its_handler() -> None:
    """A signal in the first second of a job must not kill it: it would not be requeued."""
    command = next(line for line in _lines(Request(minutes=60)) if line.startswith("srun"))
    script = "import os, signal; os.kill(os.getpid(), signal.SIGUSR2); print('alive')"
    start = command[command.index("sh -c") :].partition(" -u -m ")[0]

    done = subprocess.run(
        ["bash", "-c", f'{start} -c "{script}"'], capture_output=True, text=True, check=False
    )

    assert done.stdout == "alive\n"


@given(
    jobs=st.integers(1, 5000), largest=st.integers(1, 1001), cap=st.none() | st.integers(1, 5000)
)
def test_arrays_are_within_the_limit_and_carry_all_jobs(
    jobs: int, largest: int, cap: int | None
) -> None:
    """All arrays together run no more jobs at the same time than was asked for."""
    if cap is not None and cap < min(jobs, -(-jobs // largest)):
        with pytest.raises(RunError, match="--workers"):
            chunks(jobs, largest, cap)
        return

    arrays = chunks(jobs, largest, cap)

    assert sum(size for size, _ in arrays) == jobs
    assert all(1 <= size <= largest for size, _ in arrays)
    if cap is not None and cap < jobs:
        assert sum(share or 0 for _, share in arrays) == cap
        assert all(share for _, share in arrays)
