"""A run from outside: who works on it, what hangs, and what to type when nobody works."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.directory.heartbeat import Heartbeat
from core.directory.lease import Held, read_lease
from core.directory.members import Members
from core.directory.record import Record
from core.directory.run import Run, open_run
from core.member import Member
from core.status.progress import FIRST, Row, View
from core.status.remarks import alarms, no_copies, standing
from core.study.study import open_study
from core.terminal.run_table import RunView
from core.terminal.study_table import StudyView
from core.workers.worker import work
from tests.core.terminal.test_fitted_table import drawn

PRESET = "tests.trainers:walk"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run of five members that was begun, with some steps published, and left."""
    begun = open_run(tmp_path / "run", PRESET, {"mode": "asynchronous"})
    work(begun, durable=False, turns=12)
    return begun


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process of this machine that does nothing."""
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
    yield sleeper
    sleeper.kill()
    sleeper.wait()


def _hold(root: Path, id: int, pid: int | None, **more: object) -> Path:
    """Let a worker here, or on another machine, hold a member; return its heartbeat."""
    with Heartbeat(root, name=f"worker-{id}") as me:
        folder = root / "members" / f"{id:03d}"
        held = read_lease(folder)
        assert held is not None
        me.claim(id, folder, held)
        beat = json.loads((root / "workers" / f"{me.name}.json").read_text())
    if pid is None:
        beat |= {"machine": "another", "host": "far"}
    else:
        start = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        beat |= {"pid": pid, "started": start}
    path = root / "workers" / f"worker-{id}.json"
    path.write_text(json.dumps(beat | more))
    return path


def _look(view: View) -> dict[int, Row]:
    return {row.record.member.id: row for row in view.rows()}


def test_nobody_trains_what_a_dead_process_holds(
    run: Run, process: subprocess.Popen[bytes]
) -> None:
    """At once on this machine; with the line that goes on, and neither rate nor ETA."""
    _hold(run.root, 1, process.pid)
    view = View(run.root, run.info)
    before = _look(view)[1]
    alive = RunView(view).line()

    process.kill()
    process.wait()
    after = _look(view)[1]
    dead = RunView(view).line()

    assert (before.worker, after.worker) == ("worker-1", "")
    assert "ETA" in alive
    assert "nobody" not in alive
    assert "ETA" not in dead
    assert "turns/s" not in dead
    assert "nobody works on this run; to go on: python -m core run tests.trainers:walk" in dead
    assert "--mode asynchronous" in dead
    assert "nobody" not in RunView(view, inside=True).line()


def test_another_process_of_the_same_number_is_not_the_worker(run: Run) -> None:
    """Numbers are used again: a process is known by its start, too."""
    _hold(run.root, 1, os.getpid(), started="1")

    assert not _look(View(run.root, run.info))[1].worker


def test_a_worker_elsewhere_is_believed_until_its_heartbeat_is_old(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By our own clock for certain; the age of its file is a hint, and said to be one."""
    beat = _hold(run.root, 1, None)
    view = View(run.root, run.info)
    fresh = _look(view)[1]
    os.utime(beat, (time.time() - 3600,) * 2)
    hinted = View(run.root, run.info)
    old = _look(hinted)[1]
    sentence = "\n".join(standing(hinted, list(hinted.rows())) + alarms(hinted, [old]))
    os.utime(beat)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 61)
    watched = _look(view)[1]

    assert (fresh.worker, old.worker, watched.worker) == ("worker-1", "", "")
    assert "nobody seems to work on this run: the newest heartbeat is 1:00:00 old" in sentence
    assert "as far as clocks agree" in sentence


def test_a_worker_that_was_told_more_patience_is_given_more(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its heart beats more seldom."""
    _hold(run.root, 1, None, patience=600)
    view = View(run.root, run.info)
    _look(view)
    now = time.monotonic()

    monkeypatch.setattr(time, "monotonic", lambda: now + 300)

    assert _look(view)[1].worker == "worker-1"


def test_a_worker_that_is_alive_without_a_heartbeat_is_named(
    run: Run, process: subprocess.Popen[bytes]
) -> None:
    """Its trainer may keep its heart from beating; one that is suspended can be told to go on."""
    beat = _hold(run.root, 1, process.pid)
    os.utime(beat, (time.time() - 200,) * 2)
    view = View(run.root, run.info)
    [stalled] = alarms(view, view.rows())
    process.send_signal(19)
    while "T" not in Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]:
        time.sleep(0.01)
    rows = view.rows()
    [suspended] = alarms(view, rows)

    assert "worker-1 is alive" in stalled
    assert "heartbeat stopped 0:03:20 ago" in stalled
    assert f"`kill -CONT {process.pid}` lets it go on" in suspended
    assert "suspended" in drawn(RunView(view).picture(rows, None), 80)


def test_a_turn_that_takes_far_too_long_is_named(
    run: Run, process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With how long it has lasted, and no rate is worked out from it."""
    _hold(run.root, 1, process.pid)
    view = View(run.root, run.info)
    view.rows()
    now = time.time()

    monkeypatch.setattr(time, "time", lambda: now + 50)
    text = RunView(view).line()

    assert "member 1 has been in one turn for 0:00:5" in text
    assert "times as long as the longest one before" in text
    assert f"process {process.pid}" in text
    assert "ETA" not in text
    assert "training 0:00:5" in drawn(RunView(view).draw(None), 55)


def test_a_first_turn_that_never_ends_is_named(
    tmp_path: Path, process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is nothing to compare it with but a minute."""
    run = open_run(tmp_path / "run", PRESET)
    population = Members(run.root)
    population.enter(0)
    population.publish(Record(member=Member(id=0, hypers={"rate": 0.1}), time=time.time()))
    _hold(run.root, 0, process.pid)
    view = View(run.root, run.info)
    soon = alarms(view, view.rows())
    now = time.time()

    monkeypatch.setattr(time, "time", lambda: now + FIRST + 5)
    [late] = alarms(view, view.rows())

    assert soon == []
    assert "has been in one turn for 0:01:0" in late
    assert "no turn has ended before" in late


def test_a_turn_elsewhere_is_timed_by_its_heartbeat_and_by_our_clock(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever is longer; a heartbeat from before the newest record tells of an older turn."""
    beat = _hold(run.root, 1, None, member=1, turn_seconds=30.0)
    view = View(run.root, run.info)
    told = _look(view)[1].turn_seconds
    os.utime(beat, (1, 1))
    beat.write_text(json.dumps(json.loads(beat.read_text()) | {"turn_seconds": 31.0}))
    os.utime(beat, (time.time() - 100,) * 2)
    old = _look(view)[1].turn_seconds
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 40)
    watched = _look(view)[1].turn_seconds

    assert told == 30.0
    assert old is not None
    assert old < 5
    assert watched is not None
    assert 39 < watched < 50


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b'{"pid": "x"}', b'{"pid": 1e400}', b"\xff", b"{}"]
)
def test_an_odd_heartbeat_ends_nothing(run: Run, content: bytes) -> None:
    """It may be an enemy's, or cut short."""
    _hold(run.root, 1, None).write_bytes(content)

    assert "steps" in RunView(View(run.root, run.info)).line()


