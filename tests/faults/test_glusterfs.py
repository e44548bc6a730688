"""A run directory on a distributed file system: GlusterFS, two bricks, seen through two mounts.

Each mount keeps names, attributes and small files for a second, as it would on another machine, so
a worker sees what one on the other mount did late, in any order, or as ESTALE.
"""

import functools
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.audits.verify import verify
from core.directory.members import COMPACT, Members
from core.directory.record import Record
from core.directory.run import Run, open_run
from core.status.progress import read_warnings
from core.workers.worker import work
from tests.faults.inject import Fault, Forge, NoInjector, Operation, library

pytestmark = pytest.mark.faults

SCRIPT = Path(__file__).with_name("glusterfs.sh")
CANNOT = 77  # the script's status where this machine cannot do it
MEMBERS = range(5)  # of the presets in tests/trainers.py
STOPS = int(os.environ.get("PBT_GLUSTER_STOPS", "1"))  # runs with a paused worker; stops of a kind
BUSY = 600.0  # seconds after which a run hangs: a busy machine takes minutes for what needs seconds
CACHED = 2.0  # seconds after which a mount has forgotten what it knew (1 s each: kernel, gluster)
ELSEWHERE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")  # as if another machine

Process = subprocess.Popen[bytes]


def _script(command: str, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(SCRIPT), command, str(folder), *words], stderr=subprocess.PIPE, text=True
    )


