"""What an ablation study says: each arm against its baseline, axis by axis, and two axes together.

An arm's improvement is its result over that of the random search with as many members and the same
seed, as in the paper's figure 5 (a ratio, so 1 is the baseline); where a score may be 0 or negative
it is the difference, so 0 is the baseline.
"""

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import stats

from analysis.runs import RunData, read_runs
from analysis.style import BASELINE, PBT
from core.files import Unreadable, read
from core.record import OtherFormat, unseal
from core.run import LARGEST_INFO, RunError

LEVEL = 0.95
Level = str | float
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ablation:
    """A study, read: per arm the improvement of each seed over the arm's baseline.

    improvements: by arm, in the order of `seeds`. baselines: by arm, what it is measured against.
    levels: of each arm, by axis. is_ratio: whether 1 is the baseline, else 0.
    missing: runs that are not there or not done, as "arm/seed".
    unequal: a sentence for each arm that has another budget than its baseline.
    """

    seeds: tuple[int, ...]
    improvements: Mapping[str, Floats]
    baselines: Mapping[str, str]
    levels: Mapping[str, Mapping[str, Level]]
    is_ratio: bool
    number: str  # what is compared: the selected score, or a reported number
    missing: tuple[str, ...] = field(default=())
    unequal: tuple[str, ...] = field(default=())

    @property
    def neutral(self) -> float:
        """What the baseline itself has."""
        return 1.0 if self.is_ratio else 0.0

    @property
    def axes(self) -> list[str]:
        """The axes on which more than one level was tried."""
        names = dict.fromkeys(
            axis for arm in self.improvements for axis in self.levels.get(arm, {})
        )
        return [axis for axis in names if len(self.values(axis)) > 1]

    def values(self, axis: str) -> list[Level]:
        """Return the levels of an axis that were tried, numbers in order."""
        found = dict.fromkeys(
            self.levels[arm][axis] for arm in self.improvements if axis in self.levels.get(arm, {})
        )
        numbers = all(isinstance(level, int | float) for level in found)
        return sorted(found) if numbers else list(found)

    def having(self, **levels: Level) -> list[str]:
        """Return the arms that have these levels."""
        return [
            arm
            for arm in self.improvements
            if all(self.levels.get(arm, {}).get(axis) == level for axis, level in levels.items())
        ]

    def meet(self, one: str, other: str) -> bool:
        """Whether any arm is on both axes."""
        pairs = itertools.product(self.values(one), self.values(other))
        return any(self.having(**{one: a, other: b}) for a, b in pairs)

    def mean(self, arms: Sequence[str]) -> Floats:
        """Return the mean over arms, by seed: the seeds stay the units of every interval."""
        return np.mean([self.improvements[arm] for arm in arms], axis=0)  # type: ignore[no-any-return]


def read_ablation(root: Path, number: str | None = None) -> Ablation:
    """Read the directory of a study.

    Args:
        number: a reported number to compare instead of the selected score. Of each run that of the
            member that selection chose is read: never the best of the reported ones.

    Raises:
        RunError: it is no study, has no baseline, or no seed of which every arm is done.
    """
    about = _about(root)
    seeds = [int(str(seed)) for seed in _list(about["seeds"])]
    arms = [str(arm) for arm in _list(about["arms"])]
    levels = {str(a): dict(at) for a, at in dict(about["levels"]).items()}  # type: ignore[call-overload]
    results: dict[str, dict[int, float]] = {arm: {} for arm in arms}
    searches: dict[str, float] = {}  # members of each arm that is a random search
    sizes: dict[str, float] = {}
    budgets: dict[str, int] = {}  # steps of all members of a run
    missing = []
    for arm, seed in itertools.product(arms, seeds):
        run = _finished(root / arm / str(seed))
        if run is None:
            missing.append(f"{arm}/{seed}")
            continue
        results[arm][seed] = _result(run, number)
        sizes[arm], budgets[arm] = float(len(run.histories)), len(run.histories) * run.steps
        if run.is_baseline and not run.settings.get("schedule"):
            searches[arm] = sizes[arm]
    whole = [seed for seed in seeds if all(seed in results[arm] for arm in arms)]
    if not whole:
        raise RunError(f"{root} has no seed of which all arms are done: missing {missing[0]} ...")
    default = str(about["baseline"])
    if not default and not searches:
        raise RunError(f"{root} has no baseline: give the study one, or an arm that is never ready")
    against = {
        arm: next((s for s, size in searches.items() if size == sizes[arm]), default or None)
        for arm in arms
        if arm not in searches
    }
    if lone := [arm for arm, search in against.items() if search is None]:
        raise RunError(f"there is no random search with as many members as {lone[0]} has")
    table = {arm: np.array([results[arm][seed] for seed in whole]) for arm in arms}
    ratio = all((table[str(search)] > 0).all() for search in against.values())
    improvements = {
        arm: table[arm] / table[str(search)] if ratio else table[arm] - table[str(search)]
        for arm, search in against.items()
    }
    return Ablation(
        tuple(whole),
        improvements,
        {arm: str(search) for arm, search in against.items()},
        levels,
        ratio,
        number or "selected",
        tuple(missing),
        tuple(
            f"UNEQUAL BUDGETS: {arm} trained {budgets[arm]} steps a run, "
            f"{search} {budgets[search]}."
            for arm, search in against.items()
            if search is not None and budgets[arm] != budgets[search]
        ),
    )