def test_a_lease_without_any_heartbeat_is_nobodys(run: Run) -> None:
    """Its holder left, or its run was copied without its workers."""
    _hold(run.root, 1, None).unlink()
    held = read_lease(run.root / "members/001")

    assert isinstance(held, Held)
    assert held.holder == "worker-1"
    assert "nobody works on this run" in RunView(View(run.root, run.info)).line()


def test_a_run_that_is_done_needs_nobody(tmp_path: Path) -> None:
    """Nothing is to be typed."""
    run = open_run(tmp_path / "run", PRESET)
    work(run, durable=False)

    assert "nobody works" not in drawn(RunView(View(run.root, run.info)).draw(None), 200)


def test_a_run_in_which_nobody_copies_says_so(tmp_path: Path) -> None:
    """From the half on; and whether anybody was ever ready. A random search is one by intent."""
    never = open_run(tmp_path / "never", "tests.trainers:never_ready")
    keeps = open_run(tmp_path / "keeps", "tests.trainers:never_copies")
    search = open_run(tmp_path / "search", "tests.trainers:walk_random_search")
    pbt = open_run(tmp_path / "pbt", PRESET)
    texts = {}
    for run in (never, keeps, search, pbt):
        early = drawn(RunView(View(run.root, run.info)).draw(None), 200)
        work(run, durable=False)
        assert "random search (" not in early
        texts[run.root.name] = drawn(RunView(View(run.root, run.info)).draw(None), 200)

    sentence = "nobody has copied anybody: so far this is a random search"
    assert f"{sentence} (nobody was ever ready)" in texts["never"]
    assert f"{sentence} (5 of 5 were ready" in texts["keeps"]
    assert sentence not in texts["search"] + texts["pbt"]


def test_no_copies_counts_those_that_were_ready(run: Run) -> None:
    """By their newest records."""
    view = View(run.root, run.info)
    rows = [
        replace(row, record=replace(row.record, member=replace(row.record.member, last_ready=0)))
        for row in view.rows()
    ]

    assert no_copies(view, rows).endswith("(nobody was ever ready)")


def test_a_run_all_of_whose_members_failed_is_not_offered_to_go_on(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is nothing to go on from."""
    view = View(run.root, run.info)
    failed = [replace(row, record=replace(row.record, failed=True)) for row in view.rows()]
    alive = [
        replace(
            failed[0],
            record=replace(failed[0].record, failed=False),
        ),
        *failed[1:],
    ]

    assert "the run cannot go on" in standing(view, failed)[0]
    assert "to go on:" in standing(view, alive)[0]


def test_a_study_on_which_nobody_works_says_so(tmp_path: Path) -> None:
    """With the study's line; and no more once its workers are there."""
    study = open_study(tmp_path / "study", "tests.trainers:small_study", [1])
    run = study.begin("baseline", 1)
    assert run is not None
    work(run, durable=False, turns=5)
    left = StudyView(study).line()
    _hold(run.root, 1, None)
    held = StudyView(study).line()

    assert "nobody works on this study; to go on: python -m core study tests.trainers" in left
    assert "nobody" not in held


def test_the_newest_traceback_is_shown_by_its_last_line(run: Run) -> None:
    """The table has no room for the whole of it."""
    said = {
        "time": 1.0,
        "worker": "w",
        "warning": "the trainer raised",
        "trace": "Traceback\n  x\nKeyError: 'data'",
    }
    (run.root / "workers/w.jsonl").write_text(
        json.dumps(said) + "\n" + json.dumps({"time": 2}) + "\n[]\n"
    )
    view = View(run.root, run.info)

    text = drawn(RunView(view).draw(None), 200)

    assert "warning: the trainer raised (KeyError: 'data')" in text
    assert "Traceback" not in text
    assert [said.trace for said in view.complaints()] == ["Traceback\n  x\nKeyError: 'data'"]
