"""Records as columns: the same numbers, even with missing members and torn files."""

import math
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import core
from analysis.data.columns import CAUSES, Columns, columns
from analysis.data.runs import RunData, read_runs
from analysis.figures.dominance import dominance
from core.directory.members import Members
from core.directory.record import Record, decode, encode
from core.directory.run import open_run
from core.member import Member
from core.study.found_schedule import schedule_of
from core.workers.worker import work
from tests.analysis.synthetic import write_run
from tests.contract.test_backends import RUNS


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    """A lockstep run of eight with many copies."""
    [found] = read_runs([write_run(tmp_path_factory.mktemp("synthetic") / "run")])
    return found


def test_every_record_is_a_row(run: RunData) -> None:
    """Rows hold the numbers of the records, member by member."""
    found = run.columns
    row = 0
    for id in range(8):
        for record in Members(run.path).history(id):
            me = record.member
            assert (found.member[row], found.n[row], found.step[row]) == (id, me.n, me.step)
            assert found.score[row] == pytest.approx(me.score, nan_ok=True)
            assert CAUSES[found.cause[row]] == me.cause
            assert found.hypers["rate"][row] == me.hypers["rate"]
            assert found.hypers["optimiser"][row] == me.hypers["optimiser"]
            assert found.decided[row] == (me.seen is not None)
            assert found.spent[row] == pytest.approx(record.spent)
            if me.parent:
                parent = found.parent[row]
                assert (found.member[parent], found.n[parent]) == me.parent
            row += 1
    assert row == len(found.step)
    assert run.is_done
    assert run.state == ""


def test_ancestry_and_founders_are_those_of_a_slow_walk(run: RunData) -> None:
    """The walk goes from record to record by (id, n)."""
    records = {
        (r.member.id, r.member.n): r for id in range(8) for r in Members(run.path).history(id)
    }
    founders = run.columns.founders()

    for row in run.columns.last():
        id, n = int(run.columns.member[row]), int(run.columns.n[row])
        way = [(id, n)]
        while way[-1][1] > 0:
            me = records[way[-1]].member
            way.append(me.parent or (me.id, me.n - 1))
        found = run.columns.ancestry(int(row))
        pairs = zip(run.columns.member[found], run.columns.n[found], strict=True)
        assert [(int(a), int(b)) for a, b in pairs] == way[::-1]
        assert founders[row] == way[-1][0]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_founders_are_never_more_than_there_were(data: st.DataObject) -> None:
    """For any copies, each row has the founder of the row before it, and keeps its age."""
    members, steps = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 8))
    histories = [[Record(member=Member(id=id))] for id in range(members)]
    for step in range(1, steps + 1):
        ends = [history[-1].member for history in histories]
        for id, me in enumerate(ends):
            me = replace(me.trained((float(step),)), n=me.n + 1)
            donor = data.draw(st.integers(0, members - 1))
            if donor != id and data.draw(st.booleans()):
                me = me.copied(ends[donor], {})
            histories[id].append(Record(member=me))
    found = columns(histories)

    founders, before = found.founders(), found.before()
    there = before >= 0
    assert (founders[there] == founders[before[there]]).all()
    alive = [len(set(founders[rows[rows >= 0]])) for rows in found.row_grid(steps).T]
    assert alive[0] == members
    assert alive == sorted(alive, reverse=True)
    for way in found.ancestries(found.last()):
        assert found.age(way)[-1] == sum(found.parent[way] < 0) - 1  # a copy trains nothing


def test_the_grid_has_the_row_with_which_each_step_was_left(run: RunData) -> None:
    """A member that has not reached a step has none."""
    grid = run.columns.row_grid(25)

    assert (grid[:, 21:] == -1).all()
    for id in range(8):
        assert grid[id, :21].tolist() == run.columns.last_of_step(id).tolist()