def _about(root: Path) -> dict[str, object]:
    try:
        return unseal(read(root / "study.json", LARGEST_INFO))
    except FileNotFoundError:
        raise RunError(f"{root} is not a study: it has no study.json") from None
    except (Unreadable, OtherFormat, OSError) as error:
        raise RunError(f"{root / 'study.json'} cannot be read: {error}") from error


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise RunError(f"study.json has {value!r} where a list is needed")
    return value


def _finished(root: Path) -> RunData | None:
    try:
        [run] = read_runs([root])
    except RunError:
        return None
    ends = [history[-1].member for history in run.histories if history]
    done = len(ends) == len(run.histories) and all(
        me.step >= run.steps and not me.waiting for me in ends
    )
    return run if done else None


def _result(run: RunData, number: str | None) -> float:
    best = run.best()
    if number is None:
        return best.member.score
    value = best.report.get(number)
    if not isinstance(value, int | float):
        there = ", ".join(name for name, x in best.report.items() if isinstance(x, int | float))
        raise RunError(f"{run.path} reports no {number!r}; it reports {there or 'nothing'}")
    return float(value)


# ----------------------------------------------------------------------------- numbers


def half(values: Floats) -> float:
    """Return half of the 95 % t interval of a mean over seeds; NaN of fewer than two."""
    if len(values) < 2 or not np.isfinite(values).all():
        return math.nan
    return float(stats.sem(values) * stats.t.ppf((1 + LEVEL) / 2, len(values) - 1))


def p_value(values: Floats, neutral: float) -> float:
    """Return the two-sided p of a t-test that the mean is the baseline's."""
    if len(values) < 2 or not np.isfinite(values).all():
        return math.nan
    if values.std() == 0:
        return 1.0 if values[0] == neutral else 0.0
    return float(stats.ttest_1samp(values, neutral).pvalue)


def holm(ps: Sequence[float]) -> list[float]:
    """Return p-values corrected for how many they are (Holm 1979); NaN stays NaN."""
    order = sorted((p, i) for i, p in enumerate(ps) if not math.isnan(p))
    found, least = [math.nan] * len(ps), 0.0
    for rank, (p, i) in enumerate(order):
        least = max(least, min(p * (len(order) - rank), 1.0))
        found[i] = least
    return found


def interaction(study: Ablation, one: str, other: str) -> tuple[Floats, Floats]:
    """Return what each pair of levels has beyond the sum of both axes, and half of its interval.

    [levels of one, levels of other]; NaN where no arm has the pair. 0 everywhere: the axes do not
    interact. Computed for each seed on its own, so the intervals are over seeds.
    """
    rows, columns = study.values(one), study.values(other)
    cells = np.full((len(study.seeds), len(rows), len(columns)), math.nan)
    for i, j in itertools.product(range(len(rows)), range(len(columns))):
        if arms := study.having(**{one: rows[i], other: columns[j]}):
            cells[:, i, j] = study.mean(arms)
    if np.isnan(cells).any():
        nothing = np.full(cells.shape[1:], math.nan)
        return nothing, nothing
    effect = cells - cells.mean(axis=2, keepdims=True) - cells.mean(axis=1, keepdims=True)
    effect += cells.mean(axis=(1, 2), keepdims=True)
    halves = np.apply_along_axis(half, 0, effect)
    return effect.mean(axis=0), halves


