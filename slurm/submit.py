"""Submit the jobs of a run; add some to a live run, or ask some to leave."""

import contextlib
import os
import shlex
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from core.directory.run import RunError, override, resolve
from core.rehearsal import doubts
from core.settings import PBT
from core.status.places import is_study
from core.terminal.whole import Whole, begin, look
from slurm import squeue
from slurm.code.snapshot import Snapshot, freeze, thaw
from slurm.jobs.executor import preview, submit_arrays
from slurm.jobs.job import Job
from slurm.jobs.ledger import Array, Ledger
from slurm.preflight import (
    check_code,
    check_imports,
    check_request,
    check_room,
    check_time,
    probe_node,
)
from slurm.request import PROBE, Request

LONGEST_NAME = 200  # characters; ".slurm" and the names of temporary files are appended to it


@dataclass(frozen=True, slots=True)
class Submitted:
    """What a submission did.

    arrays: the arrays of jobs that were submitted.
    notes: sentences for the user.
    """

    arrays: tuple[Array, ...]
    notes: tuple[str, ...] = ()


def submit(
    preset: str,
    out: Path,
    overrides: Mapping[str, object],
    request: Request,
    *,
    other_code: bool = False,
    probe: float = PROBE,
) -> Submitted:
    """Begin or continue a run or a study with an array of identical jobs.

    Args:
        out: the run directory, on a file system that the nodes share.
        other_code: continue a run although the code has changed since it began.
        probe: seconds to wait for a free node that tests whether it sees the directory; 0: no test.

    Raises:
        RunError: nothing was submitted; the message says why.
    """
    _check_name(out)
    check_request(request)
    ledger = Ledger(out)
    with ledger.alone():
        _check_no_live_jobs(ledger)
        whole, frozen, notes = _prepare(preset, out, overrides, request, other_code, ledger.folder)
        whole = whole or _begin(out, preset, overrides)
        ledger.forget([])
        if request.cluster == "slurm" and probe:
            notes += probe_node(ledger, request, probe)
        job = _job(whole, request, frozen, other_code)
        return Submitted(tuple(submit_arrays(ledger, job, request, frozen)), tuple(notes))


def rehearse(
    preset: str,
    out: Path,
    overrides: Mapping[str, object],
    request: Request,
    *,
    other_code: bool = False,
) -> tuple[str, list[str]]:
    """Do what `submit` does, but write and submit nothing.

    Returns:
        The script that sbatch would get, and sentences for the user.

    Raises:
        RunError: `submit` would refuse this; the message is the same.
    """
    _check_name(out)
    asked = request.cluster != "slurm" or shutil.which("sbatch") is not None
    if asked or request.minutes is None:
        check_request(request)
    ledger = Ledger(out)
    _check_no_live_jobs(ledger)
    with tempfile.TemporaryDirectory() as folder:
        _, frozen, notes = _prepare(preset, out, overrides, request, other_code, Path(folder))
    if not asked:
        notes.append("there is no sbatch on the path: Slurm was not asked about these jobs")
    if request.cluster == "slurm":
        notes.append("no node was asked whether it sees the directory: the submission does that")
    return preview(ledger, request, frozen.folder.name), notes


def _check_no_live_jobs(ledger: Ledger) -> None:
    """Raise RunError if this run has jobs that are pending or running."""
    if live := live_jobs(ledger):
        raise RunError(
            f"{len(live)} jobs of this run are pending or running already ({live[0]} ...): python "
            f"-m slurm scale {shlex.quote(str(ledger.root))} --workers N changes their number"
        )


def _begin(out: Path, preset: str, overrides: Mapping[str, object]) -> Whole:
    """Begin or continue a run; restore the working directory if the preset changes it."""
    with contextlib.chdir(os.getcwd()):
        return begin(out, preset, overrides)


def _prepare(
    preset: str,
    out: Path,
    overrides: Mapping[str, object],
    request: Request,
    other_code: bool,
    folder: Path,
) -> tuple[Whole | None, Snapshot, list[str]]:
    """Freeze the code into a folder and check the run; write nothing to a new `out`.

    Returns:
        The run, None if it has yet to begin; the frozen code; sentences for the user.

    Raises:
        RunError: the run cannot begin or continue like this.
    """
    there = is_study(out) or (out / "run.json").exists()
    if not there:
        check_room(out)
    with tempfile.TemporaryDirectory() as trial:
        whole = _begin(out if there else Path(trial, "run"), preset, overrides)
        if whole.is_done():
            raise RunError(f"{out} is done: there is nothing to submit")
        frozen = freeze(preset, folder)
        check_code(whole, Ledger(out), frozen, other_code)
        check_imports(frozen, preset)
        check_time(whole, request)
        members = whole.members()
    notes = [
        f"{path} is too large to be code: it was not frozen, and stays where it is"
        for path in frozen.left
    ]
    notes += _doubts(whole, preset, overrides)
    if members < request.workers:
        notes.append(f"{request.workers} workers for {members} members: some have nothing to do")
    return whole if there else None, frozen, notes


