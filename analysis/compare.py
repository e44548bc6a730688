"""Is one arm better than another: the same seeds, equal budgets, every seed shown, an interval."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from analysis.runs import RunData
from analysis.scores import top_mean
from core.run import differences

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Arm:
    """What several seeds of one preset came to: a number per seed, by name of the number.

    budget: steps that all members of a run were to train for.
    lost: of all runs together, steps of failed members that were not trained.
    """

    name: str
    seeds: tuple[int, ...]
    numbers: Mapping[str, tuple[float, ...]]
    budget: int
    code: str
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Difference:
    """The mean of paired differences, its 95 % interval, and who won how often."""

    mean: float
    half: float
    wins: int
    n: int
    p: float


def numbers_of(run: RunData) -> dict[str, float]:
    """Return what a run came to: its best member's last score, and what that member reported."""
    best = run.best()
    found = {"selected": best.member.score}
    found |= {
        name: float(value) for name, value in best.report.items() if isinstance(value, int | float)
    }
    found["top five"] = top_mean(run.columns.score[run.columns.last()])
    found["seconds"] = seconds(run)
    return found


def seconds(run: RunData) -> float:
    """Return the worker time that a run took, without waiting for others."""
    apart = ("step", "eval", "report", "load", "save", "read", "pin", "publish", "claim")
    return math.fsum(
        float(spent.sum()) for phase, spent in run.columns.seconds.items() if phase in apart
    )


def arm(runs: Sequence[RunData]) -> Arm:
    """Collect the seeds of one preset.

    Raises:
        ValueError: they differ in more than their seed, are unfinished, or twice the same.
    """
    first = runs[0]
    for run in runs:
        if different := differences(_but_seed(first), _but_seed(run)):
            raise ValueError(
                f"an arm is several seeds of one run; {first.path} and {run.path} differ in more: "
                + "; ".join(different)
                .replace("in the run", "in the first")
                .replace("now", "in the other")
            )
        ends = {id: record.member for id, record in run.last.items()}
        if late := [
            id
            for id in range(run.members)
            if id not in ends or ends[id].step < run.steps or ends[id].waiting
        ]:
            raise ValueError(f"{run.path} is not done: members {late} have steps to go")
    runs = sorted(runs, key=lambda run: run.seed)
    seeds = tuple(run.seed for run in runs)
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"a seed is given twice: {seeds}")
    found = [numbers_of(run) for run in runs]
    common = [name for name in found[0] if all(name in numbers for numbers in found)]
    columns = {name: tuple(numbers[name] for numbers in found) for name in common}
    codes = ", ".join(sorted({run.code for run in runs}))
    lost = sum(int(run.columns.failed[run.columns.trained()].sum()) for run in runs)
    return Arm(first.name, seeds, columns, first.steps * first.members, codes, lost)


def _but_seed(run: RunData) -> dict[str, object]:
    return {"preset": run.preset} | {k: v for k, v in run.settings.items() if k != "seed"}


def paired(ours: Sequence[float], theirs: Sequence[float]) -> Difference:
    """Return the mean paired difference with its 95 % t interval and two-sided t-test."""
    differences = np.subtract(ours, theirs)
    wins = int((differences > 0).sum())
    n = len(differences)
    if n < 2 or not np.isfinite(differences).all():
        return Difference(float(differences.mean()), math.nan, wins, n, math.nan)
    if differences.std() == 0:
        mean = float(differences[0])
        return Difference(mean, 0.0, wins, n, 0.0 if mean else 1.0)
    test = stats.ttest_rel(ours, theirs)
    interval = test.confidence_interval(LEVEL)
    half = (interval.high - interval.low) / 2
    return Difference(float(differences.mean()), float(half), wins, n, float(test.pvalue))


def interval(values: Sequence[float]) -> str:
    """Return the mean with the half width of its 95 % t interval."""
    mean = float(np.mean(values))
    if len(values) < 2 or not np.isfinite(values).all():
        return f"{mean:.5g}"
    half = float(stats.sem(values) * stats.t.ppf((1 + LEVEL) / 2, len(values) - 1))
    return f"{mean:.5g} ± {half:.3g}"


