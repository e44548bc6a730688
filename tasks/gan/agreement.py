"""`python -m tasks.gan.agreement DIR`: your runs of the digits beside the committed ones.

What should agree is the claim, within its interval. Each seed need not: a training is a function of
its seed on one kind of processor and one version of torch alone (docs/reproducibility.md).
"""

import csv
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy import stats

from core import RunError
from core.directory.machine import kernels
from core.directory.members import Members
from core.directory.run import read_info

RESULTS = Path(__file__).parent / "results"
ARMS = ("digits", "digits_random_search")
CLAIM = RESULTS / "digits_against_digits_random_search.csv"  # twelve paired seeds
COMMITTED = RESULTS / "reproduce.csv"  # the seeds of `make reproduce`, and where they were run


def main(arguments: Sequence[str]) -> int:
    """Print how the runs below a directory agree with the committed ones."""
    [folder] = arguments
    ours = {
        seed: (pbt, search)
        for seed in range(1, 100)
        if (pbt := selected(Path(folder) / f"{ARMS[0]}-{seed}")) is not None
        and (search := selected(Path(folder) / f"{ARMS[1]}-{seed}")) is not None
    }
    if not ours:
        print(f"there are no pairs of runs such as {ARMS[0]}-1 and {ARMS[1]}-1 in {folder}")
        return 1
    print(told(ours, rows(COMMITTED), differences(CLAIM)))
    return 0


def selected(root: Path) -> float | None:
    """Return the score of the best member of a run at its end; None if there is no such run."""
    try:
        read_info(root)
    except RunError:
        return None
    population = Members(root)
    ids = range(len(list((root / "members").iterdir())))
    scores = [record.member.fitness for id in ids if (record := population.newest(id)) is not None]
    return max(scores, default=None)


def rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a committed table."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def differences(path: Path) -> list[float]:
    """Return PBT less random search of each committed seed, by the selected score."""
    mine, other = (f"selected of {arm}" for arm in ARMS)
    return [float(row[mine]) - float(row[other]) for row in rows(path)]


def expected(known: Sequence[float], count: int) -> tuple[float, float]:
    """Return the range in which the mean difference of `count` new seeds lies, with 95 %.

    Source: the prediction interval of a normal sample, by Student's t.
    """
    n, spread = len(known), float(np.std(known, ddof=1))
    half = float(stats.t.ppf(0.975, n - 1)) * spread * math.sqrt(1 / n + 1 / count)
    middle = float(np.mean(known))
    return middle - half, middle + half


def told(
    ours: Mapping[int, tuple[float, float]],
    committed: Sequence[Mapping[str, str]],
    claim: Sequence[float],
) -> str:
    """Return the table and what is to be read in it."""
    theirs = {int(row["seed"]): row for row in committed}
    about = committed[0]
    lines = [
        "The digits here, and as committed "
        f"({about['processor']}, torch {about['torch']}, commit {about['commit']}):",
        "",
        f"{'seed':>4}  {'PBT here':>10}  {'committed':>10}  {'search here':>11}  {'committed':>10}",
    ]
    for seed, (pbt, search) in ours.items():
        known = theirs.get(seed, {})
        cells = [f"{float(known[arm]):.4f}" if arm in known else "-" for arm in ARMS]
        lines.append(f"{seed:>4}  {pbt:>10.4f}  {cells[0]:>10}  {search:>11.4f}  {cells[1]:>10}")
    low, high = expected(claim, len(ours))
    mean = float(np.mean([pbt - search for pbt, search in ours.values()]))
    half = float(stats.sem(claim) * stats.t.ppf(0.975, len(claim) - 1))
    here = kernels()
    lines += [
        "",
        "Each seed need not agree: a training is a function of its seed on one kind of processor,",
        f"with one torch and one number of threads (here: {here['processor']}, "
        f"{here['instructions']}). What should agree",
        f"is the claim: PBT less random search was {np.mean(claim):+.3f} ± {half:.3f} of "
        f"{len(claim)} seeds, so of {len(ours)} seeds a mean",
        f"from {low:+.3f} to {high:+.3f} is expected (95 %). Here it is {mean:+.3f}: "
        + ("it agrees." if low <= mean <= high else "it does NOT agree. Please tell us."),
        "More: docs/reproducibility.md",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