@dataclass(frozen=True, slots=True)
class Volume:
    """One file system with two mounts, `a` and `b`."""

    folder: Path

    def begin(self, name: str, preset: str, steps: int, mode: str = "lockstep") -> tuple[Run, Run]:
        """Begin a run on `a`; return it as seen from each mount."""
        a = open_run(self.folder / "a" / name, preset, {"steps": steps, "mode": mode})
        return a, open_run(self.folder / "b" / name)

    def kill_brick(self, number: int) -> None:
        """End the process of one brick, by SIGKILL."""
        done = _script("kill-brick", self.folder, str(number))
        assert done.returncode == 0, done.stderr

    def heal(self) -> None:
        """Start a killed brick again; wait until both bricks hold the same."""
        done = _script("heal-brick", self.folder)
        assert done.returncode == 0, done.stderr

    def brick(self, number: int, name: str) -> dict[str, bytes]:
        """Return what a brick holds of a run, past all caches."""
        root = self.folder / f"brick{number}" / name
        files = (path for path in root.rglob("*") if path.is_file())
        return {str(path.relative_to(root)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Volume]:
    """A volume that is up while this module's tests run."""
    folder = tmp_path_factory.mktemp("glusterfs")
    try:
        started = _script("start", folder)
        if started.returncode == CANNOT:
            pytest.skip(started.stderr.strip())
        assert started.returncode == 0, started.stderr
        yield Volume(folder)
    finally:
        stopped = _script("stop", folder)
        assert stopped.returncode == 0, stopped.stderr


@contextmanager
def _workers(
    run: Run, count: int, *options: str, wrapper: Sequence[str] = ()
) -> Iterator[list[Process]]:
    """Start workers on a run as anybody would; kill those that are still there at the end."""
    command = [*wrapper, sys.executable, "-m", "core", "work", str(run.root), "--no-fsync"]
    processes: list[Process] = []
    try:
        for _ in range(count):
            processes.append(
                subprocess.Popen(
                    [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
                )
            )
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def _children(process: Process) -> list[int]:
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(word) for word in path.read_text().split()]


def _finish(*processes: Process) -> None:
    """Wait until workers have ended; they must have ended because all members are done."""
    for process in processes:
        words = process.communicate(timeout=BUSY)[0].decode()
        assert process.returncode == 0, words
        assert words == "all members are done\n"


def _heads(run: Run) -> list[Record]:
    population = Members(run.root)
    return [record for id in MEMBERS if (record := population.newest(id)) is not None]


def _wait_for(condition: Callable[[], bool], *workers: Process) -> None:
    """Wait as long as the workers are well, and not for ever."""
    until = time.monotonic() + BUSY
    while not condition():
        for process in workers:
            assert process.poll() in (None, 0), process.communicate()[0].decode()
        assert time.monotonic() < until, "the run does not get on"
        time.sleep(0.02)


def _has_published(run: Run, workers: Sequence[Process]) -> bool:
    """Whether the newest record of a member is by one of these."""
    pids = {process.pid for process in workers}
    return any(int(head.worker.split("-")[-2]) in pids for head in _heads(run))


def _wait_for_step(run: Run, step: int, *workers: Process) -> None:
    """Wait until the member that is furthest behind has come to `step`."""

    def reached() -> bool:
        heads = _heads(run)
        return len(heads) == len(MEMBERS) and min(head.member.step for head in heads) >= step

    _wait_for(reached, *workers)


def _histories(run: Run) -> list[list[Record]]:
    population = Members(run.root)
    return [population.history(id) for id in MEMBERS]


def _warnings(run: Run) -> list[str]:
    return [sentence for _, _, sentence in read_warnings(run.root, 2**20)]


def _check(views: Sequence[Run], tmp_path: Path) -> None:
    """Hold a run that is done, as seen from each mount, to the same run on the local disk."""
    time.sleep(CACHED)
    pbt = views[0].pbt
    verdicts = [verify(view) for view in views]
    assert [verdict.problems for verdict in verdicts] == [[], []]
    assert verdicts[0].digest == verdicts[1].digest
    assert [head.member.step for view in views for head in _heads(view)] == 10 * [pbt.steps]
    if pbt.mode == "lockstep":
        quick = "tests.trainers:walk"  # the same numbers as slow_walk, without the waiting
        local = open_run(tmp_path / "local", quick, {"steps": pbt.steps})
        work(local, durable=False)
        assert verdicts[0].digest == verify(local).digest


@pytest.mark.parametrize("mode", ["lockstep", "asynchronous"])
def test_workers_on_two_mounts_make_one_run(volume: Volume, tmp_path: Path, mode: str) -> None:
    """Two workers on each mount; nobody stops, and the numbers are those of the local disk."""
    a, b = volume.begin(f"two-mounts-{mode}", "tests.trainers:walk", 70, mode)

    with _workers(a, 2) as on_a, _workers(b, 2) as on_b:
        _finish(*on_a, *on_b)

    _check((a, b), tmp_path)


@pytest.mark.parametrize(
    ("mode", "steps", "brick"), [("lockstep", 100, 1), ("asynchronous", 240, 2)]
)
def test_a_brick_dies_and_comes_back(
    volume: Volume, tmp_path: Path, mode: str, steps: int, brick: int
) -> None:
    """Workers go on with the other brick, and while the first learns what it has missed."""
    name = f"brick-{mode}"
    a, b = volume.begin(name, "tests.trainers:slow_walk", steps, mode)

    with _workers(a, 2) as on_a, _workers(b, 2) as on_b:
        _wait_for_step(b, 10, *on_a, *on_b)
        volume.kill_brick(brick)
        _wait_for_step(b, 30, *on_a, *on_b)
        volume.heal()
        assert min(head.member.step for head in _heads(b)) < steps, "it came back too late"
        _finish(*on_a, *on_b)

    volume.heal()
    _check((a, b), tmp_path)
    assert volume.brick(1, name) == volume.brick(2, name)


def test_workers_of_one_mount_are_killed_at_random_moments(volume: Volume, tmp_path: Path) -> None:
    """Those of the other mount go on, also with what the dead had begun."""
    rng = random.Random(0)
    a, b = volume.begin("kills", "tests.trainers:slow_walk", 120)

    with _workers(b, 2) as on_b:
        for _ in range(5):
            with _workers(a, 2) as on_a:
                _wait_for(functools.partial(_has_published, b, on_a), *on_b)
                for process in on_a:
                    time.sleep(rng.random() * 0.4)
                    process.kill()
        _finish(*on_b)

    names = {record.worker for history in _histories(b) for record in history}
    assert len(names) >= 2 + 5, "they were killed before they had done anything"
    _check((a, b), tmp_path)


@pytest.mark.parametrize("seed", range(STOPS))
def test_a_paused_worker_cannot_change_what_was_taken_over(
    volume: Volume, tmp_path: Path, seed: int
) -> None:
    """It is stopped at random moments, for longer than the others' patience, and continued.

    Every other time it is continued when its member has been trained on by another; else at about
    the moment of the takeover, when its mount may not know of it yet.
    """
    rng = random.Random(seed)
    a, b = volume.begin(f"zombie-{seed}", "tests.trainers:slow_walk", 100)
    patience = 2.0
    options = ("--patience", str(patience))

    with _workers(b, 1, *options) as on_b, _workers(a, 1, *options, wrapper=ELSEWHERE) as on_a:
        _wait_for(lambda: len({head.worker for head in _heads(b)}) == 2, *on_a, *on_b)
        (zombie,) = _children(on_a[0])
        for moment in range(6):
            time.sleep(0.2 + rng.random() * 0.3)
            assert on_a[0].poll() is None, on_a[0].communicate()[0].decode()
            os.kill(zombie, signal.SIGSTOP)
            step = min(head.member.step for head in _heads(b))
            if moment % 2:
                _wait_for_step(b, step + 3, *on_b)
            else:
                time.sleep(patience * (0.8 + rng.random()))
            before = _histories(b)
            os.kill(zombie, signal.SIGCONT)
            time.sleep(rng.random() * 0.3)
            after = _histories(b)
            assert all(new[: len(old)] == old for old, new in zip(before, after, strict=True))
        _finish(*on_b, *on_a)

    # how often it held a member when it was stopped is chance: test_zombies.py asserts takeovers
    print([warning for warning in _warnings(b) if "taken over" in warning])
    _check((a, b), tmp_path)


FORGES = 2  # that work at the same time
LOST = ("taken over", "swept away", "another worker's", "is gone")  # all that may be warned of


def _begin_before_a_compaction(root: Path) -> Run:
    """Begin a run on the local disk, and leave it where the next turns begin the histories."""
    run = open_run(root, "tests.trainers:walk", {"members": 2, "steps": 22})
    while min([head.member.n for head in _heads(run)], default=0) < COMPACT - 3:
        work(run, durable=False, turns=1)
    return run


def _some_of_each_kind(trace: Sequence[Operation], root: Path) -> list[int]:
    """Return the numbers of operations on members' files: of those that do the same, STOPS."""
    found: dict[tuple[str, ...], list[int]] = {}
    for k, done in enumerate(trace, 1):
        if f"{root}/members/" in done.path and done.name != "mkdir":
            paths = [Path(path.removeprefix(f"{root}/members/")) for path in (done.path, done.goal)]
            endings = [path.suffix * (path.suffix in (".tmp", ".free", ".json")) for path in paths]
            places = [re.sub(r"\d+", "#", path.parent.name) for path in paths]
            found.setdefault((done.name, *places, *endings), []).append(k)
    return sorted(k for numbers in found.values() for k in numbers[len(numbers) // 2 :][:STOPS])


def test_a_worker_that_stops_before_any_kind_of_operation_goes_on_after_its_takeover(
    volume: Volume, tmp_path: Path
) -> None:
    """One on the other mount sweeps what it has begun, and GlusterFS says so in many ways.

    To set the time of an open file that another mount has removed, for one, is ESTALE.
    """
    begun = _begin_before_a_compaction(tmp_path / "begun")
    with ExitStack() as stack:
        try:
            library(tmp_path)
        except NoInjector as error:
            pytest.skip(str(error))
        forges = [stack.enter_context(Forge(tmp_path)) for _ in range(2 * FORGES)]
        calm = Path(shutil.copytree(begun.root, tmp_path / "calm"))
        trace = forges[0].run(calm, durable=False).trace
        moments = _some_of_each_kind(trace, calm)

        def some(i: int) -> list[str]:
            wrong = []
            for k in moments[i::FORGES]:
                a, b = (volume.folder / mount / f"stopped-{k}" for mount in "ab")
                shutil.copytree(begun.root, a)
                sleeper = forges[i].start(a, Fault("stop before", k), durable=False, limit=BUSY)
                heir = forges[i + FORGES].run(b, durable=False, turns=2, limit=BUSY)
                end = forges[i].resume(sleeper)
                what = f"before {trace[k - 1]}: ".replace(f"{calm}/", "")
                wrong += [what + str(heir)] if heir.done is None else []
                wrong += [what + f"{end}\n{end.traceback}"] if not end.done else []
            return wrong

        with ThreadPoolExecutor(FORGES) as threads:
            wrong = [one for part in threads.map(some, range(FORGES)) for one in part]

    assert not wrong, "\n".join(wrong)
    time.sleep(CACHED)
    digest, said = verify(open_run(calm)).digest, []
    for k in moments:
        run = open_run(volume.folder / "b" / f"stopped-{k}")
        verdict = verify(run)
        assert verdict.problems == []
        assert verdict.digest == digest
        said += _warnings(run)
    print(f"{len(moments)} stops; warnings: {len(said)}")
    assert [one for one in said if not any(word in one for word in LOST)] == []
    assert any("Stale file handle" in one for one in said)
    assert len(said) > len(moments) / 3, "the stopped ones were seldom taken over"


def test_a_reader_sees_what_was_published_and_nothing_else(volume: Volume) -> None:
    """While workers on the other mount publish as fast as they can: a little late, never back."""
    a, b = volume.begin("reader", "tests.trainers:walk", 100, "asynchronous")
    warnings: list[str] = []
    population = Members(b.root, warn=warnings.append)
    seen: dict[tuple[int, int], Record] = {}
    newest = dict.fromkeys(MEMBERS, -1)
    length = dict.fromkeys(MEMBERS, 0)
    looks: list[tuple[int, int, float]] = []  # member, record, and when it was the newest

    with _workers(a, 2) as on_a:
        while any(process.poll() is None for process in on_a):
            for id in MEMBERS:
                now = time.time()
                record = population.newest(id)
                history = population.history(id)
                for found in [*history, *([] if record is None else [record])]:
                    assert seen.setdefault((id, found.member.n), found) == found
                if record is not None:
                    assert record.member.n >= newest[id], "the newest record is an older one"
                    newest[id] = record.member.n
                    looks.append((id, record.member.n, now))
                numbers = [found.member.n for found in history]
                assert numbers == list(range(len(numbers))), "the history has a hole"
                assert len(numbers) >= length[id], "the history is shorter than it was"
                length[id] = len(numbers)
        _finish(*on_a)

    assert warnings == []
    time.sleep(CACHED)
    published = {
        (id, record.member.n): record for id in MEMBERS for record in Members(a.root).history(id)
    }
    assert all(published[key] == record for key, record in seen.items())
    assert [head.member.step for head in _heads(b)] == 5 * [100]
    late = [
        now - published[id, n + 1].time for id, n, now in looks if (id, n + 1) in published
    ]  # since when it was not the newest any more
    assert len(late) > 100
    assert max(late) < CACHED
