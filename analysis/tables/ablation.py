"""The results of an ablation study: each arm against its baseline, by axis and by pairs of axes.

An arm's improvement is the ratio of its result to that of the random search with as many members
and the same seed, as in the paper's figure 5 (1 is the baseline). If a score may be 0 or negative,
it is the difference (0 is the baseline). To compare two arms that are no random search, such as a
schedule and its final values, name one arm, and all others are measured by it.
"""

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from analysis.data.columns import Floats
from analysis.data.numbers import label
from analysis.data.runs import RunData, read_run, read_study, runs_of_study
from analysis.tables.statistics import holm, interval, t_test
from analysis.tables.tabular import NONE, Table, markdown
from core.directory.run import RunError

Level = str | float
SELECTED = "selected"
SHOWN = 3  # names of arms that are not done, for each seed that is left out


@dataclass(frozen=True, slots=True)
class Ablation:
    """A study that was read: the improvement of each arm over its baseline, seed by seed.

    seeds: the seeds of which every arm is done.
    improvements: by arm, in the order of `seeds`.
    baselines: by arm, the arm that it is measured against.
    levels: by arm and axis.
    is_ratio: whether 1 is the baseline; otherwise 0 is.
    number: what is compared: "selected", the score, or a reported number.
    lower: whether a lower number is known to be better.
    missing: runs that are not there or not done, as "arm/seed".
    unequal: a sentence for each arm that has another budget than its baseline.
    unread: a sentence for each run that is partly unreadable, or in which no member copied another.
    results: by arm, including baselines, in the order of `seeds`.
    measure: the arm that all are measured by; "" if each is measured by its random search.
    read: the directories of the runs, by their identity.
    asked: the name of the reported number, as the report has it; "" for the score.
    """

    seeds: tuple[int, ...]
    improvements: Mapping[str, Floats]
    baselines: Mapping[str, str]
    levels: Mapping[str, Mapping[str, Level]]
    is_ratio: bool
    number: str
    lower: bool = False
    missing: tuple[str, ...] = field(default=())
    unequal: tuple[str, ...] = field(default=())
    unread: tuple[str, ...] = field(default=())
    results: Mapping[str, Floats] = field(default_factory=dict)
    measure: str = ""
    read: Mapping[str, str] = field(default_factory=dict)
    asked: str = ""

    @property
    def neutral(self) -> float:
        """The improvement of the baseline itself."""
        return 1.0 if self.is_ratio else 0.0

    @property
    def said(self) -> str:
        """The name of the number, and that lower is better if it is."""
        if self.number == SELECTED:
            return "selected score"
        return f"{self.number}{', lower is better' * self.lower}"

    @property
    def axes(self) -> list[str]:
        """The axes with more than one level."""
        names = dict.fromkeys(
            axis for arm in self.improvements for axis in self.levels.get(arm, {})
        )
        return [axis for axis in names if len(self.values(axis)) > 1]

    def values(self, axis: str) -> list[Level]:
        """Return the levels of an axis, numbers in order."""
        found = dict.fromkeys(
            self.levels[arm][axis] for arm in self.improvements if axis in self.levels.get(arm, {})
        )
        numbers = all(isinstance(level, int | float) for level in found)
        return sorted(found) if numbers else list(found)

    def having(self, levels: Mapping[str, Level]) -> list[str]:
        """Return the arms that have these levels."""
        return [
            arm
            for arm in self.improvements
            if all(self.levels.get(arm, {}).get(axis) == level for axis, level in levels.items())
        ]

    def meet(self, one: str, other: str) -> bool:
        """Whether any arm has a level of both axes."""
        pairs = itertools.product(self.values(one), self.values(other))
        return any(self.having({one: a, other: b}) for a, b in pairs)

    def mean(self, arms: Sequence[str]) -> Floats:
        """Return the mean over arms for each seed: every interval is over seeds."""
        return np.mean([self.improvements[arm] for arm in arms], axis=0)  # type: ignore[no-any-return]


def read_ablation(
    root: Path,
    number: str | None = None,
    *,
    lower: bool = False,
    measure: str | None = None,
    difference: bool = False,
) -> Ablation:
    """Read the directory of a study, one run at a time, and keep only the results.

    An arm without a finished run is left out, and then each seed that another arm lacks.

    Args:
        number: a reported number to compare instead of the selected score. It is that of the
            selected member of each run, never the best reported one.
        lower: whether a lower number is better.
        measure: an arm that all others are measured by, instead of each by its random search.
        difference: whether to take differences even if ratios are possible.

    Raises:
        RunError: it is not a study, has no baseline or no such arm, or no seed of which every arm
            is done.
    """
    about = read_study(root)
    found = _read_arms(runs_of_study(root), number)
    results = found.results
    whole = [seed for seed in found.seeds if all(seed in of for of in results.values())]
    if not results or not whole:
        raise RunError(
            f"{root} has no seed of which all arms are done: missing {found.missing[0]} ..."
        )
    against = _against(root, found, about["baseline"], measure)
    table = {arm: np.array([of[seed] for seed in whole]) for arm, of in results.items()}
    ratio = not difference and all((table[search] > 0).all() for search in against.values())
    return Ablation(
        seeds=tuple(whole),
        improvements={
            arm: table[arm] / table[search] if ratio else table[arm] - table[search]
            for arm, search in against.items()
        },
        baselines=against,
        levels={str(arm): dict(at) for arm, at in dict(about["levels"]).items()},  # type: ignore[call-overload]
        is_ratio=ratio,
        number=SELECTED if number is None else label(number),
        lower=lower,
        missing=tuple(found.missing),
        unequal=tuple(
            f"UNEQUAL BUDGETS: {arm} trained {found.budgets[arm]} steps a run, "
            f"{search} {found.budgets[search]}."
            for arm, search in against.items()
            if found.budgets[arm] != found.budgets[search]
        ),
        unread=tuple(found.unread),
        results=table,
        measure=measure or "",
        read=found.read,
        asked=number or "",
    )


