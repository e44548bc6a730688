"""Workers: any number of them, killed anywhere, make the same run."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from core.audits.verify import verify
from core.directory.files import Files
from core.directory.lease import FREE, Held, Lease, read_lease
from core.directory.members import Members
from core.directory.record import Record
from core.directory.run import Run, RunError, open_run
from core.status.progress import read_warnings
from core.strategies.explore import keep
from core.task import TaskError
from core.tracebacks import said
from core.workers.blame import AllFailed, Broken, Doubtful
from core.workers.pool import Pool
from core.workers.turn import Turn
from core.workers.worker import work
from tests import trainers


def _run(root: Path, preset: str, **overrides: object) -> Run:
    return open_run(root, f"tests.trainers:{preset}", overrides)


def _done(root: Path, preset: str, **overrides: object) -> Run:
    run = _run(root, preset, **overrides)
    assert work(run, durable=False)
    return run


def _histories(run: Run) -> list[list[Record]]:
    population = Members(run.root)
    return [population.history(id) for id in range(run.pbt.members)]


def _pool(run: Run, workers: int) -> list[str]:
    """Let processes finish the run; return the complaints of those that did not end well."""
    with Pool(run.root, workers, options=["--no-fsync", "--patience", "1"]) as pool:
        pool.wait(lambda: None, 0.05)
        return pool.complaints()


# -------------------------------------------------------------------------- equivalences


def test_one_two_and_five_workers_make_the_same_run(tmp_path: Path) -> None:
    """In lockstep the history is bit-identical, whoever did what."""
    digests = {}
    for workers in (1, 2, 5):
        run = _run(tmp_path / str(workers), "walk")
        assert _pool(run, workers) == []
        verdict = verify(run)
        assert verdict.problems == []
        digests[workers] = verdict.digest

    assert len(set(digests.values())) == 1
    assert verdict.copies > 5


def test_a_run_that_was_killed_and_started_again_is_the_same_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL in the middle of a step of one of two workers; then both are started anew."""
    monkeypatch.setenv("PBT_TEST_MARKER", str(tmp_path / "never"))
    (tmp_path / "never").touch()
    undisturbed = _done(tmp_path / "undisturbed", "kills_its_worker")
    monkeypatch.setenv("PBT_TEST_MARKER", str(tmp_path / "killed"))
    run = _run(tmp_path / "run", "kills_its_worker")

    complaints = _pool(run, 1)
    assert len(complaints) == 1
    assert "by signal 9" in complaints[0]
    assert _pool(run, 2) == []

    assert verify(run).digest == verify(undisturbed).digest


def test_workers_that_are_all_killed_at_once_lose_nothing_published(tmp_path: Path) -> None:
    """And the run that goes on is the run that was not disturbed."""
    run = _run(tmp_path / "run", "slow_walk")
    with Pool(run.root, 3, options=["--no-fsync"]) as pool:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not _published(run, step=4):
            time.sleep(0.01)
        pool.signal(signal.SIGKILL)
    before = _histories(run)

    assert _pool(run, 2) == []

    after = _histories(run)
    assert all(new[: len(old)] == old for old, new in zip(before, after, strict=True))
    assert verify(run).digest == verify(_done(tmp_path / "walk", "slow_walk")).digest


def _published(run: Run, step: int) -> bool:
    newest = Members(run.root).newest(0)
    return newest is not None and newest.member.step >= step


def test_stopping_after_every_turn_changes_nothing(tmp_path: Path) -> None:
    """Save, load, continue: the seams between turns do not show."""
    run = _run(tmp_path / "run", "walk")
    for _ in range(400):
        if work(run, durable=False, turns=1):
            break

    assert verify(run).digest == verify(_done(tmp_path / "whole", "walk")).digest


def test_asynchronous_workers_finish_and_can_be_verified(tmp_path: Path) -> None:
    """Each decision follows from what was seen, although nobody can say what that will be."""
    run = _run(tmp_path / "run", "walk", mode="asynchronous", members=9)

    assert _pool(run, 3) == []

    verdict = verify(run)
    assert verdict.problems == []
    assert verdict.decisions == 9 * 6


