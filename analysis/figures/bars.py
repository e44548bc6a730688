"""The result of each arm against its baseline: the bars of the paper's figures 3 and 5."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.data.names import REPORTED, numbered, told_apart
from analysis.data.numbers import OWN
from analysis.data.runs import RunData, by_arm, folders
from analysis.figures.drawing import Drawing, drawing_of
from analysis.figures.style import BASELINE, BLACK, PBT, WIDTH

MOST = 4  # panels, one for each number


def figure(runs: Sequence[RunData], lower: Sequence[str]) -> Drawing | None:
    """Return each arm beside its baseline. Drawn if there is an arm with its baseline."""
    drawn = panels(runs, lower)
    if not drawn:
        return None
    count = sum(len(panel.bars) for panel in drawn)
    return drawing_of(
        runs,
        name="bars",
        title="Against the baselines",
        caption="The dashed line is the best member of the baseline. From there to that of the "
        "run: blue where it is better, an empty frame where it is worse, hatched where no run says "
        "which of a reported number is better. Circles are seeds, and error bars one standard "
        "error to either side. The axis need not begin at 0. Where an arm has one seed, there "
        "are no bars: a circle is the baseline, a dot the run, and the line between them is "
        "dashed where the run is worse, dotted where that is unknown.",
        size=(min(WIDTH, 1.2 + 1.2 * count), 3.2),
        draw=lambda figure: draw_panels(figure, drawn),
    )


@dataclass(frozen=True, slots=True)
class Bar:
    """An arm and its baseline, by one number of the best member of each seed.

    label: the name of the arm.
    ours: a number for each seed of the arm.
    theirs: a number for each seed of the baseline, which may have other seeds.
    """

    label: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """The bars of one number.

    label: the name of the number.
    bars: one for each arm with a baseline.
    way: 1 if a higher number is better, -1 if a lower one is, 0 if that is unknown.
    """

    label: str
    bars: Sequence[Bar]
    way: int = 1


def labels(groups: Sequence[Sequence[RunData]]) -> list[str]:
    """Return what to call the arms: their presets' functions, or a folder if these are equal."""
    names, apart = [group[0].name for group in groups], folders([group[0] for group in groups])
    found = [
        name if names.count(name) == 1 else folder
        for name, folder in zip(names, apart, strict=True)
    ]
    return numbered(found)


def bars(runs: Sequence[RunData], number: str | None = None) -> list[Bar]:
    """Return a bar for each pair of an arm and its baseline that have the number.

    Args:
        number: a reported number; None for the score.
    """
    groups = by_arm([run for run in runs if number is None or number in run.columns.report])
    found = []
    called = labels(groups)
    for ours, label in zip(groups, called, strict=True):
        baselines = [
            (arm, name)
            for arm, name in zip(groups, called, strict=True)
            if arm[0].is_baseline_of(ours[0], any_seed=True)
        ]
        for theirs, name in baselines:
            against = f" / {name}" if len(baselines) > 1 else ""
            found.append(Bar(label + against, _results(ours, number), _results(theirs, number)))
    return found


def _results(runs: Sequence[RunData], number: str | None) -> tuple[float, ...]:
    found = (run.result(number) for run in runs)
    return tuple(value for value in found if math.isfinite(value))


def panels(runs: Sequence[RunData], lower: Sequence[str] = ()) -> list[Panel]:
    """Return a panel for each number of each task; a lower number of `lower` is better."""
    tasks = dict.fromkeys(str(run.settings["task"]) for run in runs)
    found = []
    for task in tasks:
        of_task = [run for run in runs if str(run.settings["task"]) == task]
        score = of_task[0].score
        names = [name for run in of_task for name in run.columns.report]
        numbers = told_apart(names, [score, *OWN], REPORTED)
        if drawn := _both(bars(of_task)):
            found.append(Panel(score, drawn))
        for number, label in numbers.items():
            if drawn := _both(bars(of_task, number)):
                is_lower = number in lower
                said = f"{label} (lower is better)" if is_lower else label
                found.append(Panel(said, drawn, -1 if is_lower else 0))
    return found[:MOST]


def _both(bars: Sequence[Bar]) -> list[Bar]:
    return [bar for bar in bars if bar.ours and bar.theirs]


def draw_panels(figure: Figure, panels: Sequence[Panel]) -> None:
    """Draw all panels beside each other."""
    widths = [max(len(panel.bars), 1) + 0.6 for panel in panels]
    axes = figure.subplots(1, len(panels), squeeze=False, width_ratios=widths)[0]
    for ax, panel in zip(axes, panels, strict=True):
        draw_bars(ax, panel)


def bottom(bars: Sequence[Bar]) -> float:
    """Return where the y axis begins: at 0, unless the difference would be too small to see."""
    values = [value for bar in bars for value in (*bar.ours, *bar.theirs)]
    least, most = min(values), max(values)
    if least >= 0 and most - least >= most / 8:
        return 0.0
    return least - ((most - least) / 2 or abs(most) / 2 or 1.0)


