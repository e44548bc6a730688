"""Is one arm better than another: the same seeds, equal budgets, every seed shown, an interval."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from scipy import stats

from analysis.runs import RunData
from analysis.scores import top_mean

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Arm:
    """What several seeds of one preset came to: a number per seed, by name of the number."""

    name: str
    seeds: tuple[int, ...]
    numbers: Mapping[str, tuple[float, ...]]
    budget: int  # steps trained by all members of a run
    code: str


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
    found["top five"] = top_mean([history[-1].member.fitness for history in run.histories])
    found["seconds"] = seconds(run)
    return found


def seconds(run: RunData) -> float:
    """Return the worker time that a run took, without waiting for others."""
    apart = ("step", "eval", "report", "load", "save", "read", "pin", "publish", "claim")
    return math.fsum(
        record.seconds.get(phase, 0.0)
        for history in run.histories
        for record in history
        for phase in apart
    )


def arm(runs: Sequence[RunData]) -> Arm:
    """Collect the seeds of one preset.

    Raises:
        ValueError: they are of several presets, of unequal budgets, unfinished, or twice the same.
    """
    names = sorted({run.name for run in runs})
    if len(names) != 1:
        raise ValueError(f"an arm is several seeds of one preset; these are {', '.join(names)}")
    for run in runs:
        steps = cast(int, run.settings["steps"])
        if late := [h[-1].member.id for h in run.histories if h[-1].member.step < steps]:
            raise ValueError(f"{run.path} is not done: members {late} have steps to go")
    runs = sorted(runs, key=lambda run: run.seed)
    seeds = tuple(run.seed for run in runs)
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"a seed is given twice: {seeds}")
    budgets = {sum(history[-1].member.step for history in run.histories) for run in runs}
    if len(budgets) != 1:
        raise ValueError(f"the runs of {names[0]} have unequal budgets: {sorted(budgets)} steps")
    found = [numbers_of(run) for run in runs]
    common = [name for name in found[0] if all(name in numbers for numbers in found)]
    columns = {name: tuple(numbers[name] for numbers in found) for name in common}
    codes = ", ".join(sorted({run.code for run in runs}))
    return Arm(names[0], seeds, columns, budgets.pop(), codes)


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
        return f"{mean:.3f}"
    half = float(stats.sem(values) * stats.t.ppf((1 + LEVEL) / 2, len(values) - 1))
    return f"{mean:.3f} ± {half:.3f}"


def pair(ours: Arm, theirs: Arm) -> tuple[list[int], dict[str, dict[str, list[float]]]]:
    """Return the seeds that both arms have, and the numbers that both have, by number and arm."""
    seeds = sorted(set(ours.seeds) & set(theirs.seeds))
    if not seeds:
        raise ValueError(
            f"{ours.name} and {theirs.name} have no seed in common: none can be paired"
        )
    names = [name for name in ours.numbers if name in theirs.numbers]
    columns = {
        name: {
            arm.name: [arm.numbers[name][arm.seeds.index(seed)] for seed in seeds]
            for arm in (ours, theirs)
        }
        for name in names
    }
    return seeds, columns


def table(ours: Arm, theirs: Arm) -> str:
    """Return the comparison as Markdown: every seed, then each number's means and differences.

    Seeds that only one arm has are left out, and said to be. All numbers of all seeds are in `csv`.
    """
    seeds, columns = pair(ours, theirs)
    shown = list(columns)[:2]  # what selected, and the first number that selection has not seen
    arms = (ours.name, theirs.name)
    lines = [f"{ours.name} against {theirs.name}: {len(seeds)} seeds in pairs", ""]
    lines += _row("seed", *(f"{name}, {arm}" for name in shown for arm in arms))
    lines += ["|" + " --- |" * (1 + 2 * len(shown))]
    for i, seed in enumerate(seeds):
        lines += _row(
            str(seed), *(f"{columns[name][arm][i]:.3f}" for name in shown for arm in arms)
        )
    lines += ["", "Means and paired differences, ± half of the 95 % t interval:", ""]
    lines += _row("", *arms, "difference", "higher in", "p")
    lines += ["|" + " --- |" * 6]
    for name, column in columns.items():
        difference = paired(column[ours.name], column[theirs.name])
        means = [interval(column[arm]) for arm in arms]
        found = f"{difference.mean:+.3f} ± {difference.half:.3f}"
        higher = f"{difference.wins} of {difference.n}"
        lines += _row(name, *means, found, higher, f"{difference.p:.3f}")
    lines += ["", _budgets(ours, theirs)]
    if left := sorted(set(ours.seeds) ^ set(theirs.seeds)):
        lines.append(f"Left out, because only one arm has them: seeds {left}.")
    return "\n".join(lines) + "\n"


def csv(ours: Arm, theirs: Arm) -> str:
    """Return all numbers of all seeds as comma-separated values."""
    seeds, columns = pair(ours, theirs)
    arms = (ours.name, theirs.name)
    lines = [",".join(["seed", *(f"{name} of {arm}" for name in columns for arm in arms)])]
    for i, seed in enumerate(seeds):
        numbers = (f"{columns[name][arm][i]:.6g}" for name in columns for arm in arms)
        lines.append(",".join([str(seed), *numbers]))
    return "\n".join(lines) + "\n"


def _row(*cells: str) -> list[str]:
    return ["| " + " | ".join(cells) + " |"]


def _budgets(ours: Arm, theirs: Arm) -> str:
    code = f"code {ours.code}" if ours.code == theirs.code else f"code {ours.code}; {theirs.code}"
    if ours.budget == theirs.budget:
        return f"Equal budgets: {ours.budget} steps a run; {code}."
    return (
        f"UNEQUAL BUDGETS: {ours.name} trained {ours.budget} steps a run, {theirs.name} "
        f"{theirs.budget}; {code}."
    )
