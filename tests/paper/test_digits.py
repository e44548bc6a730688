"""Claims of the paper on real images, at the size of the README's table; minutes."""

from pathlib import Path

import pytest

from analysis.data.runs import read_runs
from analysis.tables.arms import arm
from core.audits.verify import verify
from core.directory.run import open_run
from core.workers.pool import Pool

pytestmark = pytest.mark.paper


def _path(root: Path, preset: str, seed: int) -> Path:
    run = open_run(root / f"{preset}-{seed}", f"tasks.gan.presets:{preset}", {"seed": seed})
    with Pool(run.root, 2) as pool:
        pool.wait(lambda: None, 1.0)
        assert pool.complaints() == []
    assert verify(run).problems == []
    return run.root


def test_pbt_recovers_from_bad_draws_where_random_search_cannot(tmp_path: Path) -> None:
    """Two seeds in which none of the eight first pairs of rates is good; equal budgets."""
    arms = [
        arm(read_runs([_path(tmp_path, preset, seed) for seed in (4, 10)]))
        for preset in ("digits", "digits_random_search")
    ]

    pbt, baseline = (found.numbers for found in arms)
    assert arms[0].budget == arms[1].budget
    for name in ("selected", "held_out", "top five"):
        assert min(pbt[name]) > max(baseline[name])
