"""Submit jobs with submitit: parameters of an array, arrays within Slurm's limit, local jobs."""

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import FailedJobError, FailedSubmissionError
from submitit.slurm import slurm as submitit_slurm

from core.directory.run import RunError, code_version
from slurm import squeue
from slurm.code.snapshot import Snapshot
from slurm.jobs.job import Job
from slurm.jobs.ledger import Array, Ledger
from slurm.request import Request, as_json

NEVER = 10**6  # time-outs that submitit allows a job: the end of the run decides instead
FOREVER = 60 * 24 * 365  # minutes: the limit of a local job without --time


def sbatch_file(request: Request, folder: Path, jobs: int, code: Snapshot | None = None) -> str:
    """Return the script that sbatch gets: for --dry-run, and for sbatch --test-only."""
    named = {"timeout_min": "time", "mem_gb": "mem", "name": "job_name"}
    parameters: dict[str, Any] = {
        named.get(key, key.removeprefix("slurm_")): value
        for key, value in _parameters(request, jobs, code, job_name(folder.parent)).items()
    }
    if "mem" in parameters:
        parameters["mem"] = submitit_slurm._convert_mem(parameters["mem"])
    return submitit_slurm._make_sbatch_string(
        command=f"{_python()} -u -m submitit.core._submit {shlex.quote(str(folder))}",
        folder=folder,
        map_count=jobs if jobs > 1 else None,
        **parameters,
    )


def _python() -> str:
    """Return the command of a job's Python, which ignores the signal until its handler is set.

    Slurm's signal may arrive at any time; without a handler it would kill the job.
    """
    return f'sh -c \'trap "" USR2; exec "$@"\' sh {shlex.quote(sys.executable)}'


def _parameters(request: Request, jobs: int, code: Snapshot | None, name: str) -> dict[str, object]:
    """Return the parameters of submitit's AutoExecutor."""
    environment = {} if code is None else code.environment()
    # after the user's lines: `module load` must not put its own paths before the code
    exports = [f"export {key}={shlex.quote(value)}" for key, value in environment.items()]
    exports = [
        f"{line}${{PYTHONPATH:+:$PYTHONPATH}}" if line.startswith("export PYTHONPATH=") else line
        for line in exports
    ]
    setup = [*request.setup, *exports]
    if request.cluster == "local":
        return {"timeout_min": request.minutes or FOREVER, "local_setup": setup}
    found: dict[str, object] = {
        "name": name,
        "cpus_per_task": request.cpus * request.per_job,
        "slurm_partition": request.partition,
        "slurm_account": request.account,
        "slurm_qos": request.qos,
        "slurm_constraint": request.constraint,
        "slurm_setup": setup,
        "slurm_signal_delay_s": request.notice,
        "slurm_array_parallelism": request.array_parallelism or jobs,
        "slurm_srun_args": ["--export=ALL"],  # some sites export nothing by default
        "slurm_additional_parameters": {"requeue": True} | dict(request.sbatch),
    }
    if request.minutes is not None:
        found["timeout_min"] = request.minutes
    if request.gigabytes is not None:
        found["mem_gb"] = request.gigabytes * request.per_job
    if request.gpus:
        found["gpus_per_node"] = request.gpus
    return found


def job_name(folder: Path) -> str:
    """Return the name in Slurm of the jobs of a run; folder: its RUN.slurm."""
    return f"pbt-{folder.name.removesuffix('.slurm')}"


