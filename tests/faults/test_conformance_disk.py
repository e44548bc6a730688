"""What went wrong in other implementations of PBT, tried on whole runs: files and other workers.

Each test is named after the mistake and says in which systems it was found. The mistakes of the
method itself are in test_conformance.py.
"""

import errno
import itertools
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from core.audits.verify import verify
from core.directory.files import Files
from core.directory.heartbeat import Heartbeat
from core.directory.lease import read_lease
from core.directory.members import COMPACT, Members
from core.directory.record import Record, Weights
from core.directory.run import Run, open_run
from core.directory.weights import WeightsFiles
from core.pbt import start
from core.workers.pool import Pool
from core.workers.worker import work
from tests.faults.inject import Fault, Forge, NoInjector, Operation

pytestmark = pytest.mark.faults
READS, CHANGES, GROWS = range(3)  # kinds of operations


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    """A forge of workers with faults, where this machine can make one."""
    try:
        forge = Forge(tmp_path_factory.mktemp("forge"))
    except NoInjector as error:
        pytest.skip(str(error))
    with forge:
        yield forge


def _run(root: Path, preset: str = "walk", **overrides: object) -> Run:
    return open_run(root, f"tests.trainers:{preset}", overrides)


def _copy(run: Run, goal: Path) -> Run:
    shutil.rmtree(goal, ignore_errors=True)
    shutil.copytree(run.root, goal)
    return open_run(goal)


def _digest(run: Run, goal: Path) -> str:
    """Return the digest of a run as it is when nothing disturbs it."""
    calm = _copy(run, goal)
    assert work(calm, durable=False)
    assert verify(calm).problems == []
    return verify(calm).digest


def _histories(run: Run) -> list[list[Record]]:
    population = Members(run.root)
    return [population.history(id) for id in range(run.pbt.members)]


def _warnings(run: Run) -> str:
    logs = (run.root / "workers").glob("*.jsonl")
    lines = [line for log in logs for line in log.read_text().splitlines(keepends=True)]
    return "".join(line for line in lines if '"warning"' in line)


def _is_whole(run: Run, digest: str, before: Sequence[Sequence[Record]] = ()) -> None:
    """Assert that a run came to the digest and lost nothing of what was published before."""
    verdict = verify(run)
    histories = _histories(run)
    assert verdict.problems == []
    assert verdict.digest == digest
    for old, new in zip(before, histories, strict=False):
        assert list(old) == new[: len(old)]
    newest = [Members(run.root).newest(id) for id in range(run.pbt.members)]
    assert newest == [history[-1] for history in histories]
    assert not any(record.error for record in itertools.chain(*histories))


def _work(run: Run, patience: float) -> subprocess.Popen[bytes]:
    words = ["work", str(run.root), "--no-fsync", "--patience", str(patience)]
    return subprocess.Popen([sys.executable, "-m", "core", *words], stdout=subprocess.DEVNULL)


