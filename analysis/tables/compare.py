"""Is one arm better than another? Budgets, all seeds, intervals, and named tests."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.data.numbers import COSTS, TIMES, Target, label, of_report, times
from analysis.tables.arms import Arm, budgets, check_alike, names
from analysis.tables.statistics import (
    Interval,
    Method,
    Test,
    difference_interval,
    hedges_g,
    holm,
    interval,
    logrank_scores,
    permutation_test,
    t_test,
)

AT_END, REPEATED = "selected", ("top five", "area", "peak")  # these also of held-out numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One number in both arms.

    name: of the number.
    ours: a value for each seed; in pairs with `theirs` if the seeds are shared.
    theirs: the same of the other arm.
    means: of ours and theirs; NaN where there is none.
    intervals: of ours and theirs; None where there is none.
    never: for a time, the number of runs of each arm that never reached the target. They count
        with the time at which they stopped, so that the means are lower bounds.
    difference: of the means.
    of: the interval of the difference.
    effect: Hedges' g.
    higher: in how many pairs ours is higher; equal ones count half.
    comparisons: the number of these pairs; all possible pairs if the seeds are not shared.
    t: the t-test.
    permutation: the permutation test; of log-rank scores if a run never reached the target.
    holm: the p of the t-test, or else of the permutation test, corrected for all rows.
    """

    name: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    means: tuple[float, float]
    intervals: tuple[Interval | None, Interval | None]
    never: tuple[int, int] = (0, 0)
    difference: float = math.nan
    of: Interval | None = None
    effect: float = math.nan
    higher: float = math.nan
    comparisons: int = 0
    t: Test | None = None
    permutation: Test | None = None
    holm: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One arm against another.

    names: of both arms.
    seeds: of both arms, as far as they are compared.
    paired: whether both arms have these seeds.
    score: the name of the selected score.
    targets: the scores and reported numbers whose times are compared.
    equal: whether a run of each arm has as many steps.
    damage: sentences about runs that are partly unreadable.
    budgets: sentences, about unequal budgets first.
    rows: the results.
    costs: steps, evaluations and seconds, which are not tested.
    notes: sentences about all else that a reader must know.
    step: the step at which unfinished runs were cut; None if all are done.
    method: of the intervals.
    held_out: the reported numbers that are compared.
    lower: the reported numbers of which lower is better.
    """

    names: tuple[str, str]
    seeds: tuple[tuple[int, ...], tuple[int, ...]]
    paired: bool
    score: str
    targets: tuple[Target, ...]
    equal: bool
    damage: tuple[str, ...]
    budgets: tuple[str, ...]
    rows: tuple[Row, ...]
    costs: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    step: int | None = None
    method: Method = "t"
    held_out: tuple[str, ...] = ()
    lower: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """The number of pairs, or of the seeds of the smaller arm."""
        return min(map(len, self.seeds))


def compare(
    ours: Arm,
    theirs: Arm,
    *,
    target: float | None = None,
    held_out: Sequence[str] = (),
    lower: Sequence[str] = (),
    method: Method = "t",
    step: int | None = None,
) -> Comparison:
    """Compare two arms in all numbers that both have.

    Args:
        target: the selected score to reach; None for the median of the last scores of `theirs`.
        held_out: reported numbers to compare and to time; () to compare all and time none, because
            it is unknown whether they should be high.
        lower: reported numbers that should be low; they are timed too.
        method: of the intervals.
        step: the step at which unfinished runs were cut, for the reader.

    Raises:
        ValueError: the arms cannot be compared; the message says why.
    """
    check_alike(ours, theirs)
    notes = [f"{line}." for line in dict.fromkeys((*ours.left_out, *theirs.left_out))]
    known = [name for name in ours.held_out if name in theirs.held_out]
    if alone := sorted(set(ours.reported) ^ set(theirs.reported)):
        notes.append(f"Only one arm has {', '.join(alone)}.")
    named = list(dict.fromkeys((*held_out, *lower)))
    _check_known(named, known)
    chosen = named if held_out else known
    mine, other, paired = _seeds(ours, theirs, notes)
    sides = ours, theirs
    rows = []
    for name in _names(ours, theirs, chosen, notes):
        rows.append(_row(name, ours, theirs, (mine, other), paired, method))
    targets = _targets(theirs, other, target, named, lower)
    for goal in targets:
        rows += _timed(goal, sides, (mine, other), paired, method)
    primary = [test.p if (test := row.t or row.permutation) else math.nan for row in rows]
    rows = [replace(row, holm=p) for row, p in zip(rows, holm(primary), strict=True)]
    for row in rows:
        if not np.isfinite((*row.ours, *row.theirs)).all():
            notes.append(f"{row.name} is not compared: a seed has no such number.")
    return Comparison(
        names=names(ours, theirs),
        seeds=(mine, other),
        paired=paired,
        score=str(ours.task["score"]),
        targets=targets,
        equal=ours.budget == theirs.budget,
        damage=(*ours.damage, *theirs.damage),
        budgets=tuple(budgets(ours, theirs)),
        rows=tuple(rows),
        costs=tuple(_row(n, ours, theirs, (mine, other), paired, method) for n in COSTS),
        notes=tuple(notes),
        step=step,
        method=method,
        held_out=tuple(chosen),
        lower=tuple(lower),
    )


def _check_known(names: Sequence[str], known: Sequence[str]) -> None:
    """Refuse the name of a number that the best members of some runs did not report."""
    for name in names:
        if name not in known:
            there = ", ".join(known) if known else "none"
            raise ValueError(
                f"no held-out number {name!r} was reported by the best members of all runs; "
                f"there are: {there}"
            )


def _seeds(
    ours: Arm, theirs: Arm, notes: list[str]
) -> tuple[tuple[int, ...], tuple[int, ...], bool]:
    """Return the seeds to compare, and whether in pairs: if at least half are shared."""
    shared = tuple(sorted(set(ours.seeds) & set(theirs.seeds)))
    fewer = min(len(ours.seeds), len(theirs.seeds))
    if shared and 2 * len(shared) >= fewer and (len(shared) > 1 or fewer == 1):
        if left := sorted(set(ours.seeds) ^ set(theirs.seeds)):
            notes.append(f"Left out, because only one arm has them: seeds {left}.")
        return shared, shared, True
    if fewer == 1:
        mine, other = names(ours, theirs)
        raise ValueError(
            f"{mine} has seeds {list(ours.seeds)}, {other} {list(theirs.seeds)}: no seed in common "
            "to be paired, and a single run has no spread to be tested by; run the seeds of the "
            "one in the other, or at least two of each"
        )
    if shared:
        notes.append(f"Not paired: of the seeds, both arms have {list(shared)} alone.")
    return ours.seeds, theirs.seeds, False


def _names(ours: Arm, theirs: Arm, held_out: Sequence[str], notes: list[str]) -> list[str]:
    found = [AT_END, *map(label, held_out)]
    for name in REPEATED:
        found.append(name)
        for other in held_out:
            if ours.held_out[other] == theirs.held_out[other] != ():
                found.append(of_report(name, other))
            elif name == REPEATED[0]:
                found.append(of_report(name, other))  # of the last step alone
                notes.append(
                    f"Area and peak of {other} are left out: it was not reported at the same steps "
                    "in all runs."
                )
    return found


def _row(
    name: str,
    ours: Arm,
    theirs: Arm,
    seeds: tuple[tuple[int, ...], tuple[int, ...]],
    paired: bool,
    method: Method,
) -> Row:
    mine, other = (
        tuple(arm.numbers[name][arm.seeds.index(seed)] for seed in some)
        for arm, some in zip((ours, theirs), seeds, strict=True)
    )
    return row_of(name, mine, other, paired=paired, method=method)


def row_of(
    name: str,
    ours: tuple[float, ...],
    theirs: tuple[float, ...],
    *,
    paired: bool,
    method: Method = "t",
    reached: tuple[tuple[bool, ...], tuple[bool, ...]] | None = None,
) -> Row:
    """Compare one number.

    Args:
        reached: for times, whether each run reached the target; None for other numbers.
    """
    finite = [bool(np.isfinite(values).all()) for values in (ours, theirs)]
    means = [
        float(np.mean(v)) if f else math.nan for v, f in zip((ours, theirs), finite, strict=True)
    ]
    spans = [
        interval(v, method) if f else None for v, f in zip((ours, theirs), finite, strict=True)
    ]
    row = Row(
        name=name,
        ours=ours,
        theirs=theirs,
        means=(means[0], means[1]),
        intervals=(spans[0], spans[1]),
    )
    if not all(finite):
        return row
    signs = np.sign(np.subtract(ours, theirs) if paired else np.subtract.outer(ours, theirs))
    row = replace(
        row,
        difference=means[0] - means[1],
        of=difference_interval(ours, theirs, paired=paired, how=method),
        higher=float((signs + 1).sum() / 2),
        comparisons=signs.size,
    )
    if reached is None or all(map(all, reached)):
        return replace(
            row,
            effect=hedges_g(ours, theirs),
            t=t_test(ours, theirs, paired=paired),
            permutation=permutation_test(ours, theirs, paired=paired),
        )
    scores = logrank_scores((*ours, *theirs), (*reached[0], *reached[1]))
    return replace(
        row,
        never=(reached[0].count(False), reached[1].count(False)),
        permutation=permutation_test(scores[: len(ours)], scores[len(ours) :], paired=paired),
    )


def _targets(
    theirs: Arm,
    seeds: Sequence[int],
    target: float | None,
    held_out: Sequence[str],
    lower: Sequence[str],
) -> tuple[Target, ...]:
    """Return the targets, without those for which the baseline has no finite number."""
    at = [theirs.seeds.index(seed) for seed in seeds]

    def median(name: str) -> float:
        return float(np.median(np.array(theirs.numbers[name])[at]))

    found = [Target(median(AT_END) if target is None else target)]
    found += [Target(median(label(n)), n, n in lower) for n in dict.fromkeys(held_out)]
    return tuple(goal for goal in found if math.isfinite(goal.value))


def _timed(
    goal: Target,
    arms: tuple[Arm, Arm],
    seeds: tuple[tuple[int, ...], tuple[int, ...]],
    paired: bool,
    method: Method,
) -> list[Row]:
    """Compare the steps and seconds to a target, within the length of the shorter runs."""
    horizon = min(arm.steps for arm in arms)
    mine, other = (
        [times(arm.runs[arm.seeds.index(seed)], goal, horizon) for seed in some]
        for arm, some in zip(arms, seeds, strict=True)
    )
    reached = tuple(r for _, _, r in mine), tuple(r for _, _, r in other)
    rows = []
    for place, name in enumerate(TIMES):
        values = [tuple(float(found[place]) for found in side) for side in (mine, other)]
        name = of_report(name, goal.of) if goal.of else name
        rows.append(row_of(name, *values, paired=paired, method=method, reached=reached))
    return rows
