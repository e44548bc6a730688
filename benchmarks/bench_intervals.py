"""How often an interval that is called 95 % covers the mean, by seeds and distribution.

`python -m benchmarks.bench_intervals`: some four minutes on one busy core; prints the numbers of
the table in analysis/tables/statistics.py.
"""

import numpy as np
from scipy import stats

from analysis.data.columns import Floats
from analysis.tables.statistics import LEVEL, RESAMPLES
from benchmarks.provenance import say

SAMPLES = 20_000


def normal(rng: np.random.Generator, n: int) -> Floats:
    """Return samples of mean 0, [SAMPLES, n]."""
    return rng.normal(size=(SAMPLES, n))


def skewed(rng: np.random.Generator, n: int) -> Floats:
    """Return exponential ones, as skewed as 2."""
    return rng.exponential(size=(SAMPLES, n)) - 1.0


def coverage(values: Floats, method: str, resamples: int = RESAMPLES) -> float:
    """Return the share of the rows, of mean 0, whose interval covers 0."""
    n, size = values.shape[-1], 500
    if method == "t":
        half = stats.sem(values, axis=-1) * stats.t.ppf((1 + LEVEL) / 2, n - 1)
        return float((np.abs(values.mean(axis=-1)) <= half).mean())
    covered = 0
    rng = np.random.default_rng(1)
    for rows in np.split(values, range(size, len(values), size)):
        found = stats.bootstrap(
            (rows,), np.mean, axis=-1, n_resamples=resamples, method="BCa", random_state=rng
        ).confidence_interval
        covered += int(((found.low <= 0) & (found.high >= 0)).sum())
    return covered / len(values)


def main() -> None:
    """Print the share of intervals that cover the mean, by seeds, distribution and method."""
    found: dict[str, dict[str, float]] = {}
    for n in (5, 6, 8, 10, 12, 20, 30):
        found[str(n)] = {}
        for place, draw in enumerate((normal, skewed)):
            seed = np.random.SeedSequence(0, spawn_key=(n, place))
            values = draw(np.random.default_rng(seed), n)
            for method in ("BCa", "t"):
                covered = round(coverage(values, method), 4)
                found[str(n)][f"{draw.__name__}, {method}"] = covered
    say({"benchmark": "coverage of 95 % intervals of a mean", "samples": SAMPLES, "seeds": found})


if __name__ == "__main__":
    main()
