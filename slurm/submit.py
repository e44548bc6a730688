"""Submit the jobs of a run; add some to a live run, or ask some to leave."""

import contextlib
import os
import shlex
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from core.directory.run import RunError, override, resolve_any
from core.rehearsal import doubts
from core.settings import PBT
from core.status.places import is_study
from core.study.study import Study
from core.terminal.whole import Whole, begin, look
from slurm import squeue as queue
from slurm.code.snapshot import Snapshot, freeze, thaw
from slurm.jobs.executor import send, would_submit
from slurm.jobs.job import Job
from slurm.jobs.ledger import Array, Ledger
from slurm.preflight import check, check_code, check_imports, check_room, check_time, probe_node
from slurm.request import PROBE, Request, minutes

LONGEST_NAME = 200  # bytes, so that there is room for what is put behind it


@dataclass(frozen=True, slots=True)
class Submitted:
    """What came of it: the arrays, and what the user should know besides."""

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
    """Begin a run or a study, or go on with it, by an array of identical jobs.

    Args:
        out: the run directory, on a file system that the nodes see too.
        other_code: go on with a run although the code is not that of its begin.
        probe: seconds to wait for a node on which it is tried whether it sees the directory; 0 not
            to try.

    Raises:
        RunError: nothing was submitted, and why.
    """
    _check_name(out)
    check(request)
    launch = Ledger(out)
    with launch.alone():
        _refuse_more(launch)
        frozen, notes = _prepare(preset, out, overrides, request, other_code, launch.folder)
        whole = _begin(out, preset, overrides)
        launch.forget([])
        if request.cluster == "slurm" and probe:
            notes += probe_node(launch, request, probe)
        job = _job(whole, request, frozen, other_code)
        return Submitted(tuple(send(launch, job, request, frozen)), tuple(notes))


def rehearse(
    preset: str,
    out: Path,
    overrides: Mapping[str, object],
    request: Request,
    *,
    other_code: bool = False,
) -> tuple[str, list[str]]:
    """Do all that `submit` does, but the submission and what it would write.

    Returns:
        What sbatch would get, and what the user should know besides.

    Raises:
        RunError: as `submit` says it.
    """
    _check_name(out)
    asked = request.cluster != "slurm" or shutil.which("sbatch") is not None
    if asked or request.time is None:
        check(request)
    launch = Ledger(out)
    _refuse_more(launch)
    with tempfile.TemporaryDirectory() as folder:
        frozen, notes = _prepare(preset, out, overrides, request, other_code, Path(folder))
    if not asked:
        notes.append("there is no sbatch on the path: Slurm was not asked about these jobs")
    if request.cluster == "slurm":
        notes.append("that a node sees the directory is tried when the jobs are submitted")
    return would_submit(launch, request, frozen.folder.name), notes


def _refuse_more(launch: Ledger) -> None:
    """Raise RunError if jobs of this run are there already."""
    if live := live_jobs(launch):
        raise RunError(
            f"{len(live)} jobs of this run are pending or running already ({live[0]} ...): python "
            f"-m slurm scale {shlex.quote(str(launch.root))} --workers N changes their number"
        )


def _begin(out: Path, preset: str, overrides: Mapping[str, object]) -> Whole:
    """Begin a run or go on with it; the working directory stays, whatever the preset does."""
    with contextlib.chdir(os.getcwd()):
        return begin(out, preset, overrides)


