"""Kills at random moments: nothing published is lost, and the run is as if undisturbed."""

import itertools
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.audits.verify import verify
from core.directory.members import Members
from core.directory.run import Run, open_run
from core.workers.pool import Pool
from core.workers.worker import work
from tests.faults.storms import PRESET, QUICK, Nursery, Witness, hold, tidy, undisturbed, warnings

pytestmark = pytest.mark.faults

KILLS = 1000  # of living workers, in all
MODES = ("asynchronous", "lockstep")
STORMS = list(itertools.product(range(2, 7), MODES))
STEPS = {"asynchronous": 270, "lockstep": 180}  # 271 records a member: more than a segment


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """Start what forks the workers."""
    with Nursery() as nursery:
        yield nursery


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the digest of the undisturbed lockstep run."""
    return undisturbed(tmp_path_factory.mktemp("calm"), STEPS["lockstep"]).digest


def _rage(nursery: Nursery, witness: Witness, workers: int, kills: int, rng: random.Random) -> int:
    """Kill workers until the run is done, or so many were alive when they were struck.

    The last ones finish it. Returns how many were struck.
    """
    run, struck, done = witness.run, 0, False
    alive: list[int] = []
    while not done and struck < kills:
        while len(alive) < workers:
            alive.append(nursery.start(run, durable=rng.random() < 0.2))
        time.sleep(rng.uniform(0.005, 0.06))
        at_once = workers if rng.random() < 0.05 else 1  # as when a machine loses its power
        victims = rng.sample(alive, at_once)
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        witness.look()
        for pid in victims:
            end = nursery.wait(pid)
            assert end.done or end.signal == signal.SIGKILL, end
            struck += end.signal == signal.SIGKILL
            done = done or end.done
        alive = [pid for pid in alive if pid not in victims]
    alive += [nursery.start(run) for _ in range(workers - len(alive))]
    for pid in alive:
        end = nursery.wait(pid)
        assert end.done, end
    return struck


@pytest.mark.parametrize(("workers", "mode"), STORMS)
def test_a_storm_of_kills(
    nursery: Nursery, tmp_path: Path, calm: str, workers: int, mode: str
) -> None:
    """A SIGKILL every 5 to 60 ms, until each of the storms has had its part of the thousand."""
    rng = random.Random(f"{workers} {mode}")
    part = -(-KILLS // len(STORMS))
    struck = 0
    for i in itertools.count():
        run = open_run(tmp_path / str(i), PRESET, {"mode": mode, "steps": STEPS[mode]})
        witness = Witness(run)
        struck += _rage(nursery, witness, workers, part - struck, rng)
        verdict = hold(witness, calm if mode == "lockstep" else None)
        left = tidy(run, workers)
        print(f"{struck} kills, {verdict.records} records, {len(witness.seen)} seen, {dict(left)}")
        others = "looks for another donor"  # its weights went when it was two steps on
        assert [text for text in warnings(run) if mode == "lockstep" or others not in text] == []
        if struck >= part:
            break

    assert verdict.copies > 0


def _finish(run: Run, workers: int) -> None:
    with Pool(run.root, workers, options=["--no-fsync"]) as pool:
        pool.wait(lambda: None, 0.05)
        assert pool.complaints() == []


@pytest.mark.parametrize("workers", [2, 5])
def test_a_storm_of_kills_on_the_command_line(tmp_path: Path, workers: int) -> None:
    """Ten times all workers are killed, each at a random moment of its work."""
    rng = random.Random(workers)
    run = open_run(tmp_path / "run", "tests.trainers:slow_walk", {"steps": 40})
    for _ in range(10):
        with Pool(run.root, workers, options=["--no-fsync"]) as pool:
            time.sleep(0.4 + rng.random() * 0.6)
            for process in pool.processes:
                process.send_signal(signal.SIGKILL)
                time.sleep(rng.random() * 0.02)
        before = [Members(run.root).history(id) for id in range(5)]

    _finish(run, workers)

    after = [Members(run.root).history(id) for id in range(5)]
    assert all(new[: len(old)] == old for old, new in zip(before, after, strict=True))
    calm = open_run(tmp_path / "undisturbed", QUICK, {"steps": 40})
    work(calm, durable=False)
    assert verify(run).problems == []
    assert verify(run).digest == verify(calm).digest


def test_many_workers_that_hurry_make_the_same_run_each_time(
    nursery: Nursery, tmp_path: Path
) -> None:
    """Turns of a millisecond, one to five workers, twenty runs: no race shows in the history."""
    digest = undisturbed(tmp_path / "undisturbed", 16).digest
    for i in range(20):
        run = open_run(tmp_path / str(i), QUICK, {"steps": 16})
        for pid in [nursery.start(run) for _ in range(1 + i % 5)]:
            assert nursery.wait(pid).done

        hold(Witness(run), digest)
        assert tidy(run, 5)["temporary"] == 0
        assert warnings(run) == []
