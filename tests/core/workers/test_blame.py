"""A broken machine fails no healthy member: it is found out, and ends alone."""

import errno
import multiprocessing
import os
from dataclasses import replace
from pathlib import Path

import pytest

from core.audits.verify import verify
from core.directory.heartbeat import Heartbeat
from core.directory.lease import read_lease
from core.directory.members import Members
from core.directory.record import Record
from core.directory.run import Run, open_run
from core.member import Hypers
from core.settings import PBT
from core.strategies.ready import never
from core.task import Task, TaskError
from core.workers.blame import AllFailed, Blame, Broken
from core.workers.worker import work
from tests import trainers

PRESET = "tests.trainers:picky"


@pytest.fixture(scope="module")
def digest(tmp_path_factory: pytest.TempPathFactory) -> str:
    """That of a run on a sound device."""
    run = open_run(tmp_path_factory.mktemp("sound") / "run", PRESET)
    assert work(run, durable=False)
    return verify(run).digest


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run that has just begun."""
    monkeypatch.setattr(trainers, "steps_of_this_process", 0)
    return open_run(tmp_path / "run", PRESET)


def _records(run: Run) -> list[Record]:
    population = Members(run.root)
    return [r for id in range(run.pbt.members) for r in population.history(id)]


def test_a_device_on_which_nothing_works_fails_nobody(run: Run, digest: str) -> None:
    """It stops with the error, and the run goes on elsewhere as if it had never been there."""
    with pytest.raises(AllFailed, match=r"(?s)every one of the 5 members has failed.*dies"):
        work(run, device="dies after 0", durable=False)

    assert all(record.member.step == 0 for record in _records(run))
    assert work(run, durable=False)
    assert verify(run).digest == digest


def test_a_device_that_joins_broken_is_found_out_by_what_had_worked(run: Run, digest: str) -> None:
    """A step of the history is repeated there, and raises."""
    work(run, durable=False, turns=17)
    before = _records(run)

    with pytest.raises(Broken, match="raised again where it had worked before"):
        work(run, device="dies after 0", durable=False)

    assert _records(run) == before
    assert work(run, durable=False)
    assert verify(run).digest == digest


def test_a_device_that_breaks_costs_one_member_at_most(run: Run) -> None:
    """Its first failure counts, as a turn had gone well; the second is held against the device."""
    with pytest.raises(Broken):
        work(run, device="dies after 9", durable=False)

    failed = {record.member.id for record in _records(run) if record.error}
    assert len(failed) == 1
    assert work(run, durable=False)
    assert not verify(run).problems


def test_weights_that_are_pruned_while_they_are_read_are_no_broken_device(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network file system says ESTALE of them; another member's step is repeated instead."""
    work(run, durable=False, turns=17)
    load, loaded = trainers.Picky.load, list[Path]()

    def stale_at_first(self: trainers.Picky, path: Path) -> None:
        loaded.append(path)
        if len(loaded) == 1:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))
        load(self, path)

    monkeypatch.setattr(trainers.Picky, "load", stale_at_first)

    assert Blame(run, Members(run.root), "cpu").believes(0)

    assert [path.parts[-3] for path in loaded] == ["000", "001"]


def _work(root: Path, device: str) -> None:
    try:
        work(open_run(root), device=device, durable=False)
    except (TaskError, AllFailed):
        raise SystemExit(2) from None


def test_a_broken_worker_beside_sound_ones_changes_nothing(run: Run, digest: str) -> None:
    """Though it is the fastest of all."""
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=_work, args=(run.root, device))
        for device in ("dies after 0", "cpu", "dies after 0")
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)

    assert workers[1].exitcode == 0
    assert not any(record.error for record in _records(run))
    assert verify(run).digest == digest


def test_members_that_fail_by_themselves_still_do(tmp_path: Path) -> None:
    """Several in a row, on a sound device: what works there is tried again, and they are failed."""
    run = open_run(tmp_path / "run", "tests.trainers:raises_random_search")
    assert work(run, durable=False)

    rates = {r.member.id: float(r.member.hypers["rate"]) for r in _records(run)}
    failed = {record.member.id for record in _records(run) if record.error}
    assert failed == {id for id, rate in rates.items() if rate > 0.1}
    assert len(failed) > 1


