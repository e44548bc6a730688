"""The figures of an ablation study: the paper's figure 5, and pairs of axes."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.data.names import numbered
from analysis.figures.drawing import Drawing
from analysis.figures.style import BASELINE, PBT, WIDTH
from analysis.tables.ablation import Ablation, Level, half, interaction, shown


def figure(study: Ablation) -> list[Drawing]:
    """Return the paper's figure 5 of a study. Drawn for every study."""
    whiskers = "its whisker the 95 % t interval over seeds; " if len(study.seeds) > 1 else ""
    mark = "bar" if len(study.seeds) > 1 else "line"
    return [
        Drawing(
            "ablation",
            "The arms of the study, axis by axis",
            f"Each {mark} is the mean of all arms with that level, {whiskers}a dot is one arm. "
            f"The dotted line is what all are measured by, {_measure(study)} with the same seed.",
            (WIDTH, 3),
            lambda figure: draw_axes(figure, study),
        )
    ]


def interaction_figures(study: Ablation) -> Iterator[Drawing]:
    """Return a map for each two axes of a study. Drawn for axes of which an arm has both."""
    for one, other in itertools.combinations(study.axes, 2):
        if study.meet(one, other):
            yield _interaction_figure(study, one, other)


def _interaction_figure(study: Ablation, one: str, other: str) -> Drawing:
    what = "ratio to" if study.is_ratio else "difference from"
    intervals = "; ± is half of the 95 % t interval over seeds" if len(study.seeds) > 1 else ""
    return Drawing(
        f"interaction_{one}_{other}",
        f"{one} and {other} together",
        f"Left, the mean {what} {_measure(study)} of the arms with each pair of levels; right, "
        f"what each pair has beyond the sum of both axes{intervals}. White is no effect, and both "
        "sides have one scale of colours.",
        (WIDTH, 2.6),
        lambda figure: draw_interaction(figure, study, one, other),
    )


def _measure(study: Ablation) -> str:
    return study.measure or "the random search"


def draw_axes(figure: Figure, study: Ablation) -> None:
    """Draw a panel for each axis, and one for the arms that are on none: the paper's figure 5.

    A bar is the mean of all arms with that level, its whisker the 95 % t interval over seeds; a dot
    is one arm. With one seed there are no bars: a line is the mean of the arms.
    """
    apart = [
        arm for arm in study.improvements if not set(study.levels.get(arm, {})) & {*study.axes}
    ]
    # a panel is a title and bars, of which no two have the same name
    panels = [(axis, _by_level(study, axis)) for axis in study.axes]
    if apart:
        panels.append(("other arms", {arm: [arm] for arm in apart}))
    counts = [len(groups) for _, groups in panels]
    widths = [max(count, 3) for count in counts]  # a title needs room, too
    parts = figure.subplots(
        1, len(panels), sharey=True, squeeze=False, gridspec_kw={"width_ratios": widths}
    )[0]
    for number, (ax, (title, groups)) in enumerate(zip(parts, panels, strict=True)):
        _bars(ax, study, groups, figure.get_figwidth() * 60 / sum(widths))
        ax.set_title(f"({chr(ord('a') + number)}) {title}", loc="left")
    what = "ratio to" if study.is_ratio else "difference from"
    n = len(study.seeds)
    seeds = f"{n} seeds, 95 % t intervals" if n > 1 else "1 seed"
    parts[0].set_ylabel(f"{what} {study.measure or 'random search'}\n({study.said}, {seeds})")


def _by_level(study: Ablation, axis: str) -> dict[str, list[str]]:
    levels = study.values(axis)
    return dict(zip(_names(levels), (study.having({axis: v}) for v in levels), strict=True))


def _bars(ax: Axes, study: Ablation, groups: Mapping[str, Sequence[str]], room: float) -> None:
    """Draw the bars of a panel; the name of each has `room` points."""
    for x, arms in enumerate(groups.values()):
        values = study.mean(arms)
        height, error = float(values.mean()), half(values)
        if len(study.seeds) > 1:
            ax.bar(x, height - study.neutral, 0.7, study.neutral, color=PBT, alpha=0.35, lw=0)
        else:  # one seed has no mean over seeds
            ax.hlines(height, x - 0.35, x + 0.35, colors=PBT, lw=1.2)
        if not math.isnan(error):
            ax.errorbar(x, height, error, color="black", capsize=3, lw=1)
        dots = [float(study.improvements[arm].mean()) for arm in arms]
        spread = np.linspace(-0.2, 0.2, len(dots)) if len(dots) > 1 else [0.0]
        ax.plot(x + np.asarray(spread), dots, "o", ms=2.5, color=PBT, mec="white", mew=0.3)
    ax.axhline(study.neutral, color=BASELINE, ls=":", lw=1)
    turned = max(map(len, groups)) * 4.5 > room  # points, at the size of tick labels
    ax.set_xticks(range(len(groups)), list(groups), rotation=45 if turned else 0)
    if turned:
        for label in ax.get_xticklabels():
            label.set_horizontalalignment("right")


def draw_interaction(figure: Figure, study: Ablation, one: str, other: str) -> None:
    """Draw the improvement of each pair of levels, and what it is beyond the sum of both axes."""
    rows, columns = study.values(one), study.values(other)
    means = np.array(
        [[_cell(study, {one: row, other: column}) for column in columns] for row in rows]
    )
    effect, halves = interaction(study, one, other)
    left, right = figure.subplots(1, 2)
    there = np.abs(means - study.neutral)[np.isfinite(means)]
    reach = float(there.max(initial=0.0)) or 1.0  # both sides have one scale
    for ax, cells, title in (
        (left, means, "ratio" if study.is_ratio else "difference"),
        (right, effect, "interaction"),
    ):
        middle = study.neutral if ax is left else 0.0
        ax.imshow(cells, cmap="PuOr", vmin=middle - reach, vmax=middle + reach, aspect="auto")
        for i, j in itertools.product(range(len(rows)), range(len(columns))):
            text = shown(cells[i, j], "+.3f" if ax is right else ".3f")
            if ax is right and not math.isnan(halves[i, j]):
                text += f"\n± {halves[i, j]:.3f}"
            strong = abs(cells[i, j] - middle) > 0.7 * reach
            ax.text(j, i, text, ha="center", va="center", color="white" if strong else "black")
        ax.set_xticks(range(len(columns)), _names(columns))
        ax.set_yticks(range(len(rows)), _names(rows))
        ax.set(xlabel=other, ylabel=one, title=title)
        for side in ("left", "bottom"):
            ax.spines[side].set_visible(False)


def _cell(study: Ablation, levels: Mapping[str, Level]) -> float:
    arms = study.having(levels)
    return float(study.mean(arms).mean()) if arms else math.nan


def _names(levels: Sequence[Level]) -> list[str]:
    """Return the names of levels: numbers with six digits, or with all if they need them."""
    short = [f"{level:g}" if isinstance(level, float) else str(level) for level in levels]
    return short if len(set(short)) == len(short) else numbered(list(map(repr, levels)))
