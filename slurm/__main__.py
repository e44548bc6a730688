"""`python -m slurm submit|status|scale|work`: a run on a cluster."""

import argparse
import contextlib
import importlib
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from core.directory.run import EXAMPLE, OVERRIDES, RunError
from core.task import TaskError
from core.terminal.whole import begin, look
from core.workers.blame import AllFailed
from core.workers.pool import UNFINISHED
from slurm.jobs.job import ALL_DONE, Job
from slurm.jobs.ledger import Ledger
from slurm.request import PROBE, Request, make, read_site, sbatch_options
from slurm.status import check_is_run, show

if TYPE_CHECKING:
    from slurm.submit import Submitted

FAILED, REFUSED = 1, 2
ASKED = (  # what the command line asks of Slurm, by the names of a request
    "cluster",
    "workers",
    "workers_per_gpu",
    "gpus",
    "cpus",
    "mem",
    "time",
    "partition",
    "account",
    "qos",
    "constraint",
    "array_parallelism",
    "setup",
    "device",
    "notice",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit status."""
    if os.getcwd() not in sys.path and not sys.flags.safe_path:
        sys.path.insert(0, os.getcwd())  # presets of the user's own stand where he stands
    options, further = _parser().parse_known_args(arguments)
    try:
        if further and options.do not in (_submit, _scale):
            raise RunError(f"{further[0]!r} is not understood")
        options.sbatch = sbatch_options(further)
        return int(options.do(options))
    except (RunError, TaskError, AllFailed, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return REFUSED
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        print(f"error: {error.strerror or error}{where}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m slurm", description=__doc__, allow_abbrev=False
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    submits = commands.add_parser(
        "submit",
        help="submit an array of identical workers",
        allow_abbrev=False,
        epilog="Any other option, as --exclude=n1 or --mail-type=END, is given to sbatch.",
    )
    submits.set_defaults(do=_submit)
    _add_run(submits)
    _add_request(submits)
    submits.add_argument(
        "--dry-run", action="store_true", help="do all but submit; print what sbatch would get"
    )
    submits.add_argument(
        "--probe",
        type=float,
        default=PROBE,
        metavar="SECONDS",
        help="how long to wait for a node on which to try whether it sees DIR; 0: do not try",
    )
    _add_other_code(submits)

    scales = commands.add_parser("scale", help="change the number of workers", allow_abbrev=False)
    scales.set_defaults(do=_scale)
    scales.add_argument("run", type=_path, metavar="RUN", help="the run directory")
    _add_request(scales)

    status = commands.add_parser("status", help="show a run and its jobs", allow_abbrev=False)
    status.set_defaults(do=_status)
    status.add_argument("run", type=_path, metavar="RUN", help="the run directory")

    works = commands.add_parser(
        "work",
        help="be one job of an array: for batch scripts (slurm/worker.sbatch)",
        allow_abbrev=False,
    )
    works.set_defaults(do=_work)
    _add_run(works)
    works.add_argument("--gpus", type=int, default=0, help="of this job, given to it by Slurm")
    works.add_argument("--workers-per-gpu", type=int, default=1)
    works.add_argument("--workers", type=int, help="of this job (default: as GPUs make it, or 1)")
    works.add_argument(
        "--together",
        action="store_true",
        help="all elements of this array work on this run: the first to see it done cancels those "
        "that are pending",
    )
    works.add_argument("--device", help="given to the trainers (default: cuda if there are GPUs)")
    _add_worker(works)
    _add_other_code(works)
    return parser


def _path(text: str) -> Path:
    """Return a path that stays right if a preset changes the working directory."""
    return Path(os.path.abspath(text))


def _add_run(command: argparse.ArgumentParser) -> None:
    command.add_argument("preset", metavar="PRESET", help=f"module:function, as in {EXAMPLE}")
    command.add_argument(
        "--out",
        type=_path,
        required=True,
        metavar="DIR",
        help="the run directory; all nodes see it",
    )
    command.add_argument("--seed", type=int, help="of everything that is drawn")
    command.add_argument("--members", type=int, help="the size of the population")
    command.add_argument("--steps", type=int, help="steps of each member")
    command.add_argument("--mode", choices=("asynchronous", "lockstep"))


def _add_request(command: argparse.ArgumentParser) -> None:
    command.add_argument("--cluster", choices=("slurm", "local", "debug"), help="default: slurm")
    command.add_argument("--workers", type=int, help="processes that train (default: 1)")
    command.add_argument("--gpus", type=int, help="of each job (default: 0)")
    command.add_argument("--workers-per-gpu", type=int, help="that share one (default: 1)")
    command.add_argument("--cpus", type=int, help="of each worker (default: 1)")
    command.add_argument("--mem", help="of each worker, as 16G")
    command.add_argument("--time", help="of each job, as 4:00:00; it is requeued when it is over")
    command.add_argument("--partition")
    command.add_argument("--account")
    command.add_argument("--qos")
    command.add_argument("--constraint")
    command.add_argument("--array-parallelism", type=int, help="how many jobs run at one time")
    command.add_argument(
        "--setup", action="append", help="a shell line before the worker, as 'module load cuda'"
    )
    command.add_argument("--device", help="given to the trainers (default: cuda if there are GPUs)")
    command.add_argument(
        "--notice", type=int, help="seconds before its end that a job is told (default: 120)"
    )
    _add_worker(command)


def _add_worker(command: argparse.ArgumentParser) -> None:
    command.add_argument("--no-fsync", action="store_true", help="as in python -m core work")
    command.add_argument("--patience", type=float, help="as in python -m core work")
    command.add_argument("--turn-limit", type=float, help="as in python -m core work")


def _add_other_code(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--other-code", action="store_true", help="go on though the code is not that of the begin"
    )


def _overrides(options: argparse.Namespace) -> dict[str, object]:
    return {
        name: getattr(options, name) for name in OVERRIDES if getattr(options, name) is not None
    }


def _worker_options(options: argparse.Namespace) -> list[str]:
    found = ["--no-fsync"] if options.no_fsync else []
    for name in ("patience", "turn_limit"):
        if getattr(options, name) is not None:
            found += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
    return found


def _request(options: argparse.Namespace, base: dict[str, object], place: object) -> Request:
    asked = {name: getattr(options, name) for name in ASKED} | {"sbatch": options.sbatch}
    return make(asked | {"worker": _worker_options(options) or None}, base, place)


def _forget_outer_job() -> None:
    """Drop the variables of a job in which this is typed: sbatch and the new jobs would take them.

    SBATCH_NO_REQUEUE or SBATCH_EXPORT=NONE would end what is to come back; SLURM_ARRAY_TASK_ID
    would give each job another's name.
    """
    for name in [*os.environ]:
        if name.startswith(("SBATCH_", "SLURM_", "SRUN_")) and not name.startswith("SLURM_CONF"):
            del os.environ[name]


def _check_submitit() -> None:
    """Raise RunError if what hands jobs to Slurm is not installed; `work` and `status` need none.

    Whatever keeps it from being imported is said: a part of it may be what is missing.
    """
    try:
        importlib.import_module("submitit")
    except ImportError as error:
        raise RunError(
            f"to submit jobs needs the package submitit, which cannot be imported ({error}): type "
            "pip install -e '.[slurm]' in the root of this project, with the Python of the jobs, "
            f"{sys.executable}"
        ) from error


def _submit(options: argparse.Namespace) -> int:
    _check_submitit()
    from slurm.submit import rehearse, submit

    _forget_outer_job()
    base, place = read_site()
    request = _request(options, base, place)
    if options.dry_run:
        words = options.preset, options.out, _overrides(options), request
        text, notes = rehearse(*words, other_code=options.other_code)
        print(text)
        for note in [*notes, "this was a dry run: nothing was written, nothing submitted"]:
            print(f"Note: {note}", file=sys.stderr)
        return 0
    waits = request.cluster == "slurm" and options.probe
    with Console(stderr=True).status("Asking a node whether it sees the directory ...") as status:
        if not waits:
            status.stop()
        submitted = submit(
            options.preset,
            options.out,
            _overrides(options),
            request,
            other_code=options.other_code,
            probe=options.probe,
        )
    _tell(submitted, options.out, request)
    return 0


def _tell(submitted: "Submitted", out: Path, request: Request) -> None:
    for note in submitted.notes:
        print(f"Note: {note}")
    if request.cluster == "debug":
        print(f"The run has been worked on here: python -m core status {shlex.quote(str(out))}")
    if not submitted.arrays:
        return
    where = shlex.quote(str(out))
    names = " ".join(array.name for array in submitted.arrays)
    count = sum(len(array.ids) for array in submitted.arrays)
    each = f" of {request.per_job} workers" if request.per_job > 1 else ""
    print(f"Submitted {count} jobs{each}: {names}")
    print(f"Run:    {os.path.abspath(out)}")
    print(f"Logs:   {Ledger(out).folder / 'log'}")
    print(f"Watch:  python -m core watch {where}")
    print(f"Status: python -m slurm status {where}")
    if request.cluster == "slurm":
        print(f"Cancel: scancel {names}")
    else:
        print(f"Cancel: python -m slurm scale {where} --workers 0")


def _scale(options: argparse.Namespace) -> int:
    check_is_run(options.run)
    _check_submitit()
    from slurm.submit import scale

    _forget_outer_job()
    if options.workers is None:
        raise RunError("say how many: --workers N")
    arrays = Ledger(options.run).arrays()
    last = next((dict(array.request) for array in reversed(arrays) if array.request), None)
    base, place = (last, Ledger(options.run).folder) if last is not None else read_site()
    workers = options.workers

    def request(count: int) -> Request:
        options.workers = count
        return _request(options, base, place)

    submitted, cancelled, leaving = scale(options.run, workers, request)
    if submitted.arrays:
        _tell(submitted, options.run, request(options.workers))
    if cancelled:
        print(f"Cancelled, as they were pending: {' '.join(cancelled)}")
    if leaving:
        print(f"Will leave after their turn: {' '.join(leaving)}")
    if not (submitted.arrays or cancelled or leaving):
        print(f"There are {workers} workers already")
    return 0


def _status(options: argparse.Namespace) -> int:
    check_is_run(options.run)
    console = Console()
    if not console.is_terminal:  # a pipe has no width: numbers of jobs must not be cut
        console = Console(width=200)
    show(look(options.run), Ledger(options.run), console)
    return 0


def _work(options: argparse.Namespace) -> int:
    with contextlib.chdir(os.getcwd()):  # the preset may go elsewhere
        begin(options.out, options.preset, _overrides(options))
    request = Request(
        cluster="local",
        gpus=options.gpus,
        workers_per_gpu=options.workers_per_gpu,
        workers=options.workers or max(options.gpus, 1) * options.workers_per_gpu,
        device=options.device,
    )
    devices = request.devices() * request.jobs
    cpus = int(os.environ.get("SLURM_CPUS_PER_TASK", "1"))
    job = Job(
        root=os.path.abspath(options.out),
        devices=devices,
        threads=max(1, cpus // len(devices)),
        other_code=options.other_code,
        together=options.together,
        options=tuple(_worker_options(options)),
    )
    said = job()
    return 0 if said == ALL_DONE else UNFINISHED


if __name__ == "__main__":
    sys.exit(main())
