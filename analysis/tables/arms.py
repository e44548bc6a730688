"""The arms of a comparison: each is several seeds of one run, checked to be comparable."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import cast

import numpy as np

from analysis.data.columns import Columns
from analysis.data.numbers import (
    COSTS,
    costs,
    label,
    last_step,
    report_steps,
    results,
    until,
    untrained_steps,
)
from analysis.data.runs import RunData
from core.directory.run import differences

NEAR = 0.05  # relative difference of seconds below which two arms are called equal


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """The results of several seeds of one run.

    name: of the run.
    paths: in the order of the seeds.
    seeds: in ascending order.
    runs: in the order of the seeds.
    numbers: by name, one for each seed; NaN where a run has none.
    members: of each run.
    steps: of each member; for unfinished runs, the steps up to which they are compared.
    task: what must be the same in another arm: the trainer, the score, the names of the hypers.
    held_out: by the name of a reported number, the steps at which all runs reported it.
    code: the commits.
    untrained_steps: the steps that failed members did not train, over all runs.
    reported: the names of all numbers that any run reported.
    left_out: sentences about reported numbers that cannot be compared, and why.
    damage: sentences about runs that are partly unreadable, or in which no member copied another.
    """

    name: str
    paths: tuple[Path, ...]
    seeds: tuple[int, ...]
    runs: tuple[Columns, ...]
    numbers: Mapping[str, tuple[float, ...]]
    members: int
    steps: int
    task: Mapping[str, object]
    held_out: Mapping[str, tuple[int, ...]]
    code: str
    untrained_steps: int
    reported: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    damage: tuple[str, ...] = ()

    @property
    def budget(self) -> int:
        """The steps that all members of a run train for together."""
        return self.members * self.steps

    def mean(self, name: str) -> float:
        """Return the mean of a number over all seeds."""
        return float(np.mean(self.numbers[name]))


def arm(runs: Sequence[RunData], step: int | None = None) -> Arm:
    """Collect the seeds of one run.

    Args:
        step: the step up to which unfinished runs are compared; None for runs that are done.

    Raises:
        ValueError: the runs differ in more than their seed, one is unfinished, a seed is given
            twice, or a member has published nothing.
    """
    first, runs = runs[0], sorted(runs, key=lambda run: run.seed)
    _check_seeds(first, runs)
    seeds = tuple(run.seed for run in runs)
    data = [_as_far_as(run, step) for run in runs]
    found = [results(columns) | costs(columns) for columns in data]
    reported, held_out, left_out = _reported(runs, data, found)
    names = dict.fromkeys(name for numbers in found for name in numbers)
    return Arm(
        name=first.name,
        paths=tuple(run.path for run in runs),
        seeds=seeds,
        runs=tuple(data),
        numbers={n: tuple(numbers.get(n, np.nan) for numbers in found) for n in names},
        members=data[0].members,
        steps=first.steps if step is None else step,
        task=_task(first),
        held_out=held_out,
        code=", ".join(sorted({run.code for run in runs})),
        untrained_steps=sum(map(untrained_steps, data)),
        reported=reported,
        left_out=left_out,
        damage=(
            *(f"NOT COMPLETE: {run.path} is {run.state}." for run in runs if run.problems),
            *(f"NOT PBT: {run.idle}" for run in runs if run.idle),
        ),
    )


def _check_seeds(first: RunData, runs: Sequence[RunData]) -> None:
    """Refuse runs that differ in more than their seed, and a seed that is given twice."""
    for run in runs:
        if different := differences(_but_seed(first), _but_seed(run)):
            raise ValueError(
                f"an arm is several seeds of one run; {first.path} and {run.path} differ in more: "
                + "; ".join(different)
                .replace("in the run", "in the first")
                .replace("now", "in the other")
            )
    seeds = tuple(run.seed for run in runs)
    for before, run in pairwise(runs):
        if before.seed == run.seed:
            raise ValueError(
                f"a seed is given twice: {seeds}; {before.path} and {run.path} both have {run.seed}"
            )


def _reported(
    runs: Sequence[RunData], data: Sequence[Columns], found: Sequence[Mapping[str, float]]
) -> tuple[tuple[str, ...], dict[str, tuple[int, ...]], tuple[str, ...]]:
    """Return `reported`, `held_out` and `left_out` of an Arm.

    Args:
        found: the numbers of each run, by name.
    """
    reported = {
        name: [report_steps(columns, name) if name in columns.report else () for columns in data]
        for name in dict.fromkeys(name for columns in data for name in columns.report)
    }
    held_out, left_out = {}, []
    for name, steps in reported.items():
        missing = [
            run.path
            for run, numbers in zip(runs, found, strict=True)
            if not np.isfinite(numbers.get(label(name), np.nan))
        ]
        if missing:
            left_out.append(
                f"{name} is left out: the best member of {missing[0]} did not report it at its "
                "last step" + (f", nor {len(missing) - 1} more" if missing[1:] else "")
            )
        else:
            held_out[name] = steps[0] if len(set(steps)) == 1 else ()
    return tuple(reported), held_out, tuple(left_out)


def common_step(runs: Sequence[RunData]) -> int:
    """Return the last step that all members of all runs have done.

    Raises:
        ValueError: a member has done no step, or published nothing.
    """
    steps = {run.path: last_step(_spoken(run)) for run in runs}
    if min(steps.values()) < 1:
        slow = next(path for path, step in steps.items() if step < 1)
        raise ValueError(
            f"{slow} has a member that has done no step yet: nothing to compare so far"
        )
    return min(steps.values())


def _as_far_as(run: RunData, step: int | None) -> Columns:
    data = _spoken(run)
    if step is not None:
        return until(data, step)
    if run.late:
        raise ValueError(
            f"{run.path} is not done: members {run.late} have steps to go; let it finish, or "
            "give --so-far to compare all runs at the last step that all have done"
        )
    return data


def _spoken(run: RunData) -> Columns:
    """Return the records of a run; refuse a run in which a member has none."""
    if run.silent:
        raise ValueError(
            f"{run.path} cannot be compared: members {run.silent} have published nothing"
        )
    return run.columns


def _but_seed(run: RunData) -> dict[str, object]:
    return {"preset": run.preset} | {k: v for k, v in run.settings.items() if k != "seed"}


def _task(run: RunData) -> dict[str, object]:
    task = cast(Mapping[str, object], run.settings["task"])
    return {"trainer": task["trainer"], "score": run.score, "hypers": sorted(run.hypers)}


def check_alike(ours: Arm, theirs: Arm) -> None:
    """Refuse arms of different problems.

    Raises:
        ValueError: trainer, score or hyperparameters differ; the message names which.
    """
    if different := differences(ours.task, theirs.task):
        raise ValueError(
            f"{ours.paths[0]} and {theirs.paths[0]} are of different tasks, and cannot be "
            "compared: "
            + "; ".join(different)
            .replace("in the run", f"in {ours.name}")
            .replace("now", f"in {theirs.name}")
        )


def names(ours: Arm | RunData, theirs: Arm | RunData) -> tuple[str, str]:
    """Return what to call the arms: their presets' functions, with "(first)" if they are equal."""
    if ours.name != theirs.name:
        return ours.name, theirs.name
    return f"{ours.name} (first)", f"{theirs.name} (second)"