@dataclass(slots=True)
class _Arms:
    """The finished runs of a study.

    seeds: all seeds of the study, done or not.
    results: the compared number, by arm and seed.
    sizes: the number of members of a run, by arm.
    budgets: the steps of all members of a run, by arm.
    tasks: the task, by arm.
    searches: the number of members of a run, by arm that is a random search.
    missing: as in Ablation.
    unread: as in Ablation.
    read: as in Ablation.
    """

    seeds: Sequence[int]
    results: dict[str, dict[int, float]] = field(default_factory=dict)
    sizes: dict[str, float] = field(default_factory=dict)
    budgets: dict[str, int] = field(default_factory=dict)
    tasks: dict[str, object] = field(default_factory=dict)
    searches: dict[str, float] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    read: dict[str, str] = field(default_factory=dict)


def _read_arms(places: Mapping[tuple[str, int], Path], number: str | None) -> _Arms:
    found = _Arms(list(dict.fromkeys(seed for _, seed in places)))
    for (arm, seed), path in places.items():
        run = _finished(path)
        if run is None:
            found.missing.append(f"{arm}/{seed}")
            continue
        found.read[run.id] = str(path)
        if run.problems:
            found.unread.append(f"NOT COMPLETE: {arm}/{seed} is {run.state}.")
        if run.idle:
            found.unread.append(f"NOT PBT: {run.idle}")
        found.results.setdefault(arm, {})[seed] = run.result(number)
        found.sizes[arm], found.budgets[arm] = float(run.members), run.members * run.steps
        found.tasks[arm] = run.settings["task"]
        if run.settings.is_search:
            found.searches[arm] = found.sizes[arm]
    return found


def _against(root: Path, found: _Arms, baseline: object, measure: str | None) -> dict[str, str]:
    """Return by arm what it is measured against: `measure`, or its random search."""
    if measure is None:
        against = _by_search(root, baseline, found.searches, found.sizes, found.tasks)
    elif measure in found.results:
        against = dict.fromkeys([arm for arm in found.results if arm != measure], measure)
    else:
        raise RunError(
            f"{root} has no arm {measure!r} that is done: name one of {', '.join(found.results)}"
        )
    if measure and not against:
        raise RunError(
            f"{root} has no arm that is done but {measure}: wait for another to measure by it"
        )
    if not against:
        raise RunError(f"{root} has no arm that is done but random searches: nothing to compare")
    return against


def _by_search(
    root: Path,
    baseline: object,
    searches: Mapping[str, float],
    sizes: Mapping[str, float],
    tasks: Mapping[str, object],
) -> dict[str, str]:
    """Return for each arm the random search with as many members, or else the study's baseline."""
    default = str(baseline) if baseline in sizes else ""
    if default:  # hypers that are fixed by hand are an arm and no search: their task differs
        searches = {arm: n for arm, n in searches.items() if tasks[arm] == tasks[default]}
    if not default and not searches:
        raise RunError(
            f"{root} has no baseline that is done: give the study one, or an arm that is never "
            "ready"
        )
    against = {
        arm: next((s for s in (default, *searches) if searches.get(s) == size), default)
        for arm, size in sizes.items()
        if arm not in searches
    }
    if lone := [arm for arm, search in against.items() if not search]:
        raise RunError(f"there is no random search with as many members as {lone[0]} has")
    return against


def _finished(path: Path) -> RunData | None:
    try:
        run = read_run(path)
    except RunError:
        return None
    return run if run.is_done else None


# ----------------------------------------------------------------------------- numbers


def half(values: Floats) -> float:
    """Return half the width of the 95 % t interval of a mean over seeds; NaN if there is none."""
    found = interval(values.tolist()) if np.isfinite(values).all() else None
    return math.nan if found is None else found.half


def p_value(values: Floats, neutral: float) -> float:
    """Return the two-sided p of a t-test against the baseline's mean; NaN if there is none."""
    if not np.isfinite(values).all():
        return math.nan
    found = t_test(values.tolist(), [neutral] * len(values), paired=True)
    return math.nan if found is None else found.p