def _doubts(whole: Whole, preset: str, overrides: Mapping[str, object]) -> list[str]:
    """Return what may be a mistake in the settings of the run, or of each arm of the study."""
    if whole.study is not None:
        arms = whole.study.study.arms  # the study was made when it was opened
        runs = {f"arm {name}: ": arm for name, arm in arms.items() if isinstance(arm, PBT)}
    else:
        with contextlib.chdir(os.getcwd()):
            runs = {"": override(resolve(preset), overrides)}
    return [prefix + text for prefix, pbt in runs.items() for text in doubts(pbt)]


def _check_name(out: Path) -> None:
    """Raise RunError if a run of this name cannot have jobs."""
    text = os.path.realpath(out)
    if not text.isprintable() or "%" in text:
        raise RunError(f"--out {text!r} cannot be used: Slurm gives % a meaning, and ends lines")
    if len(os.path.basename(text)) > LONGEST_NAME:
        raise RunError(f"the name of --out has more than {LONGEST_NAME} characters: {text}")


def scale(
    root: Path, workers: int, request: Callable[[int], Request]
) -> tuple[Submitted, list[str], list[str]]:
    """Change the number of workers of a live run.

    Args:
        workers: the number wanted.
        request: returns the request for a number of additional workers.

    Returns:
        What was submitted; pending jobs that were cancelled; jobs that will leave after their turn.

    Raises:
        RunError: the run is done, has no submitted jobs, or the number does not fit.
    """
    with contextlib.chdir(os.getcwd()):  # the preset of a study may change it
        whole, ledger = look(root), Ledger(root)
    arrays = ledger.arrays()
    if not arrays:
        raise RunError(f"no job of {root} was ever submitted: python -m slurm submit begins")
    if whole.is_done():
        raise RunError(f"{root} is done")
    live = [id for id in live_jobs(ledger) if id not in ledger.asked_to_leave()]
    sizes = {id: _per_job(array) for array in arrays for id in array.ids}
    missing = workers - sum(sizes.get(id, 1) for id in live)
    if missing > 0:
        last = next((array for array in reversed(arrays) if array.code), None)
        if last is None:
            frozen = freeze(whole.preset, ledger.folder)
            check_code(whole, ledger, frozen, False)
        else:
            frozen = thaw(Path(last.code))
        asked = request(missing)
        check_request(asked)
        check_time(whole, asked)
        job = _job(whole, asked, frozen, frozen.commit != whole.code)
        with ledger.alone():
            ledger.forget(live)
            return Submitted(tuple(submit_arrays(ledger, job, asked, frozen))), [], []
    states = ledger.elements()
    pending = [id for id in live if id in states and states[id].state == "PENDING"]
    cancelled: list[str] = []
    leaving: list[str] = []
    for id in [*pending[::-1], *[id for id in live[::-1] if id not in pending]]:
        if sizes.get(id, 1) > -missing:
            continue  # a job of several workers leaves as one
        missing += sizes.get(id, 1)
        (cancelled if id in pending else leaving).append(id)
    squeue.cancel(cancelled)
    ledger.ask_to_leave(leaving)
    return Submitted(()), cancelled, leaving


def _job(whole: Whole, request: Request, frozen: Snapshot, other_code: bool) -> Job:
    return Job(
        root=os.path.realpath(whole.root),
        devices=request.devices(),
        threads=request.cpus,
        code=str(frozen.folder),
        other_code=other_code,
        options=request.worker,
        inside=request.cluster == "debug",
        limit=None if request.minutes is None else 60.0 * request.minutes,
        notice=float(request.notice),
    )


def _per_job(array: Array) -> int:
    gpus, each = array.request.get("gpus", 0), array.request.get("workers_per_gpu", 1)
    return max(int(str(gpus)), 1) * int(str(each))


def live_jobs(ledger: Ledger) -> list[str]:
    """Return the jobs of a run that are pending or running, oldest first."""
    arrays = ledger.arrays()
    states = ledger.elements()
    live = {id for id, element in states.items() if element.is_live}
    live |= {
        id for a in arrays if a.cluster == "local" for id in a.ids if Path(f"/proc/{id}").exists()
    }
    return [id for array in arrays for id in array.ids if id in live]
