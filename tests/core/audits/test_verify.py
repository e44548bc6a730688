"""`verify`: what happened is what had to happen, or it is said where not."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core.audits.verify import verify
from core.directory.members import Members
from core.directory.record import Record, encode
from core.directory.run import Run, open_run
from core.member import Member
from core.workers.worker import work


@pytest.fixture(params=["lockstep", "asynchronous"])
def run(tmp_path: Path, request: pytest.FixtureRequest) -> Run:
    """A finished run in either mode."""
    run = open_run(tmp_path / "run", "tests.trainers:walk", {"mode": request.param})
    assert work(run, durable=False)
    return run


def _rewrite(run: Run, change: Callable[[Record], Record | None]) -> None:
    """Write other records with right checksums, as an enemy would, or a bug."""
    population = Members(run.root)
    for id in range(run.pbt.members):
        records = [change(record) for record in population.history(id)]
        folder = population.folder(id)
        kept = [encode(record) for record in records if record is not None]
        (folder / "history" / "00000000.jsonl").write_bytes(b"".join(kept))
        for path in (folder / "recent").iterdir():
            path.unlink()


def _change_first_copy(change: Callable[[Member], Member]) -> Callable[[Record], Record]:
    done = False

    def of(record: Record) -> Record:
        nonlocal done
        if done or record.member.parent is None:
            return record
        done = True
        return replace(record, member=change(record.member))

    return of


def test_a_run_as_it_was_has_no_problems(run: Run) -> None:
    """And its digest depends on no time, host or worker."""
    before = verify(run)
    _rewrite(run, lambda record: replace(record, worker="x", host="y", time=0.0, seconds={}))

    after = verify(run)

    assert before.problems == after.problems == []
    assert before.digest == after.digest
    assert before.copies > 5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda me: replace(me, hypers={"rate": 0.5}), "from what it saw follows"),
        (lambda me: replace(me, parent=(me.parent[0], 0)), "from what it saw follows"),
        (
            lambda me: replace(me, seen=dict.fromkeys(range(5), 999)),
            "is not there|did not see member",
        ),
        (lambda me: replace(me, seen=None), "was ready and did not decide"),
        (lambda me: replace(me, step=me.step + 50), "does not follow on"),
    ],
)
def test_a_decision_that_does_not_follow_is_found(
    run: Run, change: Callable[[Member], Member], words: str
) -> None:
    """Each kind of it, and the digest changes."""
    before = verify(run).digest
    _rewrite(run, _change_first_copy(change))

    verdict = verify(run)

    assert any(re.search(words, problem) for problem in verdict.problems), verdict.problems
    assert verdict.digest != before


def test_a_missing_record_is_found(run: Run) -> None:
    """History has no holes."""
    _rewrite(run, lambda record: None if (record.member.id, record.member.n) == (2, 5) else record)

    assert "member 2 lacks the records [5]" in verify(run).problems


def test_hypers_that_change_without_a_copy_are_found(run: Run) -> None:
    """Between two records of a member, only a copy may change them."""

    def change(record: Record) -> Record:
        me = record.member
        last = me.id == 1 and me.step == 12
        return replace(record, member=replace(me, hypers={"rate": 0.5})) if last else record

    _rewrite(run, change)

    assert any("other hypers" in p or "follows" in p for p in verify(run).problems)


def test_a_run_that_is_not_done_is_said_to_be_so(tmp_path: Path) -> None:
    """It is no failure of the records, but nothing to cite either."""
    run = open_run(tmp_path / "run", "tests.trainers:walk")
    work(run, durable=False, turns=20)

    assert any("is not done: step" in problem for problem in verify(run).problems)


def test_weights_of_somebody_else_are_found(run: Run) -> None:
    """A copy must have its donor's bytes, and a random stream of its own."""

    def other_bytes(record: Record) -> Record:
        if record.member.parent is None or record.weights is None:
            return record
        return replace(record, weights=replace(record.weights, sha256="0" * 64))

    _rewrite(run, other_bytes)

    assert any("other weights than member" in problem for problem in verify(run).problems)


def test_a_run_in_which_nobody_ever_decided_is_no_pbt(run: Run) -> None:
    """Whoever was ready must have looked."""

    def undecided(record: Record) -> Record | None:
        me = record.member
        return replace(record, member=replace(me, seen=None)) if me.parent is None else record

    _rewrite(run, undecided)

    assert any("was ready and did not decide" in problem for problem in verify(run).problems)