def test_pbt_and_its_baseline_start_in_pairs(tmp_path: Path) -> None:
    """Same first hypers, same first score; the baseline copies nobody."""
    pbt = _histories(_done(tmp_path / "pbt", "walk"))
    baseline = _histories(_done(tmp_path / "baseline", "walk_random_search"))

    for ours, theirs in zip(pbt, baseline, strict=True):
        assert ours[0].member == theirs[0].member
        assert ours[1].member.score == theirs[1].member.score
        assert all(record.member.parent is None for record in theirs)
        assert theirs[-1].member.step == ours[-1].member.step == 12


def test_a_copy_sees_other_noise_than_its_donor(tmp_path: Path) -> None:
    """Without a stream of its own, a copy that keeps the hypers would be the donor once more."""
    pbt = replace(trainers.walk(), explore=keep, steps=11)  # nobody copies at the last step
    run = Run(tmp_path, "", pbt, {})
    work(run, durable=False)
    ends = [history[-1].member for history in _histories(run)]

    copies = [me for history in _histories(run) for me in history if me.member.parent]
    assert copies
    assert len({me.score for me in ends}) == len(ends)


# ------------------------------------------------------------------------- conformance


def test_donors_weights_come_with_the_donors_hypers_of_the_same_step(tmp_path: Path) -> None:
    """Caught in Katib, how-to-autorl and ray#28360: here both come from one record."""
    run = _done(tmp_path / "run", "walk")
    histories = _histories(run)

    copies = [r for history in histories for r in history if r.member.parent is not None]

    assert copies
    for record in copies:
        assert record.member.parent is not None
        id, n = record.member.parent
        donor = histories[id][n]
        assert record.weights is not None
        assert donor.weights is not None
        assert record.weights.sha256 == donor.weights.sha256
        rate = float(donor.member.hypers["rate"])
        assert float(record.member.hypers["rate"]) in (rate * 1.2, rate * (1 / 1.2))
        assert donor.member.step == record.member.step


def test_population_size_is_honoured(tmp_path: Path) -> None:
    """Caught in Syne Tune, where it is accepted and ignored."""
    run = _done(tmp_path / "run", "walk", members=7)

    assert sorted(os.listdir(tmp_path / "run/members")) == [f"{id:03d}" for id in range(7)]
    assert all(len(history) > 12 for history in _histories(run))


def test_disk_use_is_bounded(tmp_path: Path) -> None:
    """A member keeps the weights of its last two steps, at most four files in lockstep."""
    run = _run(tmp_path / "run", "walk", steps=40)
    most = 0
    while not work(run, durable=False, turns=1):
        counts = [len(list(p.iterdir())) for p in (tmp_path / "run/members").glob("*/weights")]
        most = max([most, *counts])

    assert most <= 4


def test_no_temporary_file_is_left(tmp_path: Path) -> None:
    """Neither by writes that took effect nor by those that did not."""
    run = _done(tmp_path / "run", "walk")

    assert list(run.root.rglob("*.tmp")) == []


# ------------------------------------------------------------------------------ failures


def test_a_trainer_that_raises_fails_its_member_and_the_run_goes_on(tmp_path: Path) -> None:
    """Its traceback is in the history, and the member is rescued from a healthy one."""
    run = _done(tmp_path / "run", "raises")
    histories = _histories(run)

    errors = [r for history in histories for r in history if r.error]
    assert errors
    assert all(
        "the rope broke" in (r.error or "") and "Traceback" in (r.error or "") for r in errors
    )
    rescued = [r.member for history in histories for r in history if r.member.cause == "rescue"]
    assert rescued
    assert {r.member.id for r in errors} >= {me.id for me in rescued}
    assert all(me.score == me.score for me in rescued)
    assert verify(run).problems == []


def test_a_baseline_is_never_rescued(tmp_path: Path) -> None:
    """A failed member of random search stays failed: a rescue would be a copy."""
    run = _done(tmp_path / "run", "raises_random_search")
    histories = _histories(run)

    failed = [history for history in histories if history[-1].weights is None]
    assert failed
    assert all(history[-1].member.step == 12 for history in histories)
    assert all(r.member.parent is None for history in histories for r in history)


def test_a_diverged_member_is_rescued_and_never_copied(tmp_path: Path) -> None:
    """NaN and infinite scores alike."""
    run = _done(tmp_path / "run", "diverges")
    histories = _histories(run)

    members = [r.member for history in histories for r in history]
    assert any(not me.healthy and me.step for me in members)
    for me in members:
        if me.parent is not None:
            assert histories[me.parent[0]][me.parent[1]].member.healthy
    assert verify(run).problems == []


