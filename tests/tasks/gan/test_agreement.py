"""The last lines of `make reproduce`: what should agree, and what need not."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from core.directory.run import open_run
from core.workers.worker import work
from tasks.gan.agreement import (
    CLAIM,
    COMMITTED,
    differences,
    expected,
    main,
    rows,
    selected,
    told,
)


def test_new_seeds_lie_in_the_expected_range_as_often_as_it_says() -> None:
    """95 of 100 means of three new seeds, of a normal distribution."""
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(2000):
        known, new = rng.normal(0.4, 0.4, 12), rng.normal(0.4, 0.4, 3)
        low, high = expected(known.tolist(), 3)
        hits += low <= new.mean() <= high

    assert stats.binomtest(hits, 2000, 0.95).pvalue > 0.001


def test_the_committed_claim_is_the_readmes() -> None:
    """+0.387 ± 0.248 of twelve seeds."""
    found = differences(CLAIM)

    assert len(found) == 12
    assert np.mean(found) == pytest.approx(0.387, abs=5e-4)
    assert stats.sem(found) * stats.t.ppf(0.975, 11) == pytest.approx(0.248, abs=5e-4)


def test_the_committed_seeds_agree_with_the_claim() -> None:
    """And are said with the machine that they come from."""
    committed = rows(COMMITTED)
    ours = {
        int(row["seed"]): (float(row["digits"]), float(row["digits_random_search"]))
        for row in committed
    }

    text = told(ours, committed, differences(CLAIM))

    assert list(ours) == [1, 2, 3]
    assert "it agrees." in text
    assert committed[0]["processor"] in text
    assert all(len(line) <= 100 for line in text.splitlines())


def test_a_difference_that_the_claim_does_not_let_expect_is_said() -> None:
    """Loudly."""
    ours = dict.fromkeys((1, 2, 3), (5.0, 8.0))

    assert "does NOT agree" in told(ours, rows(COMMITTED), differences(CLAIM))


def test_it_reads_run_directories(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of pairs that are there; without any it says so."""
    assert main([str(tmp_path)]) == 1
    for name in ("digits-2", "digits_random_search-2"):
        run = open_run(tmp_path / name, "tests.trainers:walk")
        work(run, durable=False)

    assert main([str(tmp_path)]) == 0

    assert f"{selected(tmp_path / 'digits-2'):.4f}" in capsys.readouterr().out