def test_a_torn_history_is_read_without_its_torn_lines(tmp_path: Path) -> None:
    """The torn lines are reported, and all others are read."""
    path = write_run(tmp_path / "run")
    cut = path / "members/002/history/00000000.jsonl"
    cut.write_bytes(cut.read_bytes()[:-40])
    flipped = path / "members/005/history/00000000.jsonl"
    lines = flipped.read_bytes().splitlines(keepends=True)
    lines[7] = lines[7].replace(b'"step":4', b'"step":5')
    flipped.write_bytes(b"".join(lines))

    [run] = read_runs([path])

    assert len(run.problems) == 2
    assert len(run.columns.step) == 8 * 41 - 2
    assert 7 not in run.columns.n[run.columns.rows(5)]
    assert "without what is unreadable (2 records or files)" in run.state
    assert "not done" in run.state  # the torn one was the last of its member


def test_a_lost_file_of_the_history_is_said(tmp_path: Path) -> None:
    """It is reported although no file that is left is damaged."""
    path = write_run(tmp_path / "run", members=2, steps=200)
    (path / "members/001/history/00000000.jsonl").unlink()

    [run] = read_runs([path])

    assert "256 records of member 1 are not there" in run.problems[0]


def test_members_that_never_reported_are_absent(tmp_path: Path) -> None:
    """They have no rows and no last record, and are reported as missing."""
    [run] = read_runs([write_run(tmp_path / "run", until={3: -1, 4: 7})])

    assert 3 not in run.last
    assert len(run.columns.rows(3)) == 0
    assert run.columns.members == 8
    assert not run.is_done
    assert run.state.startswith("not done: 127 of 160 steps; without 1 of 8 members, which ")
    assert (run.columns.row_grid(20)[4, 8:] == -1).all()


def test_what_is_inherited_decides_where_a_lineage_goes(run: RunData) -> None:
    """If a copy takes no weights, a lineage never leaves its member."""
    found = replace(run.columns, weights=False)

    assert (found.founders() == found.member).all()


def test_the_best_is_the_best_of_all_ends(run: RunData) -> None:
    """A member that has diverged is not among them."""
    ends = {id: record.member.fitness for id, record in run.last.items()}

    assert run.best().member.fitness == max(ends.values())


def test_a_forged_circle_is_refused() -> None:
    """It would otherwise be walked through for ever."""
    start = Member(id=0, hypers={})
    one = replace(start, n=1, step=1, cause="exploit", parent=(1, 1))
    other = replace(one, id=1, parent=(0, 1))
    histories = [[Record(member=replace(start, id=m.id)), Record(member=m)] for m in (one, other)]

    with pytest.raises(ValueError, match="descends from its own later self"):
        columns(histories)


def test_a_lean_record_lacks_only_what_was_seen() -> None:
    """This holds even if a report or a hyperparameter has that name."""
    me = Member(id=1, n=2, step=3, score=1.5, hypers={"seen": 2.0}, seen={0: 1, 7: None})
    pairs = cast(list[float], [[1.0, 2.0]])
    record = Record(member=me, report={"seen": pairs, "text": ',"seen":[[3'})
    for full in (record, replace(record, member=replace(me, seen=None))):
        lean = decode(encode(full), lean=True)
        assert lean.member == replace(full.member, seen={} if full.member.seen else None)
        assert lean.report == full.report


def test_no_records_are_no_rows() -> None:
    """They are not an error."""
    found = columns([[], []])

    assert (found.members, len(found.step)) == (2, 0)


def test_a_run_still_running_is_read_as_far_as_it_is(tmp_path: Path) -> None:
    """Real workers wrote it and were stopped in the middle."""
    run = open_run(tmp_path / "run", "tests.trainers:walk")
    work(run, durable=False, turns=20)

    [found] = read_runs([tmp_path / "run"])

    assert "not done" in found.state
    assert 0 < len(found.columns.step) < 5 * 13
    assert isinstance(found.columns, Columns)
    assert math.isfinite(found.best().member.score)
    assert np.isfinite(found.columns.time).all()


def _without(histories: list[list[Record]], id: int, n: int) -> Columns:
    """Return the records of a run of which one is lost."""
    return columns([r for r in h if (r.member.id, r.member.n) != (id, n)] for h in histories)