def _prepare(
    preset: str,
    out: Path,
    overrides: Mapping[str, object],
    request: Request,
    other_code: bool,
    folder: Path,
) -> tuple[Snapshot, list[str]]:
    """Freeze the code into a folder, and hold the run to it; nothing is written to `out`.

    Returns:
        The frozen code, and what the user should know of it.

    Raises:
        RunError: the run cannot begin or go on like this.
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
    notes += _doubts(preset, overrides)
    if members < request.workers:
        notes.append(f"{request.workers} workers for {members} members: some have nothing to do")
    return frozen, notes


def _doubts(preset: str, overrides: Mapping[str, object]) -> list[str]:
    """Return what may not be meant so, of a run or of each arm of a study."""
    with contextlib.chdir(os.getcwd()):
        name, _, arm = preset.partition("[")
        found = resolve_any(name)
    arms = found.arms if isinstance(found, Study) else {"": found}
    if arm:
        arms = {"": arms[arm.removesuffix("]")]}
    said = []
    for name, run in arms.items():
        if isinstance(run, PBT):
            sentences = doubts(override(run, overrides))
            said += [f"arm {name}: {text}" if name else text for text in sentences]
    return said


def _check_name(out: Path) -> None:
    """Raise RunError if a path cannot be that of a run with jobs."""
    text = os.path.realpath(out)
    if not text.isprintable() or "%" in text:
        raise RunError(f"--out {text!r} cannot be used: Slurm gives % a meaning, and ends lines")
    if len(os.path.basename(text)) > LONGEST_NAME:
        raise RunError(f"the name of --out has more than {LONGEST_NAME} characters: {text}")


def scale(
    root: Path, workers: int, request: Callable[[int], Request]
) -> tuple[Submitted, list[str], list[str]]:
    """Let a live run have so many workers.

    Args:
        request: for so many workers that are added.

    Returns:
        What was submitted; the jobs that were pending and are cancelled; the jobs that will leave
        after their turn.

    Raises:
        RunError: the run is done, or was not submitted from here, or the number does not fit.
    """
    with contextlib.chdir(os.getcwd()):  # the preset of a study may go elsewhere
        whole, launch = look(root), Ledger(root)
    arrays = launch.arrays()
    if not arrays:
        raise RunError(f"no job of {root} was ever submitted: python -m slurm submit begins")
    if whole.is_done():
        raise RunError(f"{root} is done")
    live = [id for id in live_jobs(launch) if id not in launch.asked_to_leave()]
    sizes = {id: _per_job(array) for array in arrays for id in array.ids}
    missing = workers - sum(sizes.get(id, 1) for id in live)
    if missing > 0:
        last = next((array for array in reversed(arrays) if array.code), None)
        if last is None:
            frozen = freeze(whole.preset, launch.folder)
            check_code(whole, launch, frozen, False)
        else:
            frozen = thaw(Path(last.code))
        asked = request(missing)
        check(asked)
        check_time(whole, asked)
        job = _job(whole, asked, frozen, frozen.commit != whole.code)
        with launch.alone():
            launch.forget(live)
            return Submitted(tuple(send(launch, job, asked, frozen))), [], []
    states = launch.elements()
    pending = [id for id in live if id in states and states[id].state == "PENDING"]
    cancelled: list[str] = []
    leaving: list[str] = []
    for id in [*pending[::-1], *[id for id in live[::-1] if id not in pending]]:
        if sizes.get(id, 1) > -missing:
            continue  # a job of several workers leaves as one
        missing += sizes.get(id, 1)
        (cancelled if id in pending else leaving).append(id)
    queue.cancel(cancelled)
    launch.ask_to_leave(leaving)
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
        limit=None if request.time is None else 60.0 * minutes(request.time),
        notice=float(request.notice),
    )


def _per_job(array: Array) -> int:
    gpus, each = array.request.get("gpus", 0), array.request.get("workers_per_gpu", 1)
    return max(int(str(gpus)), 1) * int(str(each))


def live_jobs(launch: Ledger) -> list[str]:
    """Return the jobs of a run that are pending or running, oldest first."""
    arrays = launch.arrays()
    states = launch.elements()
    live = {id for id, element in states.items() if element.is_live}
    live |= {
        id for a in arrays if a.cluster == "local" for id in a.ids if Path(f"/proc/{id}").exists()
    }
    return [id for array in arrays for id in array.ids if id in live]
