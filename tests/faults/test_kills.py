"""Kills at random moments: nothing published is lost, and the run is as if undisturbed."""

import random
import signal
import time
from pathlib import Path

import pytest

from core.pool import Pool
from core.population import Population
from core.run import Run, open_run
from core.verify import verify
from core.worker import work

pytestmark = pytest.mark.faults


def _finish(run: Run, workers: int) -> None:
    with Pool(run.root, workers, options=["--no-fsync"]) as pool:
        pool.wait(lambda: None, 0.05)
        assert pool.complaints() == []


@pytest.mark.parametrize("workers", [2, 3, 5])
def test_a_storm_of_kills_changes_nothing(tmp_path: Path, workers: int) -> None:
    """Ten times all workers are killed, each at a random moment of its work."""
    rng = random.Random(workers)
    run = open_run(tmp_path / "run", "tests.trainers:slow_walk", {"steps": 40})
    for _ in range(10):
        with Pool(run.root, workers, options=["--no-fsync"]) as pool:
            time.sleep(0.4 + rng.random() * 0.6)
            for process in pool.processes:
                process.send_signal(signal.SIGKILL)
                time.sleep(rng.random() * 0.02)
        before = [Population(run.root).history(id) for id in range(5)]

    _finish(run, workers)

    after = [Population(run.root).history(id) for id in range(5)]
    assert all(new[: len(old)] == old for old, new in zip(before, after, strict=True))
    undisturbed = open_run(tmp_path / "undisturbed", "tests.trainers:slow_walk", {"steps": 40})
    work(undisturbed, durable=False)
    assert verify(run).problems == []
    assert verify(run).digest == verify(undisturbed).digest


def test_many_workers_that_hurry_make_the_same_run_each_time(tmp_path: Path) -> None:
    """Turns of a millisecond, five workers, twenty runs: no race shows in the history."""
    digests = set()
    for i in range(20):
        run = open_run(tmp_path / str(i), "tests.trainers:walk", {"steps": 30})
        _finish(run, 1 + i % 5)
        verdict = verify(run)
        assert verdict.problems == []
        digests.add(verdict.digest)

    assert len(digests) == 1