def ranking(study: Ablation) -> str:
    """Return all arms as Markdown, the greatest improvement first."""
    arms = sorted(study.improvements, key=lambda arm: -float(study.improvements[arm].mean()))
    ps = [p_value(study.improvements[arm], study.neutral) for arm in arms]
    n = len(study.seeds)
    what = "ratio to" if study.is_ratio else "difference from"
    lines = [
        f"{len(arms)} arms, {n} seeds each; {study.number} score of the best member at the end, as "
        f"{what} the random search with as many members and the same seed.",
        "",
        "| rank | arm | improvement | 95 % | higher in | p | p (Holm) | against |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for rank, (arm, p, corrected) in enumerate(zip(arms, ps, holm(ps), strict=True), start=1):
        values = study.improvements[arm]
        wins = int((values > study.neutral).sum())
        interval = f"± {half(values):.3g}" if n > 1 else "–"
        shown = [f"{x:.2g}" if not math.isnan(x) else "–" for x in (p, corrected)]
        lines.append(
            f"| {rank} | {arm} | {values.mean():.4g} | {interval} | {wins} of {n} | {shown[0]} | "
            f"{shown[1]} | {study.baselines[arm]} |"
        )
    if study.unequal:
        lines += ["", *study.unequal]
    if n < 2:
        lines += ["", "One seed: no interval is claimed."]
    if study.missing:
        lines += ["", f"Not done, and left out with their seeds: {', '.join(study.missing)}."]
    return "\n".join(lines) + "\n"


# ----------------------------------------------------------------------------- figures


def draw_axes(figure: Figure, study: Ablation) -> None:
    """Draw a panel for each axis, and one for the arms that are on none: the paper's figure 5.

    A bar is the mean of all arms with that level, its whisker the 95 % interval over seeds; a dot
    is one arm.
    """
    apart = [
        arm for arm in study.improvements if not set(study.levels.get(arm, {})) & {*study.axes}
    ]
    panels = [*study.axes, *(["other arms"] if apart else [])]
    widths = [len(apart) if panel == "other arms" else len(study.values(panel)) for panel in panels]
    parts = figure.subplots(
        1, len(panels), sharey=True, squeeze=False, gridspec_kw={"width_ratios": widths}
    )[0]
    for letter, ax, panel in zip("abcdefghijklmnop", parts, panels, strict=False):
        if panel == "other arms":
            groups = {arm: [arm] for arm in apart}
        else:
            groups = {_name(v): study.having(**{panel: v}) for v in study.values(panel)}
        _bars(ax, study, groups)
        ax.set_title(f"({letter}) {panel}", loc="left")
    what = "ratio to" if study.is_ratio else "difference from"
    parts[0].set_ylabel(f"{what} random search\n({study.number}, {len(study.seeds)} seeds)")


def _bars(ax: Axes, study: Ablation, groups: Mapping[str, Sequence[str]]) -> None:
    for x, arms in enumerate(groups.values()):
        values = study.mean(arms)
        height, error = float(values.mean()), half(values)
        ax.bar(x, height - study.neutral, 0.7, study.neutral, color=PBT, alpha=0.35, lw=0)
        if not math.isnan(error):
            ax.errorbar(x, height, error, color="black", capsize=3, lw=1)
        dots = [float(study.improvements[arm].mean()) for arm in arms]
        spread = np.linspace(-0.2, 0.2, len(dots)) if len(dots) > 1 else [0.0]
        ax.plot(x + np.asarray(spread), dots, "o", ms=2.5, color=PBT, mec="white", mew=0.3)
    ax.axhline(study.neutral, color=BASELINE, ls=":", lw=1)
    turned = max(map(len, groups)) * len(groups) > 30
    ax.set_xticks(range(len(groups)), list(groups), rotation=45 if turned else 0)
    if turned:
        for label in ax.get_xticklabels():
            label.set_horizontalalignment("right")


def draw_interaction(figure: Figure, study: Ablation, one: str, other: str) -> None:
    """Draw the improvement of each pair of levels, and what it has beyond the sum of both axes."""
    rows, columns = study.values(one), study.values(other)
    means = np.array(
        [[_cell(study, {one: row, other: column}) for column in columns] for row in rows]
    )
    effect, halves = interaction(study, one, other)
    left, right = figure.subplots(1, 2)
    reach = float(np.nanmax(np.abs(means - study.neutral))) or 1.0  # one scale for both
    for ax, cells, title in ((left, means, "improvement"), (right, effect, "interaction")):
        middle = study.neutral if ax is left else 0.0
        ax.imshow(cells, cmap="PuOr", vmin=middle - reach, vmax=middle + reach, aspect="auto")
        for i, j in itertools.product(range(len(rows)), range(len(columns))):
            text = f"{cells[i, j]:+.3f}" if ax is right else f"{cells[i, j]:.3f}"
            if ax is right and not math.isnan(halves[i, j]):
                text += f"\n± {halves[i, j]:.3f}"
            strong = abs(cells[i, j] - middle) > 0.7 * reach
            ax.text(j, i, text, ha="center", va="center", color="white" if strong else "black")
        ax.set_xticks(range(len(columns)), [_name(level) for level in columns])
        ax.set_yticks(range(len(rows)), [_name(level) for level in rows])
        ax.set(xlabel=other, ylabel=one, title=title)
        for side in ("left", "bottom"):
            ax.spines[side].set_visible(False)


def _cell(study: Ablation, levels: Mapping[str, Level]) -> float:
    arms = study.having(**levels)
    return float(study.mean(arms).mean()) if arms else math.nan


def _name(level: Level) -> str:
    return f"{level:g}" if isinstance(level, float) else str(level)


def as_json(study: Ablation) -> str:
    """Return every number as JSON."""
    arms = {
        arm: {
            "improvements": values.tolist(),
            "against": study.baselines[arm],
            "levels": dict(study.levels.get(arm, {})),
        }
        for arm, values in study.improvements.items()
    }
    body = {"seeds": study.seeds, "number": study.number, "is_ratio": study.is_ratio, "arms": arms}
    return json.dumps(body, indent=1) + "\n"