def test_a_run_whose_every_member_fails_stops_and_says_why(tmp_path: Path) -> None:
    """It does not burn its budget, and starting it again says the same."""
    run = _run(tmp_path / "run", "always_raises")

    for _ in range(2):
        with pytest.raises(AllFailed, match=r"(?s)every one of the 5 members.*no rope for"):
            work(run, durable=False)


def test_a_trainer_that_returns_no_number_stops_the_run_before_anything_is_lost(
    tmp_path: Path,
) -> None:
    """By the name of the method, with what it returned; mended, the same run goes on."""
    run = _run(tmp_path / "run", "returns_nothing")

    with pytest.raises(TaskError, match=r"eval\(\) of the trainer returned None"):
        work(run, durable=False)

    assert all(record.member.step == 0 for record in _histories(run)[0])


@pytest.mark.parametrize(
    ("preset", "words"),
    [
        ("unknown_name", "asked for 'rate', which the space does not have: did you mean 'rata'"),
        ("unread_name", "the space has 'momentum', which a call of step"),
    ],
)
def test_a_space_that_does_not_fit_the_trainer_stops_the_run_before_anything_is_trained(
    tmp_path: Path, preset: str, words: str
) -> None:
    """A hyperparameter that is not in force must not look as if it were."""
    run = _run(tmp_path / "run", preset)

    with pytest.raises(TaskError, match=words):
        work(run, durable=False)

    assert all(r.member.step == 0 for history in _histories(run) for r in history)


def test_a_sample_of_scores_reaches_the_history(tmp_path: Path) -> None:
    """So that the share of copies that were noise can be computed afterwards."""
    run = _done(tmp_path / "run", "sample")

    record = _histories(run)[0][-1]
    assert len(record.member.scores) == 10
    assert record.member.score == pytest.approx(sum(record.member.scores) / 10)


def test_reports_are_kept_from_selection_and_written_down(tmp_path: Path) -> None:
    """At every step that the run asks for, and at the last one."""
    run = _done(tmp_path / "run", "walk")

    last = _histories(run)[2][-1]
    assert last.report == {"twice": 2 * last.member.score}


def test_reports_never_cost_what_was_trained(tmp_path: Path) -> None:
    """Numpy's numbers are written; one that is too large or raises is left out, with a warning."""
    run = _done(tmp_path / "run", "reports")
    histories = _histories(run)

    for history in histories:
        by_step = {r.member.step: r for r in history if r.member.waiting or r.member.step == 12}
        assert by_step[2].report["array"] == [0.0, 0.0]
        assert isinstance(by_step[2].report["number"], float)
    assert all(not r.report for history in histories for r in history if r.member.step in (3, 5))
    assert all(r.member.score > -50 for history in histories for r in history[1:])
    warnings = "".join(p.read_text() for p in (run.root / "workers").glob("*.jsonl"))
    assert "no printer" in warnings
    assert "bytes, of 4194304 at most" in warnings
    assert verify(run).problems == []


def test_a_trainer_that_cannot_be_saved_fails_its_member_only(tmp_path: Path) -> None:
    """Its score has no weights, so nobody may take it for healthy."""
    run = _done(tmp_path / "run", "cannot_save")

    failed = [r for history in _histories(run) for r in history if r.error]
    assert failed
    assert all("no ink" in (r.error or "") for r in failed)
    assert all(r.weights is None and not r.member.healthy for r in failed)


@pytest.mark.parametrize("mode", ["asynchronous", "lockstep"])
def test_without_rescues_whoever_failed_copies_nobody(tmp_path: Path, mode: str) -> None:
    """Also in the very turn in which it failed."""
    pbt = replace(trainers.raises(), rescues=0, mode=mode)  # type: ignore[arg-type]
    run = Run(tmp_path, "", pbt, {})
    work(run, durable=False)

    histories = _histories(run)
    failed = {r.member.id for history in histories for r in history if r.error}
    assert failed
    for id in failed:
        [at] = [i for i, record in enumerate(histories[id]) if record.error]
        assert all(record.member.parent is None for record in histories[id][at:])
    assert verify(run).problems == []