def pair(ours: Arm, theirs: Arm) -> tuple[list[int], dict[str, tuple[list[float], list[float]]]]:
    """Return the seeds that both arms have, and of each number in both, our and their column.

    Raises:
        ValueError: there is no such seed.
    """
    seeds = sorted(set(ours.seeds) & set(theirs.seeds))
    if not seeds:
        raise ValueError(
            f"{ours.name} and {theirs.name} have no seed in common: none can be paired"
        )

    def column(arm: Arm, name: str) -> list[float]:
        return [arm.numbers[name][arm.seeds.index(seed)] for seed in seeds]

    names = [name for name in ours.numbers if name in theirs.numbers]
    return seeds, {name: (column(ours, name), column(theirs, name)) for name in names}


def names(ours: Arm, theirs: Arm) -> tuple[str, str]:
    """Return what to call the arms: their presets' functions, told apart should they be equal."""
    if ours.name != theirs.name:
        return ours.name, theirs.name
    return f"{ours.name} (first)", f"{theirs.name} (second)"


def table(ours: Arm, theirs: Arm) -> str:
    """Return the comparison as Markdown: every seed, then each number's means and differences.

    Seeds that only one arm has are left out, and said to be. All numbers of all seeds are in `csv`.
    """
    seeds, columns = pair(ours, theirs)
    arms = names(ours, theirs)
    shown = list(columns)[:2]  # what selected, and the first number that selection has not seen
    lines = [f"{arms[0]} against {arms[1]}: {len(seeds)} seeds in pairs", ""]
    lines += _row("seed", *(f"{name}, {arm}" for name in shown for arm in arms))
    lines += ["|" + " --- |" * (1 + 2 * len(shown))]
    for i, seed in enumerate(seeds):
        lines += _row(
            str(seed), *(f"{column[i]:.5g}" for name in shown for column in columns[name])
        )
    lines += ["", "Means and paired differences, ± half of the 95 % t interval:", ""]
    lines += _row("", *arms, "difference", "higher in", "p")
    lines += ["|" + " --- |" * 6]
    for name, (mine, other) in columns.items():
        difference = paired(mine, other)
        higher = f"{difference.wins} of {difference.n}"
        found, p = f"{difference.mean:+.4g}", "–"  # of one pair there is no interval
        if math.isfinite(difference.half):
            found, p = f"{found} ± {difference.half:.3g}", f"{difference.p:.2g}"
        lines += _row(name, interval(mine), interval(other), found, higher, p)
    lines += ["", _budgets(ours, theirs, arms)]
    if left := sorted(set(ours.seeds) ^ set(theirs.seeds)):
        lines.append(f"Left out, because only one arm has them: seeds {left}.")
    return "\n".join(lines) + "\n"


def csv(ours: Arm, theirs: Arm) -> str:
    """Return all numbers of all seeds as comma-separated values."""
    seeds, columns = pair(ours, theirs)
    arms = names(ours, theirs)
    lines = [",".join(["seed", *(f"{name} of {arm}" for name in columns for arm in arms)])]
    for i, seed in enumerate(seeds):
        numbers = (f"{column[i]:.6g}" for both in columns.values() for column in both)
        lines.append(",".join([str(seed), *numbers]))
    return "\n".join(lines) + "\n"


def _row(*cells: str) -> list[str]:
    return ["| " + " | ".join(cells) + " |"]


def _budgets(ours: Arm, theirs: Arm, arms: tuple[str, str]) -> str:
    code = f"code {ours.code}" if ours.code == theirs.code else f"code {ours.code}; {theirs.code}"
    said = f"Equal budgets: {ours.budget} steps a run; {code}."
    if ours.budget != theirs.budget:
        said = (
            f"UNEQUAL BUDGETS: {arms[0]} trained {ours.budget} steps a run, {arms[1]} "
            f"{theirs.budget}; {code}."
        )
    for arm, name in zip((ours, theirs), arms, strict=True):
        if arm.lost:
            said += f" Of {name}, {arm.lost} steps of failed members were not trained."
    return said
