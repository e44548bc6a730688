"""A broken machine fails no healthy member: it is found out, and ends alone."""

import multiprocessing
from pathlib import Path

import pytest

from core.lease import Worker, read_lease
from core.population import Population
from core.record import Record
from core.run import Run, open_run
from core.task import TaskError
from core.trust import AllFailed, Broken
from core.verify import verify
from core.worker import work
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
    population = Population(run.root)
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
    monkeypatch.setattr("core.trust.WAIT", 0.2)
    with Worker(run.root) as other:  # holds one member, so that not all of them can fail here
        population = Population(run.root)
        held = read_lease(folder := population.enter(4))
        assert held is not None
        assert other.claim(4, folder, held)

        with pytest.raises(Broken, match=r"raised for members \[0, 1, 2, 3\], and for none did it"):
            work(run, device="dies after 0", durable=False)