def test_members_that_are_ready_at_different_steps_keep_lockstep(tmp_path: Path) -> None:
    """A rule of the user's own, even one that answers differently when it is asked again."""
    digests = set()
    for workers in (1, 3):
        run = _run(tmp_path / str(workers), "fickle")
        assert _pool(run, workers) == []
        verdict = verify(run)
        assert verdict.problems == []
        digests.add(verdict.digest)

    assert len(digests) == 1
    assert verdict.decisions > 0


def test_a_lease_that_a_listing_missed_is_no_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system may leave out names that are renamed while it lists them."""
    calls = 0

    def forgetful(folder: Path) -> Held | None:
        nonlocal calls
        calls += 1
        return read_lease(folder) if calls % 3 else None

    monkeypatch.setattr("core.workers.worker.read_lease", forgetful)

    assert work(_run(tmp_path / "run", "walk"), durable=False)


def test_one_damaged_record_does_not_stop_a_run(tmp_path: Path) -> None:
    """It is warned of, and `verify` says what is missing."""
    run = _run(tmp_path / "run", "walk")
    work(run, durable=False, turns=40)
    recent = tmp_path / "run/members/001/recent"
    path = sorted(recent.iterdir())[-2]
    data = bytearray(path.read_bytes())
    data[50] ^= 4
    path.unlink()
    path.write_bytes(data)

    assert _pool(run, 2) == []

    assert any("checksum" in problem for problem in verify(run).problems)


def _full(path: object, *_: object) -> None:
    raise OSError(28, "No space left on device", str(path))


@pytest.mark.parametrize("operation", ["write", "sync"])
def test_a_full_disk_stops_the_worker_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    """It is no failure of the member; when there is space, the run goes on as if nothing was."""
    run = _run(tmp_path / "run", "walk")
    work(run, durable=True, turns=13)
    with monkeypatch.context() as patch:
        patch.setattr(Files, operation, lambda self, path, *rest: _fail_in_members(path, *rest))
        with pytest.raises(OSError, match="No space left"):
            work(run)

    assert work(run, durable=False)

    assert verify(run).digest == verify(_done(tmp_path / "other", "walk")).digest


def _fail_in_members(path: Path, data: bytes = b"") -> None:
    if "members" in path.parts:
        _full(path)
    if data:
        path.write_bytes(data)


# --------------------------------------------------------------------------------- leases


def test_a_paused_worker_that_comes_back_changes_nothing(tmp_path: Path) -> None:
    """Stopped for longer than its lease and then continued, while another takes its member."""
    run = _run(tmp_path / "run", "slow_walk", members=2, steps=60)
    command = [sys.executable, "-m", "core", "work", str(run.root), "--patience", "0.6"]
    paused = subprocess.Popen([*command, "--no-fsync"], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not _published(run, step=2):
            time.sleep(0.01)
        paused.send_signal(signal.SIGSTOP)
        _pretend_another_machine(run.root)
        other = subprocess.run(
            [*command, "--no-fsync"], capture_output=True, text=True, timeout=60, check=True
        )
        paused.send_signal(signal.SIGCONT)
        assert paused.wait(timeout=30) == 0
    finally:
        paused.kill()

    assert "all members are done" in other.stdout
    assert verify(run).problems == []
    whole = _done(tmp_path / "whole", "slow_walk", members=2, steps=60)
    assert verify(run).digest == verify(whole).digest


def _pretend_another_machine(root: Path) -> None:
    """Let a stopped process look silent rather than stopped: its pid cannot be seen."""
    for path in (root / "workers").glob("*.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"machine": "elsewhere"}))


def test_a_turn_that_hangs_ends_its_worker(tmp_path: Path) -> None:
    """Past the limit that was set, so that the member is free again."""
    run = _run(tmp_path / "run", "slow_walk")
    command = [sys.executable, "-m", "core", "work", str(run.root), "--patience", "0.05"]

    done = subprocess.run([*command, "--turn-limit", "0.001"], check=False, timeout=60)

    assert done.returncode == 75
    warnings = "".join(p.read_text() for p in (run.root / "workers").glob("*.jsonl"))
    assert "giving up" in warnings


def test_an_idle_worker_takes_over_from_one_that_died(tmp_path: Path) -> None:
    """With as many workers as members, the survivors train the dead one's member too."""
    run = _run(tmp_path / "run", "slow_walk", members=2, mode="asynchronous")
    with Pool(run.root, 2, options=["--no-fsync"]) as pool:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not _published(run, step=2):
            time.sleep(0.01)
        pool.processes[0].kill()
        pool.wait(lambda: None, 0.05)

    assert verify(run).problems == []