def _wait_until(run: Run, step: int) -> None:
    """Wait until a member has come to a step."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        newest = Members(run.root).newest(0)
        if newest is not None and newest.member.step >= step:
            return
        time.sleep(0.01)
    raise AssertionError(f"nobody came to step {step}")


# ------------------------------------------------------------------------------------ records


def _damaged(data: bytes) -> Iterator[bytes]:
    """Yield what is left of a file that is cut at any byte, or one of whose bits is flipped."""
    yield from (data[:length] for length in range(len(data)))
    for i in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[i // 8] ^= 1 << i % 8
        yield bytes(flipped)


def test_a_peers_record_truncated_at_every_byte(tmp_path: Path) -> None:
    """Caught in IsaacGymEnvs: never a wrong value, never a silent loss; bits may flip too."""
    run = _run(tmp_path / "run", members=3, steps=2)
    work(run, durable=False, turns=6)  # all of them wait at their last step
    digest = _digest(run, tmp_path / "calm")
    truth = _histories(run)[1]
    view, single = (run.root / "members/001" / name for name in ("record.json", "recent/00000002"))
    data = single.read_bytes()

    assert view.read_bytes() == data
    assert len(truth) == 3
    for bad in _damaged(data):
        warnings: list[str] = []
        view.write_bytes(bad)
        assert Members(run.root, warn=warnings.append).newest(1) == truth[2]
        single.write_bytes(bad)
        population = Members(run.root, warn=warnings.append)
        assert population.newest(1) == truth[1]
        assert len(warnings) == 2, bad
        if len(bad) < len(data):
            assert population.history(1) == truth[:2]
            assert len(warnings) == 3, bad
        single.write_bytes(data)
    view.write_bytes(data)
    for length in range(0, len(data), 24):
        trial = _copy(run, tmp_path / "trial")
        for path in (view, single):
            (trial.root / path.relative_to(run.root)).write_bytes(data[:length])
        assert work(trial, durable=False)
        _is_whole(trial, digest)
        assert "it is set aside, and its step is trained again" in _warnings(trial)


def test_a_peers_history_truncated_at_any_place(tmp_path: Path) -> None:
    """The other file of a peer's records: cut anywhere, at the end of a line too."""
    run = _run(tmp_path / "run", members=2, steps=2 * COMPACT)
    work(run, durable=False)
    truth = _histories(run)[1]
    segment = run.root / "members/001/history/00000000.jsonl"
    data = segment.read_bytes()
    ends = list(itertools.accumulate(map(len, data.splitlines(keepends=True))))

    assert len(ends) == 3 * COMPACT
    for length in [*ends[:-1:7], *range(0, len(data), 1999)]:
        segment.write_bytes(data[:length])
        warnings: list[str] = []
        found = Members(run.root, warn=warnings.append).history(1)
        assert [record for record in truth if record in found] == found
        assert len(warnings) == (length > 0 and length not in ends)
        if found != truth:
            assert "member 1 lacks the records" in "".join(verify(run).problems)


# ------------------------------------------------------------------------------------ kills


def _before_a_copy(run: Run, folder: Path) -> Run:
    """Go on with a run until a turn in which a member copies another; return it before that."""
    for turn in range(100):
        before = _copy(run, folder / f"turn-{turn}")
        work(run, durable=False, turns=1)
        new = [
            record
            for old, all_ in zip(_histories(before), _histories(run), strict=True)
            for record in all_[len(old) :]
        ]
        if any(record.member.parent is not None for record in new):
            return before
    raise AssertionError("nobody copied anybody")


def test_kill_9_at_every_step_of_a_publish(forge: Forge, tmp_path: Path) -> None:
    """Caught in all of them: half a checkpoint, a record of no weights, a run that hangs."""
    copying = _before_a_copy(_run(tmp_path / "run", members=3, steps=4), tmp_path)
    scenes = [_run(tmp_path / "first", members=3, steps=4), copying]
    struck = []
    for run in scenes:
        digest = _digest(run, tmp_path / "calm")
        trace = forge.run(_copy(run, tmp_path / "traced").root, turns=1).trace
        changing = [k for k, done in enumerate(trace, 1) if done.kind > READS]
        for fault in [Fault("kill before", changing[0])] + [
            Fault("kill after", k) for k in changing
        ]:
            trial = _copy(run, tmp_path / "trial")
            struck.append(forge.run(trial.root, fault, turns=1))
            before = _histories(trial)
            assert forge.run(trial.root, durable=False).done, fault
            _is_whole(trial, digest, before)
            left = (trial.root / "members").rglob("*.tmp")
            assert [path for path in left if path.is_file()] == [], fault

    assert len(struck) > 40
    assert {end.signal for end in struck} == {signal.SIGKILL}


def _pin(trace: Sequence[Operation]) -> int:
    """Return the number of the operation that links a donor's weights."""
    [k] = [
        k
        for k, done in enumerate(trace, 1)
        if done.name == "link" and "/weights/" in done.path and "/weights/" in done.goal
    ]
    return k