def interaction(study: Ablation, one: str, other: str) -> tuple[Floats, Floats]:
    """Return what each pair of levels has beyond the sum of both axes, and half of its interval.

    Both are [levels of one, levels of other], and NaN if an arm of some pair is missing. If all are
    0, the axes do not interact. Each seed is computed on its own, so the intervals are over seeds.
    """
    rows, columns = study.values(one), study.values(other)
    cells = np.full((len(study.seeds), len(rows), len(columns)), math.nan)
    for i, j in itertools.product(range(len(rows)), range(len(columns))):
        if arms := study.having({one: rows[i], other: columns[j]}):
            cells[:, i, j] = study.mean(arms)
    if np.isnan(cells).any():
        nothing = np.full(cells.shape[1:], math.nan)
        return nothing, nothing
    effect = cells - cells.mean(axis=2, keepdims=True) - cells.mean(axis=1, keepdims=True)
    effect += cells.mean(axis=(1, 2), keepdims=True)
    halves = np.apply_along_axis(half, 0, effect)
    return effect.mean(axis=0), halves


def ranking(study: Ablation) -> str:
    """Return all arms as Markdown, best first, then what each arm reached with each seed.

    If it is unknown whether higher is better, the highest is first.
    """

    def best_first(arm: str) -> float:
        mean = float(study.improvements[arm].mean())
        return math.inf if math.isnan(mean) else mean if study.lower else -mean

    arms = sorted(study.improvements, key=best_first)
    improvements = [study.improvements[arm] for arm in arms]
    ps = [p_value(values, study.neutral) for values in improvements]
    n = len(study.seeds)
    what, to = ("ratio", "to") if study.is_ratio else ("difference", "from")
    by = f"{study.measure} with" if study.measure else "the random search with as many members and"
    way, higher = (-1, "lower") if study.lower else (1, "higher")
    table = Table(
        f"{len(arms)} arms, {n} seed{'s' * (n > 1)} each; {study.said}, of the best member at the "
        f"end, as {what} {to} {by} the same seed.",
        ["rank", "arm", what, "95 % (t)", f"{higher} in", "p", "p (Holm)", "against"],
        [
            [
                str(rank),
                arm,
                shown(float(values.mean()), ".4g"),
                _around(values),
                f"{int((way * values > way * study.neutral).sum())} of {n}",
                shown(p, ".2g"),
                shown(corrected, ".2g"),
                study.baselines[arm],
            ]
            for rank, (arm, values, p, corrected) in enumerate(
                zip(arms, improvements, ps, holm(ps), strict=True), start=1
            )
        ],
        left=2,
    )
    said = [*study.unread, *study.unequal]
    if study.number != SELECTED and not study.lower:
        said.append(
            f"The highest is first; no run says whether a higher {study.number} is better. "
            f"--lower {study.asked or study.number} has the lowest first."
        )
    if n < 2:
        said.append("One seed: no interval is claimed.")
    for seed, run in itertools.groupby(sorted(study.missing, key=_seed), key=_seed):
        arms = [name.rpartition("/")[0] for name in run]
        some = ", ".join(arms[:SHOWN]) + (" ..." if len(arms) > SHOWN else "")
        said.append(f"Left out: seed {seed}, of which {len(arms)} arms are not done ({some}).")
    return "\n".join([markdown(table), markdown(_reached(study)), *(f"{line}\n" for line in said)])


def _reached(study: Ablation) -> Table:
    """Return the results of each arm, not compared with its baseline."""
    return Table(
        f"The {study.said} itself, with seeds {', '.join(map(str, study.seeds))}:",
        ["arm", "mean", "95 % (t)", "median", "each seed"],
        [
            [
                arm,
                shown(float(values.mean()), ".4g"),
                _around(values),
                shown(float(np.median(values)), ".4g"),
                ", ".join(shown(value, ".4g") for value in values.tolist()),
            ]
            for arm, values in study.results.items()
        ],
    )


def _around(values: Floats) -> str:
    width = half(values)
    return NONE if math.isnan(width) else f"± {width:.3g}"


def shown(number: float, form: str) -> str:
    """Return a number as text; a dash for NaN."""
    return NONE if math.isnan(number) else f"{number:{form}}"


def _seed(name: str) -> int:
    return int(name.rpartition("/")[2])


def study_as_json(study: Ablation) -> str:
    """Return every number as JSON."""
    arms = {
        arm: {
            "improvements": _finite(values),
            "against": study.baselines[arm],
            "levels": dict(study.levels.get(arm, {})),
        }
        for arm, values in study.improvements.items()
    }
    body = {
        "seeds": study.seeds,
        "number": study.number,
        "lower": study.lower,
        "is_ratio": study.is_ratio,
        "arms": arms,
    }
    body |= {"missing": study.missing, "measure": study.measure}
    body |= {"results": {arm: _finite(values) for arm, values in study.results.items()}}
    return json.dumps(body, indent=1) + "\n"


def _finite(values: Floats) -> list[float | None]:
    return [x if math.isfinite(x) else None for x in values.tolist()]