@pytest.mark.parametrize("number", [errno.ENOTCONN, errno.ETIMEDOUT, errno.ESTALE])
def test_a_server_that_is_gone_for_a_moment_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """The turn is dropped and taken again, and the member is not left held by nobody."""
    run = _run(tmp_path / "run", "walk")
    publish, calls = Members.publish, []

    def flaky(self: Members, *arguments: object) -> None:
        calls.append(arguments)
        if len(calls) == 17:
            raise OSError(number, os.strerror(number))
        publish(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Members, "publish", flaky)
    monkeypatch.setattr("core.workers.worker.time.sleep", lambda seconds: None)

    assert work(run, durable=False)

    assert verify(run).digest == verify(_done(tmp_path / "other", "walk")).digest


# what a worker may meet whose files another one has swept and pruned: on a local file system, on
# GlusterFS (ESTALE of a file that is open), in a trainer, or in a look at what a trainer has left
SWEPT = [
    OSError(errno.ESTALE, os.strerror(errno.ESTALE)),
    FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)),
    OSError(errno.EBADF, os.strerror(errno.EBADF)),
    TaskError("save(path) of the trainer left no file at its path"),
    Broken("the trainer raised again where it had worked before"),
    Doubtful("the trainer raised"),
]


def _fails(
    monkeypatch: pytest.MonkeyPatch, place: type, method: str, error: Exception, *, lost: bool
) -> None:
    """Let the twelfth call of a method with a lease raise, perhaps after a takeover."""
    true, calls = getattr(place, method), []

    def fails(self: object, *arguments: object) -> object:
        lease = next(one for one in (self, *arguments) if isinstance(one, Lease | Turn))
        calls.append(lease)
        if len(calls) == 12:
            lease = lease.lease if isinstance(lease, Turn) else lease
            if lost:  # another has had it since, and has let it go
                path = lease.path.with_name(Held(lease.epoch + 2, lease.step, FREE).name)
                os.rename(lease.path, path)
            raise error
        return true(self, *arguments)

    monkeypatch.setattr(place, method, fails)


@pytest.mark.parametrize("error", SWEPT, ids=lambda error: f"{type(error).__name__}-{error}"[:30])
@pytest.mark.parametrize(("place", "method"), [(Members, "head"), (Turn, "sit"), (Turn, "update")])
def test_an_error_of_whoever_was_taken_over_ends_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: type, method: str, error: Exception
) -> None:
    """It is what the new holder has swept away or pruned: the turn is dropped, and no more."""
    run = _run(tmp_path / "run", "walk")
    _fails(monkeypatch, place, method, error, lost=True)

    assert work(run, durable=False)

    (warning,) = (sentence for _, _, sentence in read_warnings(run.root, 2**20))
    assert f"was taken over by another worker, which showed as: {said(error)}" in warning
    assert verify(run).digest == verify(_done(tmp_path / "other", "walk")).digest


@pytest.mark.parametrize("error", SWEPT[1:5], ids=lambda error: type(error).__name__)
def test_the_same_error_of_a_holder_ends_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """If nobody has taken its member over, it is what it says."""
    run = _run(tmp_path / "run", "walk")
    _fails(monkeypatch, Turn, "update", error, lost=False)

    with pytest.raises(type(error)) as raised:
        work(run, durable=False)

    assert raised.value is error


def test_a_worker_does_not_join_another_run_of_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor one that is gone: with its own settings it would train somebody else's members."""
    old = open_run(tmp_path / "run", "tests.trainers:walk")
    work(old, durable=False, turns=3)
    shutil.rmtree(tmp_path / "run")
    new = open_run(tmp_path / "run", "tests.trainers:walk_random_search")

    with pytest.raises(RunError, match="holds another run than the one that this worker has"):
        work(old, durable=False)

    assert not any(map(Members(new.root).history, range(new.pbt.members)))
    assert work(new, durable=False)
    shutil.rmtree(tmp_path / "run")
    monkeypatch.setattr("core.workers.worker.PASSES", 0.0)
    with pytest.raises(OSError, match="Stale file handle"):
        work(new, durable=False)