def budgets(ours: Arm, theirs: Arm) -> list[str]:
    """Return sentences about steps, evaluations and seconds; those about UNEQUAL ones first."""
    mine, other = names(ours, theirs)
    code = f"code {ours.code}" if ours.code == theirs.code else f"code {ours.code}; {theirs.code}"
    found = [f"Equal budgets: {ours.budget} steps a run; {code}."]
    if ours.budget != theirs.budget:
        found = [
            f"UNEQUAL BUDGETS: {mine} trained {ours.budget} steps a run, {other} {theirs.budget}; "
            f"{code}."
        ]
    for arm, name in ((ours, mine), (theirs, other)):
        if arm.untrained_steps:
            found.append(
                f"UNEQUAL STEPS: of {name}, {arm.untrained_steps} steps of failed members were "
                "not trained."
            )
    for cost, limit, why in zip(
        COSTS[1:], (0.0, NEAR), (" (each copy is evaluated once more)", ""), strict=True
    ):
        ratio = ours.mean(cost) / theirs.mean(cost) - 1 if theirs.mean(cost) else 0.0
        if abs(ratio) > limit:
            found.append(
                f"UNEQUAL {cost.upper()}: {mine} {ours.mean(cost):.5g} a run, {other} "
                f"{theirs.mean(cost):.5g}: {ratio:+.1%}{why}."
            )
    return sorted(found, key=lambda line: not line.startswith("UNEQUAL"))