def _copying() -> list[list[Record]]:
    """Three members of two steps; member 1 copies member 0 after the first one, in a record."""
    starts = [Member(id=id, hypers={}) for id in range(3)]
    ones = [replace(me.trained((float(me.id),)), n=1) for me in starts]
    copy = replace(ones[1].copied(ones[0], {}).rescored((5.0,)), n=2)
    twos = [replace(me.trained((9.0,)), n=me.n + 1) for me in (ones[0], copy, ones[2])]
    lines = [
        [starts[0], ones[0], twos[0]],
        [starts[1], ones[1], copy, twos[1]],
        [starts[2], ones[2], twos[2]],
    ]
    return [[Record(member=me) for me in line] for line in lines]


def test_an_ancestry_ends_at_a_copy_of_a_lost_record() -> None:
    """The origin of these weights is unknown, so they have no founder; the donor is known."""
    found = _without(_copying(), 0, 1)

    copy, last = found.rows(1)[2:]
    assert found.origin_lost.tolist() == [row == copy for row in range(len(found.n))]
    assert (found.donor[copy], found.parent[copy], found.before()[copy]) == (0, -1, -1)
    assert found.founders()[[copy, last]].tolist() == [-1, -1]
    assert found.ancestry(int(last)).tolist() == [copy, last]
    assert found.age(found.ancestry(int(last))).tolist() == [1, 2]
    assert found.copies().tolist() == [copy]
    assert dominance(found, 2).founders.tolist() == [3, 2, 2]


def test_an_ancestry_ends_where_a_copy_is_lost() -> None:
    """The member goes on with other weights; a lost step of its own ends nothing."""
    found = _without(_copying(), 1, 2)

    after = int(found.rows(1)[-1])
    assert np.flatnonzero(found.origin_lost).tolist() == [after]
    assert found.founders()[after] == -1
    own = _without(_copying(), 2, 1)
    assert not own.origin_lost.any()
    assert own.founders()[own.rows(2)].tolist() == [2, 2]


def test_a_copy_in_the_record_of_its_step_came_with_what_it_dropped() -> None:
    """Asynchronous members publish so; the score of the record is that of the copied weights."""
    found = _without(_copying(), 1, 1)

    assert found.score_grid(2).tolist() == [[0.0, 9.0], [1.0, 9.0], [2.0, 9.0]]


def test_a_fresh_start_ends_an_ancestry_and_an_older_record_may_be_a_parent() -> None:
    """Weights of a restart descend from nothing; a copy of one's own past is a copy."""
    anew = replace(RUNS["restart"], mode="lockstep")
    back = replace(RUNS["older of its own"], mode="lockstep")

    one, other = (columns(core.run(pbt).histories) for pbt in (anew, back))

    (fresh,) = np.where(one.cause == CAUSES.index("restart"))
    assert len(fresh) > 3
    assert (one.before()[fresh] == -1).all()
    assert not one.origin_lost.any()
    assert not one.copied[fresh].any()
    assert all(one.ancestry(row)[0] == row for row in fresh)
    assert (one.founders()[fresh] == one.member[fresh]).all()
    copies = other.copies()
    assert len(copies) > 3
    assert (other.donor[copies] == other.member[copies]).all()
    way = other.ancestry(int(other.last()[other.member[copies[0]]]))
    steps, copied = other.step[way].tolist(), other.copied[way].tolist()
    trained = sum(steps[i] > steps[i - 1] and not copied[i] for i in range(1, len(way)))
    assert other.age(way)[-1] == trained < steps[-1]


def test_a_schedule_begins_where_its_weights_began(tmp_path: Path) -> None:
    """At the last restart of the winner, with as many steps as the weights were trained for."""
    result = core.run(replace(RUNS["restart"], mode="lockstep"), tmp_path / "run", durable=False)
    begun = open_run(tmp_path / "run", result.pbt)

    for member in range(result.pbt.members):
        history = [record.member for record in result.histories[member]]
        if any(me.parent for me in history):
            continue
        starts = [me for me in history if me.cause in ("init", "restart")]
        schedule = schedule_of(begun, member)
        assert schedule.steps == result.pbt.steps - starts[-1].step