def draw_bars(ax: Axes, panel: Panel) -> None:
    """Draw each bar, or points if an arm has only one seed and so no mean."""
    bars = panel.bars
    low = bottom(bars)
    if any(len(values) < 2 for bar in bars for values in (bar.ours, bar.theirs)):
        tops = [_draw_points(ax, x, bar, panel.way) for x, bar in enumerate(bars)]
        values = [value for bar in bars for value in (*bar.ours, *bar.theirs)]
        low = min(values) - (0.1 * (max(values) - min(values)) or abs(max(values)) / 10 or 1.0)
    else:
        tops = [_draw_bar(ax, x, bar, panel.way, low) for x, bar in enumerate(bars)]
    high = max(tops)
    room = 0.05 * (high - low)
    for x, bar in enumerate(bars):
        ax.text(x, high + room, means_as_text(bar), ha="center", va="bottom", fontsize=7)
    ax.set_xticks(range(len(bars)), [f"{textwrap.fill(b.label, 14)}\n{_seeds(b)}" for b in bars])
    ax.set(ylabel=panel.label, ylim=(low, high + 5 * room), xlim=(-0.6, len(bars) - 0.4))


def _draw_bar(ax: Axes, x: int, bar: Bar, way: int, low: float) -> float:
    """Draw a bar: grey up to the lower mean, and from there the gap to the higher one.

    The gap is coloured if ours is better, an empty frame if it is worse, and hatched if that is
    unknown. A dot is a seed; a line goes from one standard error below the mean to one above.
    Return the highest y that was drawn.
    """
    ours, theirs = float(np.mean(bar.ours)), float(np.mean(bar.theirs))
    ax.bar(x, min(ours, theirs) - low, 0.6, low, color="0.8", edgecolor="0.3", lw=0.5)
    gap = ax.bar(x, abs(ours - theirs), 0.6, min(ours, theirs), edgecolor=BLACK, lw=0.5)[0]
    if not way:
        gap.set(facecolor="white", hatch="///")
    elif way * (ours - theirs) >= 0:
        gap.set(facecolor=PBT)
    else:
        gap.set(fill=False, linestyle="--", linewidth=0.8)
    ax.hlines(theirs, x - 0.45, x + 0.45, colors=BLACK, linestyles="--", lw=0.8)
    return max(_draw_seeds(ax, x - 0.15, bar.theirs), _draw_seeds(ax, x + 0.15, bar.ours))


def _draw_points(ax: Axes, x: int, bar: Bar, way: int) -> float:
    """Draw the seeds of the baseline as circles on the left, ours filled on the right.

    A line joins their means: solid if ours is better, dashed if it is worse, dotted if that is
    unknown. Return the highest y that was drawn.
    """
    ours, theirs = float(np.mean(bar.ours)), float(np.mean(bar.theirs))
    style = "-" if way * (ours - theirs) > 0 else "--" if way else ":"
    colour = PBT if way * (ours - theirs) > 0 else BASELINE
    left, right = x - 0.15, x + 0.15
    ax.plot([left, right], [theirs, ours], style, color=colour, lw=1.2, zorder=2)
    for place, values, fill in ((left, bar.theirs, "white"), (right, bar.ours, PBT)):
        ax.plot([place] * len(values), values, "o", mfc=fill, mec=BLACK, mew=0.6, ms=6, zorder=3)
    return max(*bar.ours, *bar.theirs)


def means_as_text(bar: Bar) -> str:
    """Return both means of a bar, with enough digits to tell them apart."""
    ours, theirs = float(np.mean(bar.ours)), float(np.mean(bar.theirs))
    apart = abs(ours - theirs) or abs(ours) or 1.0
    if max(abs(ours), abs(theirs)) < 1e-3:
        return f"{theirs:.3g} → {ours:.3g}"
    decimals = max(0, 1 - math.floor(math.log10(apart)))
    return f"{theirs:.{decimals}f} → {ours:.{decimals}f}"


def _draw_seeds(ax: Axes, x: float, values: Sequence[float]) -> float:
    """Draw the seeds and their standard error; return the highest y that was drawn."""
    ax.plot([x] * len(values), values, "o", mfc="white", mec=BLACK, mew=0.6, ms=3, zorder=3)
    if len(values) < 2:
        return max(values)
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(len(values))
    ax.errorbar(x, mean, error, fmt="none", ecolor=BLACK, capsize=3, lw=1, zorder=4)
    return max(*values, mean + error)


def _seeds(bar: Bar) -> str:
    ours, theirs = len(bar.ours), len(bar.theirs)
    return f"n = {ours}" if ours == theirs else f"n = {theirs} → {ours}"