def test_donors_weights_deleted_while_they_are_loaded(
    forge: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Caught in Ray (issue 9036): the donor moves on while its copier chooses, links and loads."""
    run = _before_a_copy(_run(tmp_path / "run", mode="asynchronous"), tmp_path)
    traced = _copy(run, tmp_path / "traced")
    trace = forge.run(traced.root, turns=1).trace
    pin = _pin(trace)
    [copy] = [history[-1].member for history in _histories(traced) if history[-1].member.parent]
    lost = kept = 0
    for k in range(pin - 12, min(pin + 20, len(trace))):
        trial = _copy(run, tmp_path / "trial")
        sleeper = forge.start(trial.root, Fault("stop before", k), turns=1, patience=60)
        forge.run(trial.root, durable=False, turns=20, patience=60)
        end = forge.resume(sleeper)
        assert end.done is False, end
        assert "looks for another donor" not in _warnings(trial) or k <= pin
        lost += "looks for another donor" in _warnings(trial)
        if k > pin:
            assert _histories(trial)[copy.id][copy.n].member == copy
            kept += 1
        assert forge.run(trial.root, durable=False).done
        assert verify(trial).problems == []
        assert not any(record.error for history in _histories(trial) for record in history)

    assert lost > 2
    assert kept > 5

    pinned = WeightsFiles.pin
    pruned: list[int] = []

    def prunes_first(
        self: WeightsFiles, donor: int, weights: Weights, *rest: object
    ) -> tuple[Path, int]:
        if len(pruned) < 3:
            pruned.append(donor)
            (self.folder(donor) / "weights" / weights.name).unlink()
        return pinned(self, donor, weights, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(WeightsFiles, "pin", prunes_first)
    direct = _run(tmp_path / "direct", mode="asynchronous")
    assert work(direct, durable=False)
    assert len(pruned) == 3
    assert _warnings(direct).count("looks for another donor") >= 3
    assert verify(direct).problems == []


# ------------------------------------------------------------------------------------ resume


def _advance(run: Run, id: int, turns: int) -> None:
    """Let one member take turns while all others are held."""
    population = Members(run.root, Files(durable=False))
    with Heartbeat(run.root) as holder:
        leases = []
        for other in set(range(run.pbt.members)) - {id}:
            held = read_lease(population.enter(other))
            assert held is not None
            leases.append(holder.claim(other, population.folder(other), held))
        work(run, durable=False, turns=turns)
        for lease in leases:
            assert lease is not None
            lease.release()


DIES = """
import os, sys
from pathlib import Path
from core.directory.heartbeat import (Heartbeat)
from core.directory.lease import (read_lease)
from core.directory.members import Members

worker = Heartbeat(Path(sys.argv[1])).__enter__()
folder = Members(worker.root).enter(5)
os._exit(0 if worker.claim(5, folder, read_lease(folder)) else 1)
"""


@pytest.mark.parametrize("preset", ["raises", "raises_random_search"])
def test_resume_does_not_hang_with_members_finished_failed_and_in_the_middle(
    tmp_path: Path, preset: str
) -> None:
    """Caught in Ray (pull request 48616); a worker that was killed holds one more member."""
    # of this seed, the member that fails has not copied another before it does
    run = _run(tmp_path / "run", preset, mode="asynchronous", members=6, seed=4)
    high = [float(start(id, run.pbt).hypers["rate"]) > 0.1 for id in range(5)]
    failing, sound = high.index(True), high.index(False)
    _advance(run, sound, 12)
    _advance(run, failing, 3)
    for id in set(range(5)) - {failing, sound}:
        _advance(run, id, 5)
    subprocess.run([sys.executable, "-c", DIES, str(run.root)], check=False)
    before = _histories(run)
    steps = [history[-1].member.step if history else 0 for history in before]

    for _ in range(2):  # a run that is done is done at once
        worker = _work(run, patience=60)
        try:
            assert worker.wait(timeout=20) == 0
        finally:
            worker.kill()

    histories = _histories(run)
    assert (steps[sound], steps[failing], steps[5]) == (12, 3, 0)
    assert any(record.error for record in before[failing])
    assert verify(run).problems == []
    assert histories[sound] == before[sound]
    assert all(new[: len(old)] == old for old, new in zip(before, histories, strict=True))
    assert (histories[failing][-1].weights is None) == (preset == "raises_random_search")


# ------------------------------------------------------------------------------------ workers


def test_two_workers_on_one_member_and_a_paused_one_that_comes_back(
    forge: Forge, tmp_path: Path
) -> None:
    """Caught in IsaacGymEnvs: it sleeps at some moment, and wakes up amid, or after, its heir."""
    run = _run(tmp_path / "run", members=2, steps=2)
    digest = _digest(run, tmp_path / "calm")
    trace = forge.run(_copy(run, tmp_path / "traced").root).trace
    moments = [k for k, done in enumerate(trace, 1) if done.name in ("link", "rename")][::2]
    moments += [k for k, done in enumerate(trace, 1) if done.name == "write"][::3]
    for k, turns in itertools.product(moments, (1, None)):
        trial = _copy(run, tmp_path / "trial")
        sleeper = forge.start(trial.root, Fault("stop before", k))
        heir = forge.run(trial.root, durable=False, turns=turns)
        before = _histories(trial)
        end = forge.resume(sleeper)
        assert end.done, end
        assert heir.done or turns, heir
        _is_whole(trial, digest, before)
    one = _run(tmp_path / "one", "slow_walk", members=1, steps=30)
    with Pool(one.root, 3, options=["--no-fsync"]) as pool:
        deadline = time.monotonic() + 20
        while pool.running() and time.monotonic() < deadline:
            time.sleep(0.02)
        hangs, complaints = pool.running(), pool.complaints()

    assert len(moments) > 10
    assert not hangs
    assert complaints == []
    assert "taken over" not in _warnings(one)
    other = _run(tmp_path / "other", "slow_walk", members=1, steps=30)
    _is_whole(one, _digest(other, tmp_path / "calm"))


OTHER_CLOCK = """
import os, sys, time
import core.directory.lease
from core.__main__ import main

shift, now, rename = float(sys.argv[1]), time.time, os.replace

def replace(source, goal, **others):
    rename(source, goal, **others)
    os.utime(goal, (now() + shift, now() + shift))

time.time = lambda: now() + shift
os.replace = replace
core.directory.lease._machine = lambda: f"a machine {shift} s ahead"
sys.exit(main(sys.argv[2:]))
"""


def test_clocks_that_differ_between_hosts(tmp_path: Path) -> None:
    """Caught in all of them: two days apart, the living are not robbed and the dead are."""
    run = _run(tmp_path / "run", "slow_walk", steps=40)
    workers = []
    try:
        for shift in (-86400, 86400, 86400):
            words = ["work", str(run.root), "--no-fsync", "--patience", "1.5"]
            command = [sys.executable, "-c", OTHER_CLOCK, str(shift), *words]
            workers.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
        _wait_until(run, 20)
        early = _warnings(run)
        workers[2].kill()
        assert [worker.wait(timeout=30) for worker in workers] == [0, 0, -signal.SIGKILL]
    finally:
        for worker in workers:
            worker.kill()

    times = [record.time for record in itertools.chain(*_histories(run))]
    assert max(times) - min(times) > 86400
    assert early == _warnings(run) == ""
    _is_whole(run, _digest(_run(tmp_path / "other", "slow_walk", steps=40), tmp_path / "calm"))


def test_a_full_disk(forge: Forge, tmp_path: Path) -> None:
    """Caught in all of them: the worker stops, no member pays for it, and all goes on after."""
    run = _run(tmp_path / "run", members=3, steps=2)
    digest = _digest(run, tmp_path / "calm")
    trace = forge.run(_copy(run, tmp_path / "traced").root).trace
    faults = [
        Fault("error before" if "/weights/" in done.path else "errors from", k, errno.ENOSPC)
        for k, done in enumerate(trace, 1)
        if done.kind == GROWS
    ]
    for fault in faults[::3]:
        trial = _copy(run, tmp_path / "trial")
        end = forge.run(trial.root, fault)
        before = _histories(trial)
        assert end.stopped_orderly, end
        assert end.error[0] in ("OSError", "DiskError")
        assert forge.run(trial.root, durable=False).done
        _is_whole(trial, digest, before)

    assert len(faults) > 60
    assert {fault.how for fault in faults[::3]} == {"error before", "errors from"}
