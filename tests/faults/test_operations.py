"""A fault at every single file operation: nothing published is lost, the run is as if undisturbed.

A run that holds the moment in question is prepared once and copied for each trial. In a trial one
worker meets the fault, a healthy one finishes the run, and what came of it is compared.
"""

import contextlib
import errno
import itertools
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.audits.verify import verify
from core.directory.members import Members
from core.directory.record import Record
from core.directory.run import Run, open_run
from tests.faults.inject import End, Fault, Forge, How, NoInjector, Operation, library

pytestmark = pytest.mark.faults
FORGES = 2  # that work at the same time
SHOWN = 12  # complaints
READS, CHANGES, GROWS = range(3)  # kinds of operations
LIMIT = 5.0  # seconds for a worker that needs hundredths, after which it hangs
PRESET = "tests.trainers:walk"


@dataclass(frozen=True, slots=True)
class Scene:
    """A run just before the moments in which faults are to strike.

    root: the run directory. turns: how many the worker with the fault takes; None: all.
    trace: what it does if there is no fault. digest: of the whole run, undisturbed.
    thin: faults strike at one in so many of the operations that only read, and at all others.
    """

    root: Path
    turns: int | None
    trace: Sequence[Operation]
    digest: str
    thin: int


@dataclass(frozen=True, slots=True)
class Stage:
    """What all trials need: the scenes by name, the forges, and a folder."""

    scenes: Mapping[str, Scene]
    forges: Sequence[Forge]
    folder: Path

    def complaints(self, trial: "Trial", faults: Sequence[Fault], scene: Scene) -> list[str]:
        """Return what was not as it must be in one trial for each of the faults."""

        def some(i: int) -> list[str]:
            found = []
            for fault in faults[i::FORGES]:
                run = _copy(scene.root, self.folder / f"trial-{i}")
                wrong = trial(self.forges[i], run, scene, fault)
                if wrong:
                    found.append(f"{fault}, {_shortly(scene, fault)}: {'; '.join(wrong)}")
                shutil.rmtree(run.root)
            return found

        with ThreadPoolExecutor(FORGES) as threads:
            return list(itertools.chain(*threads.map(some, range(FORGES))))