def chunks(jobs: int, largest: int, parallelism: int | None) -> list[tuple[int, int | None]]:
    """Split jobs into arrays: the size of each, and its share of the parallelism.

    Raises:
        RunError: more arrays are needed than jobs may run at the same time.
    """
    count = -(-jobs // largest)
    sizes = [jobs // count + (i < jobs % count) for i in range(count)]
    if parallelism is None or parallelism >= jobs:
        return [(size, None) for size in sizes]
    if parallelism < count:
        raise RunError(
            f"{jobs} jobs need {count} arrays of at most {largest} jobs (MaxArraySize), and "
            f"--array-parallelism {parallelism} is less than that: workers are identical, so "
            f"--workers {parallelism} does the same"
        )
    shares = [parallelism // count + (i < parallelism % count) for i in range(count)]
    return list(zip(sizes, shares, strict=True))


def submit_arrays(ledger: Ledger, job: Job, request: Request, frozen: Snapshot) -> Iterator[Array]:
    """Submit the jobs in as few arrays as Slurm's limit allows; record each one at once."""
    folder = ledger.folder / "log"
    name = job_name(ledger.folder)

    def recorded(ids: Sequence[str]) -> Array:
        code, called = str(frozen.folder), name if request.cluster == "slurm" else ""
        array = Array(tuple(ids), request.cluster, as_json(request), code, frozen.commit, called)
        ledger.add(array)
        return array

    if request.cluster == "debug":
        yield from _debug(folder, job)
        return
    if request.cluster == "local":
        for i in range(_local_jobs(request)):
            executor = submitit.AutoExecutor(folder=folder, cluster="local")
            setup = [f"export CUDA_VISIBLE_DEVICES={_gpus(i, request)}"]
            parameters = _parameters(request, 1, frozen, name)
            parameters["local_setup"] = [*setup, *parameters["local_setup"]]  # type: ignore[misc]
            executor.update_parameters(**parameters)
            with _silent(ledger.folder / "local.log"):
                yield recorded([executor.submit(job).job_id])
        return
    sent: list[str] = []
    for size, share in chunks(request.jobs, squeue.largest_array(), request.array_parallelism):
        executor = submitit.AutoExecutor(
            folder=folder,
            cluster="slurm",
            slurm_max_num_timeout=NEVER,
            slurm_python=_python(),
        )
        part = replace(request, array_parallelism=share)
        executor.update_parameters(**_parameters(part, size, frozen, name))
        try:
            with executor.batch():
                jobs = [executor.submit(job) for _ in range(size)]
        except (FailedJobError, FailedSubmissionError, subprocess.CalledProcessError) as error:
            before = f"; {', '.join(sent)} were submitted before it" if sent else ""
            raise RunError(
                f"Slurm has not taken an array of {size} jobs{before}: {error}"
            ) from error
        sent += [job.job_id for job in jobs]
        array = recorded([job.job_id for job in jobs])
        if not ledger.elements().keys() & {*array.ids}:
            raise RunError(
                f"sbatch seems to have submitted job {array.name}, but Slurm knows no job of that "
                f"number called {name}: look at `squeue --me`. Is your sbatch a wrapper that "
                "prints more than sbatch does?"
            )
        yield array


def _gpus(i: int, request: Request) -> str:
    """Return the GPUs of the i-th local job; submitit would give all jobs the same ones."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None and shutil.which("nvidia-smi"):
        listed = squeue.call("nvidia-smi", "-L").splitlines()
        visible = ",".join(str(n) for n, line in enumerate(listed) if line.startswith("GPU"))
    given = [gpu for gpu in (visible or "").split(",") if gpu]
    mine = given[i * request.gpus : (i + 1) * request.gpus]
    if len(mine) < request.gpus:
        raise RunError(
            f"{i + 1} local jobs with {request.gpus} GPUs each need {(i + 1) * request.gpus}, and "
            f"this machine has {len(given)}"
        )
    return ",".join(mine)


def _debug(folder: Path, job: Job) -> Iterator[Array]:
    """Run the job in this process; on a terminal, under a debugger."""
    executor = submitit.AutoExecutor(folder=folder, cluster="debug")
    submitted = executor.submit(job)
    if sys.stdin.isatty():
        submitted.result()  # submitit opens the debugger at an exception
    elif (error := submitted.exception()) is not None:
        raise error
    yield from ()


@contextlib.contextmanager
def _silent(log: Path) -> Iterator[None]:
    """Send the output of processes that start here to a file: they would hold a pipe open."""
    sys.stdout.flush()
    kept = os.dup(1), os.dup(2)
    with open(log, "ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept[0], 1)
        os.dup2(kept[1], 2)
        os.close(kept[0])
        os.close(kept[1])


def preview(ledger: Ledger, request: Request, code: str) -> str:
    """Return a description of the submission, for --dry-run; code: name of the frozen code."""
    frozen = Snapshot(ledger.folder / code, code_version(), "")
    if request.cluster == "slurm":
        return sbatch_file(request, ledger.folder / "log", request.jobs, frozen)
    if request.cluster == "debug":
        return "One worker would work here, in this process."
    setup = _parameters(request, 1, frozen, "")["local_setup"]
    lines = "\n".join(f"  {line}" for line in setup)  # type: ignore[attr-defined]
    return (
        f"Local jobs that would start: {_local_jobs(request)}, workers of each: "
        f"{request.per_job}. Each would begin with:\n{lines}"
    )


def _local_jobs(request: Request) -> int:
    return min(request.jobs, request.array_parallelism or os.cpu_count() or 1)
