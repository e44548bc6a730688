"""Workers that were taken for dead and come back, and clocks that are wrong: nothing changes.

A worker is stopped for longer than the others' patience, at random moments and at the one between
its last check and its rename. Clocks differ by days or jump by hours, with libfaketime.
"""

import contextlib
import functools
import itertools
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from core.audits.verify import verify
from core.directory.files import Files, LeaseLost
from core.directory.heartbeat import Heartbeat
from core.directory.lease import Lease, read_lease
from core.directory.members import COMPACT, Members
from core.directory.record import Record, encode
from core.directory.run import Run, open_run
from core.directory.weights import weights_name
from core.member import Member
from tests.faults.inject import Fault, Forge, NoInjector, Operation, library
from tests.faults.storms import (
    PRESET,
    QUICK,
    REPOSITORY,
    Nursery,
    Witness,
    hold,
    tidy,
    undisturbed,
    warnings,
)

pytestmark = pytest.mark.faults

WORKERS = 5
TAKEOVERS = 45  # at random moments, for each of the ways to be taken for dead
PATIENCE = 0.2


# ------------------------------------------------------------------------ at random moments


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """Start what forks the workers."""
    with Nursery() as nursery:
        yield nursery


def _state(pid: int) -> str:
    """Return what a process is doing: "T" if it is stopped, "Z" if it has ended."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def _leases(run: Run) -> dict[int, tuple[int, str]]:
    """Return the number and the holder of each lease that there is."""
    folders = {id: run.root / "members" / f"{id:03d}" for id in range(run.pbt.members)}
    leases = {id: read_lease(folder) for id, folder in folders.items()}
    return {id: (held.epoch, held.holder) for id, held in leases.items() if held is not None}


def _held(run: Run, pid: int) -> dict[int, tuple[int, str]]:
    """Return the leases that a worker of this machine has."""
    return {id: lease for id, lease in _leases(run).items() if f"-{pid}-" in lease[1]}


@dataclass(slots=True)
class Sleeper:
    """A stopped worker.

    held: the leases that it had when it was stopped. lost: when one was first seen to be another's.
    wakes: how many seconds after that, or after it was stopped if `waits` is false.
    """

    pid: int
    held: dict[int, tuple[int, str]]
    wakes: float
    waits: bool
    stopped: float = field(default_factory=time.monotonic)
    lost: float = math.inf

    def is_due(self, run: Run) -> bool:
        """Whether it is to go on now."""
        if self.held and self.lost == math.inf:
            now = _leases(run)
            if any(now.get(id, lease) != lease for id, lease in self.held.items()):
                self.lost = time.monotonic()
        return time.monotonic() >= (self.lost if self.waits else self.stopped) + self.wakes


def _stopped(run: Run, pid: int, rng: random.Random) -> Sleeper | None:
    """Stop a worker; return None if it has ended before."""
    os.kill(pid, signal.SIGSTOP)
    while (state := _state(pid)) not in "TZ":
        time.sleep(0.0002)
    if state == "Z":
        return None
    held = _held(run, pid)
    if not held:
        return Sleeper(pid, held, rng.uniform(0.0, 0.05), waits=False)
    if rng.random() < 0.3:  # perhaps before
        return Sleeper(pid, held, rng.uniform(0.7, 1.5) * PATIENCE, waits=False)
    # at the moment of the takeover, while its heir is at work, or when all is done
    wakes = rng.choice([0.0, 0.0, 0.0, rng.uniform(0.0, 0.1), rng.uniform(0.0, 0.1), math.inf])
    return Sleeper(pid, held, wakes, waits=True)


def _trouble(nursery: Nursery, witness: Witness, rng: random.Random, *, elsewhere: bool) -> int:
    """Stop and continue workers until the run is done; return how many were taken over."""
    run, asleep, ended = witness.run, list[Sleeper](), list[int]()
    hosts = [f"host-{i}" if elsewhere else "" for i in range(WORKERS)]
    awake = [nursery.start(run, patience=PATIENCE, host=host) for host in hosts]
    takeovers, next_stop, next_look = 0, 0.0, 0.0
    while awake:
        time.sleep(0.001)
        ended += [pid for pid in awake if _state(pid) == "Z"]
        awake = [pid for pid in awake if pid not in ended]
        for sleeper in [sleeper for sleeper in asleep if sleeper.is_due(run)]:
            asleep.remove(sleeper)
            takeovers += sleeper.lost < math.inf
            os.kill(sleeper.pid, signal.SIGCONT)
            awake.append(sleeper.pid)
        if len(awake) > 2 and time.monotonic() >= next_stop:
            victim = rng.choice(awake)
            if stopped := _stopped(run, victim, rng):
                awake.remove(victim)
                asleep.append(stopped)
            next_stop = time.monotonic() + rng.uniform(0.001, 0.05)
        if time.monotonic() >= next_look:
            witness.look()
            next_look = time.monotonic() + 0.02
    before = _settled(run)
    for sleeper in asleep:
        takeovers += bool(sleeper.held)
        os.kill(sleeper.pid, signal.SIGCONT)
    for pid in [*ended, *(sleeper.pid for sleeper in asleep)]:
        end = nursery.wait(pid)
        assert end.done, end
    assert _settled(run) == before
    return takeovers


def _settled(run: Run) -> dict[Path, bytes]:
    """Return what cannot change any more when all members are done: records, and the history."""
    files = run.root.glob("members/*/record.json"), run.root.glob("members/*/history/*.jsonl")
    return {path: path.read_bytes() for path in itertools.chain(*files)}


@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "elsewhere"])
def test_workers_that_are_stopped_at_random_moments_change_nothing(
    nursery: Nursery, tmp_path: Path, elsewhere: bool
) -> None:
    """They come back at the takeover, a little later, or when all is done.

    A stopped worker on this machine loses its member like one on another: its process is there,
    but it shows no sign of life.
    """
    steps = 60
    calm = undisturbed(tmp_path / "calm", steps)
    rng = random.Random(elsewhere)
    takeovers, said = 0, Counter[str]()
    for i in itertools.count():
        run = open_run(tmp_path / str(i), PRESET if i % 2 else QUICK, {"steps": steps})
        witness = Witness(run)
        takeovers += _trouble(nursery, witness, rng, elsewhere=elsewhere)
        hold(witness, calm.digest)
        tidy(run, WORKERS)
        assert len(witness.seen) > calm.records / 2
        for warning in warnings(run):
            assert any(word in warning for word in WOKEN), warning
            said.update(word for word in WOKEN if word in warning)
        if takeovers >= TAKEOVERS:
            break

    print(f"{takeovers} takeovers in {i + 1} runs; {dict(said)}")
    assert any(word in said for word in LOST)


LOST = ("taken over", "swept away", "another worker's")  # the words of LeaseLost and of LeaseLost
WOKEN = (*LOST, "is gone")  # what it is about to load was pruned long ago: it has yet to ask


# ------------------------------------------------------------------------ right after the check


@dataclass(slots=True)
class Fading:
    """A lease whose holder stops right after one of its checks, while `meanwhile` happens."""

    lease: Lease
    check: int  # which one, from 0
    meanwhile: Callable[[], None]
    checks: int = 0

    @property
    def epoch(self) -> int:
        """The number of the lease."""
        return self.lease.epoch

    def fence(self) -> None:
        """Let it pass; it is true at this moment."""
        self.lease.fence()
        self.checks += 1
        if self.checks == self.check + 1:
            self.meanwhile()


def _record(n: int, worker: str) -> Record:
    member = Member(id=0, n=n, step=n, score=float(n), hypers={"rate": 1.0})
    return Record(member=member, worker=worker)


@dataclass(slots=True)
class Heir:
    """Who takes member 0 over; what it publishes is more than one compaction."""

    worker: Heartbeat
    population: Members
    lease: Lease | None = None

    def claim(self) -> None:
        """Take the lease, and do nothing else yet."""
        folder = self.population.enter(0)
        for _ in range(2):  # a first look at the heartbeat, and a second
            held = read_lease(folder)
            assert held is not None
            self.lease = self.worker.claim(0, folder, held)
        assert self.lease is not None
        assert not self.lease.orderly

    def go_on(self) -> None:
        """Go on from the newest record, as `begin_turn` does."""
        assert self.lease is not None
        self.population.sweep(0, before=self.lease.epoch)
        head = self.population.head(0, self.lease)
        n = 0 if head is None else head.member.n + 1
        name = weights_name(n, self.lease.epoch)
        weights = self.population.weights.save(0, name, _writes(b"heir"), self.lease)
        for i in range(n, n + COMPACT + 2):
            record = replace(_record(i, "heir"), weights=weights)
            self.population.publish(record, self.lease)

    def take_over(self) -> None:
        """Do both."""
        self.claim()
        self.go_on()


def _writes(data: bytes) -> Callable[[Path], None]:
    def save(path: Path) -> None:
        path.write_bytes(data)

    return save


CHECKS = {"weights": 0, "record": 1, "record.json": 2, "history": 3}
FIRST = COMPACT - 1  # the number of the record whose publication compacts


@pytest.mark.parametrize("at_once", [True, False], ids=["taken-over", "only-claimed"])
@pytest.mark.parametrize("check", CHECKS)
def test_what_passed_its_last_check_before_the_takeover_does_not_take_effect_after_it(
    tmp_path: Path, check: str, at_once: bool
) -> None:
    """Weights, a record, record.json and the history: each stops between its check and its rename.

    What takes effect after the heir has claimed, but before it has swept, is what it goes on from.
    """
    ours, theirs = (Members(tmp_path, Files(durable=False)) for _ in range(2))
    with Heartbeat(tmp_path) as worker, Heartbeat(tmp_path, patience=0.0) as other:
        heir = Heir(other, theirs)
        folder = ours.enter(0)
        held = read_lease(folder)
        assert held is not None
        lease = worker.claim(0, folder, held)
        assert lease is not None
        beat = tmp_path / "workers" / f"{worker.name}.json"
        beat.write_text(json.dumps(json.loads(beat.read_text()) | {"machine": "another"}))
        for n in range(FIRST):
            ours.publish(_record(n, "zombie"), lease)
        right = Fading(lease, CHECKS[check], heir.take_over if at_once else heir.claim)
        mine = weights_name(FIRST, lease.epoch)

        def turn() -> None:
            weights = ours.weights.save(0, mine, _writes(b"zombie"), right)
            ours.publish(replace(_record(FIRST, "zombie"), weights=weights), right)
            lease.fence()  # where the last rename has taken effect

        with pytest.raises(LeaseLost) as raised:
            turn()

        assert right.checks == CHECKS[check] + 1
        if at_once:
            assert raised.type is LeaseLost, "it was not the sweep that stopped it"
        else:
            heir.go_on()
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        lease.release()

        assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        assert heir.lease is not None
        assert heir.lease.held()
        published = CHECKS[check] > CHECKS["record"] or (check == "record" and not at_once)
        last = FIRST if published else FIRST - 1
        wanted = ["zombie"] * (last + 1) + ["heir"] * (COMPACT + 2)
        history = Members(tmp_path).history(0)
        assert [record.worker for record in history] == wanted
        assert [record.member.n for record in history] == list(range(len(wanted)))
        assert (folder / "record.json").read_bytes() == encode(history[-1])
        assert history[-1].weights is not None
        assert ours.weights.find(0, history[-1].weights).read_bytes() == b"heir"
        assert (folder / "weights" / mine).exists() == (check != "weights" or not at_once)
        assert list(folder.rglob("*.tmp")) == []
        lines = (folder / "history" / f"{0:08d}.jsonl").read_bytes().splitlines(keepends=True)
        assert lines == [encode(record) for record in history[: len(lines)]]
        assert len(lines) >= COMPACT


# ------------------------------------------------------------------------ before each rename


FORGES = 2  # that work at the same time


def _moments(trace: Sequence[Operation]) -> list[int]:
    """Return the numbers of links and renames, the first ones, and of all that compacts a history.

    Of what only reads then, some; and of the removals, a few.
    """
    found = [k for k, done in enumerate(trace, 1) if done.name in ("link", "rename")]
    history = [k for k in found if "/history/" in trace[k - 1].goal]
    assert len(history) >= 4, "no two compactions of each member are seen"
    chosen = set(found[:40]) | set(history)
    for k in history[:2]:
        before, after = (found[found.index(k) + i] for i in (-2, 1))  # record.json; another's
        chosen |= {before, after} | set(range(before, k, 11))
    for k in history[2:]:
        chosen |= set(range(k, k + 40, 9))
    return sorted(chosen)


def _comes_back(forge: Forge, begun: Run, root: Path, fault: Fault, digest: str) -> list[str]:
    """Stop a worker before an operation until another has ended the run; say what is wrong."""
    shutil.copytree(begun.root, root)
    run = open_run(root)
    sleeper = forge.start(root, fault)
    had = _held(run, sleeper)
    heir = forge.run(root, durable=False)
    before, leases = _settled(run), {id: _leases(run)[id] for id in had}
    end = forge.resume(sleeper)
    wrong = [] if end.operations >= fault.at else ["no fault struck"]
    wrong += [f"{one}\n{one.traceback}" for one in (heir, end) if not one.done]
    wrong += [] if _settled(run) == before else ["something has changed"]
    wrong += ["a lease has changed"] if not leases.items() <= _leases(run).items() else []
    verdict = verify(run)
    wrong += verdict.problems
    wrong += [] if verdict.digest == digest else ["the digest is another"]
    wrong += [text for text in warnings(run) if not any(word in text for word in WOKEN)]
    return wrong


def test_a_worker_that_stops_right_before_what_takes_effect_changes_nothing(tmp_path: Path) -> None:
    """A link or a rename; and amid a compaction, while the heir makes that and another one."""
    with contextlib.ExitStack() as stack:
        try:
            library(tmp_path)
        except NoInjector as error:
            pytest.skip(str(error))
        forges = [stack.enter_context(Forge(tmp_path)) for _ in range(FORGES)]
        begun = open_run(tmp_path / "begun", QUICK, {"members": 2, "steps": 44})
        digest = undisturbed(tmp_path / "calm", 44, members=2).digest
        shutil.copytree(begun.root, tmp_path / "traced")
        trace = forges[0].run(tmp_path / "traced").trace
        moments = _moments(trace)

        def some(i: int) -> list[str]:
            found = []
            for k in moments[i::FORGES]:
                root = tmp_path / f"stopped-{k}"
                wrong = _comes_back(forges[i], begun, root, Fault("stop before", k), digest)
                found += [f"before {trace[k - 1]}: {'; '.join(wrong)}"] if wrong else []
                shutil.rmtree(root)
            return found

        with ThreadPoolExecutor(FORGES) as threads:
            complaints = list(itertools.chain(*threads.map(some, range(FORGES))))
        print(f"{len(moments)} stops")

    assert len(moments) >= 50
    assert not complaints, "\n".join(complaints)


# ------------------------------------------------------------------------ wrong clocks


FOLDERS = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64")
HERE = """
import select, socket, sys, time
from core.directory import heartbeat
from core.__main__ import main
host = sys.argv[1]
heartbeat._machine = lambda: host
socket.gethostname = lambda: host
time.sleep = lambda seconds: select.select([], [], [], seconds)  # the true one's deadline is faked
sys.exit(main(sys.argv[2:]))
"""
DAY, HOUR = 86400.0, 3600.0


@functools.cache
def _faketime() -> str:
    found = [path for folder in FOLDERS for path in Path(folder).glob("**/libfaketime.so.1")]
    if not found:
        pytest.skip("there is no libfaketime.so.1 (Debian and Ubuntu: package faketime)")
    return str(found[0])


@contextlib.contextmanager
def _worker(
    run: Run, host: str, patience: float, **clock: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a worker on a run as if on another machine, with a clock of its own."""
    monotonic = {"DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    preload = monotonic | {"LD_PRELOAD": _faketime()} | clock
    command = [sys.executable, "-c", HERE, host, "work", str(run.root.resolve())]
    process = subprocess.Popen(
        [*command, "--no-fsync", "--patience", str(patience)],
        cwd=REPOSITORY,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"} | preload,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _wait(*processes: subprocess.Popen[bytes]) -> None:
    """Wait until workers have ended; they must have ended because all members are done."""
    for process in processes:
        words = process.communicate(timeout=60)[0].decode()
        assert words == "all members are done\n"


def _times(run: Run) -> dict[str, list[float]]:
    """Return by how much the clocks of the hosts were wrong, record by record."""
    population, found = Members(run.root), dict[str, list[float]]()
    for record in itertools.chain(*map(population.history, range(run.pbt.members))):
        found.setdefault(record.host, []).append(record.time - time.time())
    return found


def _check(run: Run, tmp_path: Path) -> None:
    verdict = hold(Witness(run), undisturbed(tmp_path / "calm", run.pbt.steps).digest)
    tidy(run, WORKERS)
    assert verdict.problems == []


def _check_that_nobody_was_taken_over(run: Run) -> None:
    """Every lease was let go by whoever had it: each second number is a free one."""
    assert warnings(run) == []
    for epoch, holder in _leases(run).values():
        assert holder == "free"
        assert epoch % 2 == 0
        assert epoch > 0


SLOW = "tests.trainers:slow_walk"


def test_two_hosts_whose_clocks_are_two_days_apart_make_one_run(tmp_path: Path) -> None:
    """Two workers on each; nobody takes anybody for dead."""
    run = open_run(tmp_path / "run", SLOW, {"steps": 60})

    with contextlib.ExitStack() as stack:
        hosts = {"early": "-1d", "late": "+1d"}
        workers = [
            stack.enter_context(_worker(run, host, 10.0, FAKETIME=clock))
            for host, clock in 2 * list(hosts.items())
        ]
        _wait(*workers)

    times = _times(run)
    assert set(times) == set(hosts), "one host has done nothing"
    assert max(times["early"]) < -0.9 * DAY
    assert min(times["late"]) > 0.9 * DAY
    _check_that_nobody_was_taken_over(run)
    _check(run, tmp_path)


def _killed_in_a_turn(run: Run, process: subprocess.Popen[bytes]) -> tuple[int, int, str]:
    """Kill a worker of the host "dies" while it has a member; return member, lease and holder."""
    while True:
        time.sleep(0.005)
        assert process.poll() is None, "it has ended too early"
        if not any(holder.startswith("dies-") for _, holder in _leases(run).values()):
            continue
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.01)
        for id, (epoch, holder) in _leases(run).items():
            if holder.startswith("dies-"):
                process.kill()
                return id, epoch, holder
        process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize(("theirs", "ours"), [("-1d", "+1d"), ("+1d", "-1d")])
def test_a_dead_worker_of_a_host_with_another_date_loses_after_our_patience(
    tmp_path: Path, theirs: str, ours: str
) -> None:
    """Not a day later, and not at once."""
    patience = 2.0
    run = open_run(tmp_path / "run", SLOW, {"steps": 40})

    with (
        _worker(run, "lives", patience, FAKETIME=ours) as heir,
        _worker(run, "dies", patience, FAKETIME=theirs) as dying,
    ):
        while {holder.partition("-")[0] for _, holder in _leases(run).values()} < {"lives", "dies"}:
            time.sleep(0.005)
            assert (heir.poll(), dying.poll()) == (None, None), "they have ended too early"
        id, epoch, holder = _killed_in_a_turn(run, dying)
        killed = time.monotonic()
        while _leases(run)[id] == (epoch, holder):
            time.sleep(0.005)
            assert time.monotonic() - killed < 10 * patience, "it is waited for too long"
        waited = time.monotonic() - killed
        _wait(heir)

    print(f"taken over after {waited:.2f} s")
    assert 0.6 * patience < waited < patience + 3.0  # its last heartbeat was a little before
    _check(run, tmp_path)


def test_a_clock_that_jumps_kills_nobody(tmp_path: Path) -> None:
    """By hours, forwards and backwards, while another host's clock is right."""
    run = open_run(tmp_path / "run", SLOW, {"steps": 80})
    clock = tmp_path / "clock"
    rng = random.Random(0)

    def jump(text: str) -> None:
        (tmp_path / "next").write_text(text + "\n")
        os.replace(tmp_path / "next", clock)

    jump("+0")
    jumps = 0
    faked = {"FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1"}
    with (
        _worker(run, "jumps", 2.0, **faked) as jumping,
        _worker(run, "steady", 2.0, FAKETIME="+0") as steady,
    ):
        while jumping.poll() is None:
            time.sleep(rng.uniform(0.05, 0.4))
            jump(f"{rng.choice('+-')}{rng.randint(1, 30)}h")
            jumps += 1
        _wait(jumping, steady)

    times = _times(run)
    print(f"{jumps} jumps, seen in {len(times['jumps'])} records")
    assert jumps > 8
    assert max(times["jumps"]) - min(times["jumps"]) > 10 * HOUR
    assert max(map(abs, times["steady"])) < HOUR
    _check_that_nobody_was_taken_over(run)
    _check(run, tmp_path)