Trial = Callable[[Forge, Run, Scene, Fault], list[str]]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Start the forges and prepare the scenes."""
    folder = tmp_path_factory.mktemp("operations")
    try:
        library(folder)
    except NoInjector as error:
        pytest.skip(str(error))
    with contextlib.ExitStack() as stack:
        forges = [stack.enter_context(Forge(folder)) for _ in range(FORGES)]
        scenes = {
            "whole run": _whole_run(forges[0], folder),
            "takeover": _takeover(forges[0], folder),
        }
        for name, scene in scenes.items():
            changes = sum(operation.kind > READS for operation in scene.trace)
            print(f"{name}: {len(scene.trace)} operations, of which {changes} change something")
        yield Stage(scenes, forges, folder)


def _whole_run(forge: Forge, folder: Path) -> Scene:
    """Three members from their first claim to their last step, one copy among them."""
    run = open_run(folder / "whole", PRESET, {"members": 3, "steps": 2})
    calm = _copy(run.root, folder / "whole-calm")
    end = forge.run(calm.root)
    verdict = verify(calm)
    assert end.done
    assert verdict.problems == []
    assert verdict.copies > 0
    return Scene(run.root, None, end.trace, verdict.digest, thin=1)


def _takeover(forge: Forge, folder: Path) -> Scene:
    """A worker was killed amid a publication; the history of a member is about to be compacted."""
    run = open_run(folder / "takeover", PRESET, {"members": 2, "steps": 44})
    calm = _copy(run.root, folder / "takeover-calm")
    trace = forge.run(calm.root).trace
    verdict = verify(calm)
    assert verdict.problems == []
    first, length = _longest_run(trace, "unlink")
    assert length > 8, "no compaction is seen"
    published = [k for k, done in enumerate(trace[:first], 1) if done.name == "link"]
    end = forge.run(run.root, Fault("kill after", at=published[-2]))
    assert end.signal == signal.SIGKILL
    window = forge.run(_copy(run.root, folder / "takeover-window").root, turns=2)
    assert window.done is not None
    assert _longest_run(window.trace, "unlink")[1] == length
    return Scene(run.root, 2, window.trace, verdict.digest, thin=3)


def _longest_run(trace: Sequence[Operation], name: str) -> tuple[int, int]:
    """Return where the longest unbroken run of operations of a name begins, and its length."""
    best, begin = (0, 0), 0
    for key, group in itertools.groupby(operation.name for operation in trace):
        length = len(list(group))
        if key == name and length > best[1]:
            best = (begin, length)
        begin += length
    return best


def _copy(root: Path, goal: Path) -> Run:
    shutil.copytree(root, goal)
    return open_run(goal)


def _histories(run: Run) -> list[list[Record]]:
    population = Members(run.root)
    return [population.history(id) for id in range(run.pbt.members)]


def _shortly(scene: Scene, fault: Fault) -> str:
    """Return the operation of a fault, as the undisturbed worker did it."""
    return str(scene.trace[fault.at - 1]).replace(f"{scene.root.parent.resolve()}/", "")


# ------------------------------------------------------------------------ trials


def _recovers(forge: Forge, run: Run, scene: Scene, fault: Fault) -> list[str]:
    """Return what is wrong after a worker met a fault and another one finished the run."""
    end = forge.run(run.root, fault, turns=scene.turns, limit=LIMIT)
    wrong = [] if end.operations >= fault.at else [f"no fault struck ({end})"]
    if fault.how.startswith("kill"):
        wrong += [] if end.signal == signal.SIGKILL else [str(end)]
    elif end.done is None and not end.stopped_orderly:
        wrong.append(str(end))
    before = _histories(run)
    healthy = forge.run(run.root, durable=False, limit=LIMIT)
    return wrong + _is_not_as_undisturbed(run, scene, before, healthy)


def _is_not_as_undisturbed(
    run: Run, scene: Scene, before: list[list[Record]], healthy: End
) -> list[str]:
    """Return what the fault has changed in the run that a healthy worker has finished."""
    wrong = [] if healthy.done else [f"the next worker: {healthy}"]
    after = _histories(run)
    for id, (old, new) in enumerate(zip(before, after, strict=True)):
        lost = [record.member.n for record in old if record not in new]
        wrong += [f"member {id} lost what was published: {lost}"] if lost else []
    for record in itertools.chain(*after):
        me = record.member
        if record.error or me.failures or (record.weights is None and me.step > 0):
            last_line = (record.error or "no weights").strip().splitlines()[-1]
            wrong.append(f"member {me.id} failed at record {me.n}: {last_line}")
    verdict = verify(run)
    wrong += verdict.problems
    if verdict.digest != scene.digest:
        wrong.append("the digest is another")
    return wrong


SCENES = pytest.mark.parametrize("scene", ["whole run", "takeover"])


def _moments(scene: Scene, kind: int = READS) -> list[int]:
    """Return the numbers of the operations of at least this kind; of those that read, see `thin`.

    What only changes, or only needs room, cannot fail at others; and to end after one that reads
    is to end before the next.
    """
    return [
        k
        for k, operation in enumerate(scene.trace, 1)
        if operation.kind >= kind and (operation.kind > READS or k % scene.thin == 0)
    ]


def _hold(stage: Stage, scene: Scene, trial: Trial, faults: Sequence[Fault]) -> None:
    complaints = stage.complaints(trial, faults, scene)
    print(f"{len(faults)} faults, {len(complaints)} complaints")
    assert len(faults) >= 30
    assert not complaints, f"{len(complaints)} of {len(faults)}:\n" + "\n".join(complaints[:SHOWN])


@SCENES
def test_the_same_work_has_the_same_numbers(stage: Stage, scene: str) -> None:
    """Else a fault would strike now here, now there."""
    chosen = stage.scenes[scene]
    run = _copy(chosen.root, stage.folder / "again")
    names = [
        operation.name for operation in stage.forges[1].run(run.root, turns=chosen.turns).trace
    ]
    shutil.rmtree(run.root)

    assert names == [operation.name for operation in chosen.trace]
    assert len(names) > 300


@SCENES
@pytest.mark.parametrize(("how", "kind"), [("kill before", READS), ("kill after", CHANGES)])
def test_a_kill_at_any_operation_changes_nothing(
    stage: Stage, scene: str, how: How, kind: int
) -> None:
    """Whatever was half-way is done again, or was done."""
    chosen = stage.scenes[scene]

    _hold(stage, chosen, _recovers, [Fault(how, k) for k in _moments(chosen, kind)])


@SCENES
@pytest.mark.parametrize(("how", "kind"), [("error before", READS), ("error after", CHANGES)])
def test_an_error_of_any_operation_changes_nothing(
    stage: Stage, scene: str, how: How, kind: int
) -> None:
    """The disk says "input/output error", once; after it has done what it was asked, or before."""
    chosen = stage.scenes[scene]

    _hold(stage, chosen, _recovers, [Fault(how, k, errno.EIO) for k in _moments(chosen, kind)])


LIES = {
    "rename": errno.ENOENT,
    "link": errno.EEXIST,
    "mkdir": errno.EEXIST,
    "create new": errno.EEXIST,
    "unlink": errno.ENOENT,
}


@SCENES
def test_a_request_that_was_sent_twice_changes_nothing(stage: Stage, scene: str) -> None:
    """It is done, its answer is lost, and the second answer is that it cannot be done again."""
    chosen = stage.scenes[scene]
    faults = [
        Fault("error after", k, LIES[operation.name])
        for k, operation in enumerate(chosen.trace, 1)
        if operation.name in LIES
    ]

    _hold(stage, chosen, _recovers, faults)


@SCENES
@pytest.mark.parametrize(
    ("error", "kind", "stride"),
    [
        pytest.param(errno.ENOSPC, GROWS, 1, id="full"),
        pytest.param(errno.EROFS, CHANGES, 1, id="read-only"),
        pytest.param(errno.EIO, READS, 2, id="gone"),
    ],
)
def test_a_disk_that_fails_for_good_changes_nothing(
    stage: Stage, scene: str, error: int, kind: int, stride: int
) -> None:
    """From an operation on it is full, read-only or gone; the next worker finds it mended."""
    chosen = stage.scenes[scene]
    faults = [Fault("errors from", k, error) for k in _moments(chosen, kind)[::stride]]

    _hold(stage, chosen, _recovers, faults)


def _keeps_nobody_waiting(forge: Forge, run: Run, scene: Scene, fault: Fault) -> list[str]:
    """Return what is wrong if the next worker on this machine would rather wait than look."""
    end = forge.run(run.root, fault, turns=scene.turns, limit=LIMIT)
    before = _histories(run)
    healthy = forge.run(run.root, durable=False, patience=60.0, limit=2.0)
    if healthy.hung:
        return [f"{end}; the next worker waits for a heartbeat of a process that is gone"]
    return _is_not_as_undisturbed(run, scene, before, healthy)


def test_a_worker_that_has_ended_keeps_nobody_waiting(stage: Stage) -> None:
    """Its process is gone for all to see, whatever it could not tidy up: killed, or out of room."""
    chosen = stage.scenes["whole run"]
    kills = [Fault("kill before", k) for k in _moments(chosen, CHANGES)[::10]]
    full = [Fault("errors from", k, errno.ENOSPC) for k in _moments(chosen, GROWS)[::10]]

    _hold(stage, chosen, _keeps_nobody_waiting, kills + full)


def _cannot_disturb(forge: Forge, run: Run, scene: Scene, fault: Fault) -> list[str]:
    """Return what is wrong after a worker slept, was taken for dead, and woke up in the end."""
    sleeper = forge.start(run.root, fault)
    healthy = forge.run(run.root, durable=False, limit=LIMIT)
    before = _histories(run)
    end = forge.resume(sleeper)
    wrong = [] if end.operations >= fault.at else ["no fault struck"]
    wrong += [] if end.done else [str(end)]
    return wrong + _is_not_as_undisturbed(run, scene, before, healthy)


@pytest.mark.parametrize(("how", "first"), [("stop before", 0), ("stop after", 3)])
def test_a_worker_that_slept_cannot_disturb(stage: Stage, how: How, first: int) -> None:
    """A worker of another machine stops, and goes on when all is done: at each third moment."""
    chosen = stage.scenes["whole run"]
    faults = [Fault(how, k) for k in _moments(chosen)[first::6]]

    _hold(stage, chosen, _cannot_disturb, faults)
