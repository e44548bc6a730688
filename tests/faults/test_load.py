"""Load: 64 workers that come and go, on 1,000 members, on whatever cores there are."""

import random
import time
from pathlib import Path

import pytest

from core.audits.verify import verify
from core.directory.members import Members
from core.directory.run import open_run
from core.workers.agenda import is_done
from tests.faults.workers import Crowd

pytestmark = pytest.mark.faults
WORKERS = 64


def test_no_member_starves_while_workers_come_and_go(tmp_path: Path) -> None:
    """The member furthest behind is trained first: all members stay within three steps.

    Two on an idle machine; the third is a worker that waits for one of two cores, among 64.
    """
    run = open_run(tmp_path / "run", "tests.trainers:sleepy")
    population, rng = Members(run.root), random.Random(1)
    joined, spreads = WORKERS, []

    with Crowd(run.root, 0) as crowd:
        for _ in range(WORKERS):
            crowd.add(turns=rng.randint(5, 40))
        while True:
            steps = []
            for id in range(run.pbt.members):
                record = population.newest(id, at_once=True)
                steps.append(record.member.step if record is not None else 0)
            spreads.append(max(steps) - min(steps))
            if all(step == run.pbt.steps for step in steps):
                break
            missing = WORKERS - len(crowd.working())
            for _ in range(missing):
                crowd.add(turns=rng.randint(5, 40))
            joined += missing
            time.sleep(0.2)
        crowd.wait()

    heads = [population.newest(id) for id in range(run.pbt.members)]
    verdict = verify(run)
    print(f"{joined} workers joined; spread of steps: {sorted(spreads)[-5:]}, n = {len(spreads)}")
    assert all(record is not None and is_done(record.member, run.pbt) for record in heads)
    assert verdict.problems == []
    assert joined >= 2 * WORKERS
    assert max(spreads) <= 3
