"""Leases: one holder at a time, a dead one loses, a paused one cannot come back."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.lease import Lease, LeaseLost, Worker, list_leases


def _claim(worker: Worker, id: int = 0) -> Lease | None:
    return worker.claim(id, list_leases(worker.root))


def _elsewhere(root: Path, lease: Lease) -> None:
    """Let a lease be held from another machine."""
    path = root / "leases" / f"{lease.id:03d}-{lease.epoch:08d}"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"host": "another machine"}))


def test_a_member_has_one_holder_at_a_time(tmp_path: Path) -> None:
    """Until the holder lets it go."""
    with Worker(tmp_path) as one, Worker(tmp_path) as two:
        lease = _claim(one)
        assert lease is not None
        assert _claim(two) is None

        lease.release()
        second = _claim(two)

        assert second is not None
        assert second.epoch > lease.epoch
        assert not lease.held()
        assert len(os.listdir(tmp_path / "leases")) == 1


def test_of_two_that_claim_at_once_one_wins(tmp_path: Path) -> None:
    """Both have seen the member free."""
    with Worker(tmp_path) as one, Worker(tmp_path) as two:
        seen = list_leases(tmp_path)

        assert [one.claim(0, seen) is None, two.claim(0, seen) is None] == [False, True]


def test_an_old_list_claims_nothing(tmp_path: Path) -> None:
    """The number that was free then has been used and removed since."""
    with Worker(tmp_path) as one, Worker(tmp_path) as two:
        lease = _claim(one)
        assert lease is not None
        lease.release()
        old = list_leases(tmp_path)
        second = _claim(one)
        assert second is not None
        second.release()
        third = _claim(one)

        assert two.claim(0, old) is None
        assert third is not None
        assert third.held()


def test_a_dead_holder_on_this_machine_loses_at_once(tmp_path: Path) -> None:
    """Its process is gone, or its number belongs to another process by now."""
    code = (
        "import sys; from pathlib import Path; from core.lease import *; import os\n"
        "worker = Worker(Path(sys.argv[1])).__enter__(); worker.claim(0, {}); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)

    with Worker(tmp_path) as heir:
        lease = _claim(heir)

    assert lease is not None
    assert lease.epoch == 2


def test_a_silent_holder_elsewhere_loses_after_the_observers_own_patience(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody's clock is compared with anybody's: only changes are seen, and waited for."""
    now = 1000.0
    with Worker(tmp_path, patience=60) as one, Worker(tmp_path, patience=60) as two:
        monkeypatch.setattr("core.lease.time.monotonic", lambda: now)
        lease = _claim(one)
        assert lease is not None
        _elsewhere(tmp_path, lease)
        os.utime(tmp_path / "workers" / f"{one.name}.json", (0, 0))  # a clock of 1970

        assert _claim(two) is None
        now += 50
        assert _claim(two) is None
        one._beat(7)
        now += 50
        assert _claim(two) is None  # it has shown a sign of life within the patience
        now += 61
        assert _claim(two) is not None


def test_a_holder_that_was_taken_over_is_fenced(tmp_path: Path) -> None:
    """Its every write asks first."""
    with Worker(tmp_path, patience=0.0) as one, Worker(tmp_path, patience=0.0) as two:
        lease = _claim(one)
        assert lease is not None
        lease.fence()
        _elsewhere(tmp_path, lease)
        _claim(two)
        taken = _claim(two)

        assert taken is not None
        with pytest.raises(LeaseLost, match="taken over"):
            lease.fence()
        lease.release()  # of no effect
        assert taken.held()


def test_an_unreadable_lease_is_waited_for_and_then_taken(tmp_path: Path) -> None:
    """It has no heartbeat, so it is like any silent holder."""
    (tmp_path / "leases").mkdir()
    (tmp_path / "leases/000-00000004").write_bytes(b"\x00garbage")

    with Worker(tmp_path, patience=-1.0) as worker:
        assert _claim(worker) is None
        lease = _claim(worker)

    assert lease is not None
    assert lease.epoch == 5


def test_a_worker_leaves_nothing_behind(tmp_path: Path) -> None:
    """No heartbeat, and no warning where there was nothing to warn of."""
    with Worker(tmp_path) as worker:
        assert (tmp_path / "workers" / f"{worker.name}.json").exists()

    assert os.listdir(tmp_path / "workers") == []