def test_a_worker_waits_for_others_before_it_ends(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else may train what failed here; if nobody does, it says what it could not."""
    monkeypatch.setattr("core.workers.blame.WAIT", 0.2)
    with Heartbeat(run.root) as other:  # holds one member, so that not all of them can fail here
        population = Members(run.root)
        held = read_lease(folder := population.enter(4))
        assert held is not None
        assert other.claim(4, folder, held)

        with pytest.raises(Broken, match=r"raised for members \[0, 1, 2, 3\], and for none did it"):
            work(run, device="dies after 0", durable=False)


class Poisoned(trainers.Walk):
    """A trainer that raises for hypers of a member, whatever its weights."""

    def step(self, hypers: Hypers) -> None:
        """Raise for small rates."""
        if float(hypers["rate"]) < 0.1:
            raise RuntimeError("rates below 0.1 raise")
        super().step(hypers)


def poisoned() -> PBT:
    """The last two of four members fail in their first step."""
    start = tuple({"rate": rate} for rate in (0.5, 0.4, 0.02, 0.01))
    task = Task(Poisoned, trainers.SPACE)
    return replace(trainers.walk(), task=task, members=4, start=start)


def never_rescued() -> PBT:
    """The same as a random search, in which nobody is rescued."""
    return replace(poisoned(), ready=never)


@pytest.mark.parametrize("preset", ["poisoned", "never_rescued"])
@pytest.mark.parametrize("mode", ["lockstep", "asynchronous"])
def test_members_that_always_fail_do_not_hold_up_the_others(
    tmp_path: Path, preset: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That the trainer works here is told by a first step of another member, done again."""
    monkeypatch.setattr("core.workers.blame.WAIT", 0.0)
    run = open_run(tmp_path / "run", f"tests.core.workers.test_blame:{preset}", {"mode": mode})

    assert work(run, durable=False)

    assert verify(run).problems == []
    assert [record.member.step for record in _last(run)] == 4 * [12]
    failed = [record for record in _records(run) if record.error]
    assert {record.member.id for record in failed} == {2, 3}
    assert all("test_blame.py" in str(record.error) for record in failed)


def _last(run: Run) -> list[Record]:
    newest = map(Members(run.root).newest, range(run.pbt.members))
    return [record for record in newest if record is not None]


def test_whoever_fails_everywhere_is_told_with_its_traceback(tmp_path: Path) -> None:
    """In the error, and in the log of the worker, with the user's own line."""
    run = open_run(tmp_path / "run", "tests.trainers:always_raises")

    with pytest.raises(AllFailed, match=r"(?s)Traceback.*tests/trainers.py.*no rope"):
        work(run, durable=False)

    logs = "".join(path.read_text() for path in (run.root / "workers").glob("*.jsonl"))
    assert '"trace": "Traceback' in logs
    assert "tests/trainers.py" in logs


class LoadsNothing(trainers.Walk):
    """A trainer that cannot load what it has saved."""

    def load(self, path: Path) -> None:
        """Raise."""
        raise RuntimeError("size mismatch")


def loads_nothing() -> PBT:
    """A run whose every member would fail as soon as it is loaded."""
    return replace(trainers.walk(), task=Task(LoadsNothing, trainers.SPACE))


def loads_again() -> PBT:
    """The same, mended."""
    return trainers.walk()


def test_a_load_that_never_works_fails_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That members can be trained from their start says nothing of it; the traceback is told."""
    monkeypatch.setattr("core.workers.blame.WAIT", 0.0)
    run = open_run(tmp_path / "run", "tests.core.workers.test_blame:loads_nothing")

    with pytest.raises((Broken, AllFailed), match=r"(?s)Traceback.*test_blame.py.*size mismatch"):
        work(run, durable=False)

    assert [record for record in _records(run) if record.error] == []


class PickyStart(trainers.Walk):
    """A trainer that cannot be made for some members."""

    def __init__(self, seed: int, device: str) -> None:
        super().__init__(seed, device)
        if self.height < 0:
            raise FileNotFoundError("no data for this one")


class OwnFiles(trainers.Walk):
    """A trainer that saves a second file of its own, in a folder that is not there."""

    def save(self, path: Path) -> None:
        """Write elsewhere, too, once the height is above 1."""
        super().save(path)
        if self.height > 1:
            Path("/nowhere/at/all").write_text("mine")


def picky_start() -> PBT:
    """A run some of whose members cannot be made."""
    return replace(trainers.walk(), task=Task(PickyStart, trainers.SPACE))


def own_files() -> PBT:
    """A run whose trainer fails to save, now and then."""
    return replace(trainers.walk(), task=Task(OwnFiles, trainers.SPACE))


def test_a_member_that_cannot_be_made_does_not_end_the_others(tmp_path: Path) -> None:
    """Once another could be made here; it is rescued like any that fails."""
    run = open_run(tmp_path / "run", "tests.core.workers.test_blame:picky_start")

    assert work(run, durable=False)

    failed = [record for record in _records(run) if record.error]
    assert failed
    assert all("no data for this one" in str(record.error) for record in failed)
    assert verify(run).problems == []


def test_a_file_of_the_trainers_own_is_its_failure(tmp_path: Path) -> None:
    """With its own line: it is no fault of the run directory's disk."""
    run = open_run(tmp_path / "run", "tests.core.workers.test_blame:own_files")

    work(run, durable=False)

    failed = [record for record in _records(run) if record.error]
    assert failed
    assert all("/nowhere/at/all" in str(record.error) for record in failed)
    assert all("test_blame.py" in str(record.error) for record in failed)
