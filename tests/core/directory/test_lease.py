"""Leases: one holder at a time, a dead one loses, a paused one cannot come back."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core.directory.files import Files, LeaseLost
from core.directory.heartbeat import Heartbeat
from core.directory.lease import Held, Lease, lay_out, read_lease
from core.status.progress import read_warnings


def _claim(worker: Heartbeat) -> Lease | None:
    return worker.claim(0, worker.root, _look(worker.root))


def _look(root: Path) -> Held:
    """Look at the lease of a member whose folder is `root`; lay it out first."""
    lay_out(root, Files(durable=False))
    held = read_lease(root)
    assert held is not None
    return held


def _elsewhere(worker: Heartbeat) -> None:
    """Let a worker look as if it were on another machine, by a heartbeat that will not change."""
    path = worker.root / "workers" / f"{worker.name}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"machine": "another"}))


def test_a_member_has_one_holder_at_a_time(tmp_path: Path) -> None:
    """Until the holder lets it go."""
    with Heartbeat(tmp_path) as one, Heartbeat(tmp_path) as two:
        lease = _claim(one)
        assert lease is not None
        assert _claim(two) is None

        lease.release()
        second = _claim(two)

        assert second is not None
        assert second.epoch > lease.epoch
        assert second.orderly
        assert not lease.held()
        assert len(os.listdir(tmp_path / "lease")) == 1


def test_of_two_that_claim_at_once_one_wins(tmp_path: Path) -> None:
    """Both have seen the member free."""
    with Heartbeat(tmp_path) as one, Heartbeat(tmp_path) as two:
        seen = _look(tmp_path)

        claims = [worker.claim(0, tmp_path, seen) for worker in (one, two)]

    assert [lease is None for lease in claims] == [False, True]


def test_an_old_look_claims_nothing(tmp_path: Path) -> None:
    """What was free then has been taken, let go and taken again."""
    with Heartbeat(tmp_path) as one, Heartbeat(tmp_path) as two:
        old = _look(tmp_path)
        for _ in range(2):
            lease = _claim(one)
            assert lease is not None
            lease.release()
        held = _claim(one)

        assert two.claim(0, tmp_path, old) is None
        assert held is not None
        assert held.held()


def test_leases_are_laid_out_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two that begin at once, the second leaves what the first has made."""
    with Heartbeat(tmp_path) as worker:
        _claim(worker)
        monkeypatch.setattr(Path, "exists", _not_the_first_time(Path.exists))
        lay_out(tmp_path, Files(durable=False))

        assert _look(tmp_path).holder == worker.name
    assert sorted(os.listdir(tmp_path)) == ["lease", "workers"]


def _not_the_first_time(exists: Callable[[Path], bool]) -> Callable[[Path], bool]:
    asked = []

    def answer(path: Path) -> bool:
        asked.append(path)
        return len(asked) > 1 and exists(path)

    return answer


def test_a_dead_holder_on_this_machine_loses_at_once(tmp_path: Path) -> None:
    """Its process is gone, although its heartbeat file is still there."""
    code = (
        "import sys, os; from pathlib import Path; from core.directory.lease import *\n"
        "from core.directory.heartbeat import Heartbeat\n"
        "root = Path(sys.argv[1]); lay_out(root, Files()); worker = Heartbeat(root).__enter__()\n"
        "worker.claim(0, root, read_lease(root)); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)

    with Heartbeat(tmp_path) as heir:
        lease = _claim(heir)

    assert lease is not None
    assert lease.epoch == 2
    assert not lease.orderly


def test_a_silent_holder_elsewhere_loses_after_the_observers_own_patience(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody's clock is compared with anybody's: only changes are seen, and waited for."""
    now = 1000.0
    with Heartbeat(tmp_path, patience=60) as one, Heartbeat(tmp_path, patience=60) as two:
        monkeypatch.setattr("core.directory.heartbeat.time.monotonic", lambda: now)
        _claim(one)
        _elsewhere(one)
        os.utime(tmp_path / "workers" / f"{one.name}.json", (0, 0))  # a clock of 1970

        assert _claim(two) is None
        now += 50
        assert _claim(two) is None
        one._beat(7)
        _elsewhere(one)
        now += 50
        assert _claim(two) is None  # it has shown a sign of life within the patience
        now += 61
        assert _claim(two) is not None


def test_a_holder_that_was_taken_over_is_fenced(tmp_path: Path) -> None:
    """Its every write asks first, and it cannot let go what is not its own."""
    with Heartbeat(tmp_path, patience=60) as one, Heartbeat(tmp_path, patience=0.0) as two:
        lease = _claim(one)
        assert lease is not None
        lease.fence()
        _elsewhere(one)
        assert _claim(two) is None  # the first look
        taken = _claim(two)

        assert taken is not None
        with pytest.raises(LeaseLost, match="taken over"):
            lease.fence()
        lease.release()
        assert taken.held()


def test_a_holder_without_a_heartbeat_file_is_waited_for_and_then_loses(tmp_path: Path) -> None:
    """It is like any silent holder."""
    (tmp_path / "lease").mkdir()
    (tmp_path / "lease" / "00000004.2.nobody").touch()
    (tmp_path / "lease" / "something else").touch()

    with Heartbeat(tmp_path, patience=0.0) as worker:
        assert _claim(worker) is None
        lease = _claim(worker)

    assert lease is not None
    assert lease.epoch == 5


def test_a_rename_that_says_it_failed_but_did_not_is_believed_to_have_succeeded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a network file system may say when its answer got lost."""
    seen = _look(tmp_path)
    rename = os.rename

    def lies(source: str, goal: str) -> None:
        rename(source, goal)
        raise FileNotFoundError(source)

    with Heartbeat(tmp_path) as worker:
        monkeypatch.setattr(os, "rename", lies)
        lease = worker.claim(0, tmp_path, seen)
        monkeypatch.undo()

    assert lease is not None
    assert lease.held()


def test_a_worker_leaves_its_log_alone(tmp_path: Path) -> None:
    """No heartbeat; of what it worked with, a line, and no warning where there was none."""
    with Heartbeat(tmp_path) as worker:
        assert (tmp_path / "workers" / f"{worker.name}.json").exists()

    assert os.listdir(tmp_path / "workers") == [f"{worker.name}.jsonl"]
    assert read_warnings(tmp_path, 2**16) == []


def test_the_traceback_behind_a_warning_is_logged_with_it(tmp_path: Path) -> None:
    """For `status`, which shows it whole."""
    with Heartbeat(tmp_path) as worker:
        worker.warn("it raised", "Traceback: a line of the user's")

    [log] = (tmp_path / "workers").glob("*.jsonl")
    assert (
        json.loads(log.read_text().splitlines()[-1])["trace"] == "Traceback: a line of the user's"
    )
