"""Hyperparameters: which ones of a run have a panel, and on which kind of axis."""

from collections.abc import Sequence
from typing import cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from analysis.data.columns import Columns, Floats, Ints, Values
from analysis.data.names import HYPER, told_apart
from analysis.data.runs import RunData
from analysis.figures.style import HATCHES, PBT, SEVERAL, categories, in_legend, lighten, log_scale

DECADES = 30  # greatest value over least, above which an axis is logarithmic


def varied(run: RunData) -> list[str]:
    """Return the names of the hyperparameters that take more than one value."""
    columns = run.columns.hypers
    return [n for n in run.hypers if n in columns and (columns[n] != columns[n][0]).any()]


def called(run: RunData, name: str) -> str:
    """Return the name of a hyperparameter on an axis, told apart from the name of the score."""
    return told_apart(run.hypers, [run.score], HYPER)[name]


def is_text(values: Values) -> bool:
    """Whether these are named options, as of a Choice."""
    return values.dtype.kind == "U"


def shown_options(run: RunData, name: str) -> list[str]:
    """Return the options of a hyperparameter that occur in a run, in the order of its prior."""
    listed = [
        str(option)
        for option in cast(Sequence[object], run.settings.priors[name].get("options", ()))
    ]
    found = set(np.unique(run.columns.hypers[name]).tolist())
    return [option for option in listed if option in found] + sorted(found - set(listed))


def is_logarithmic(run: RunData, name: str) -> bool:
    """Whether its prior is logarithmic, or its values span decades."""
    values = run.columns.hypers[name]
    if is_text(values):
        return False
    there = values[np.isfinite(values.astype(np.float64))].astype(np.float64)
    if not len(there) or there.min() <= 0:
        return False
    return run.settings.is_logarithmic(name) or bool(there.max() / there.min() > DECADES)


def heights(run: RunData, name: str, columns: Columns | None = None) -> Floats:
    """Return where on the y axis the value of each row is; an option has a place.

    Args:
        columns: the rows of a baseline; None for the run's own.
    """
    values = (columns or run.columns).hypers[name]
    if not is_text(run.columns.hypers[name]):
        return values.astype(np.float64)
    found = np.full(len(values), np.nan)
    for place, option in enumerate(shown_options(run, name)):
        found[values == option] = place
    return found


def scale(ax: Axes, run: RunData, name: str) -> None:
    """Give the y axis places for options, or a logarithmic scale if the values need one."""
    if is_text(run.columns.hypers[name]):
        categories(ax, shown_options(run, name))
    elif is_logarithmic(run, name):
        log_scale(ax)


def stairs(steps: Ints, values: Floats, end: float) -> Floats:
    """Return [corners, 2] the line of values that each hold until the next one, and to `end`.

    It has corners only where the value changes, because a figure has many thousands of values.
    """
    keep = np.ones(len(values), dtype=np.bool_)
    keep[1:] = values[1:] != values[:-1]
    x, y = steps[keep].astype(np.float64), values[keep]
    return np.column_stack([np.append(np.repeat(x, 2)[1:], end), np.repeat(y, 2)])


def draw_hyper(ax: Axes, run: RunData, name: str) -> None:
    """Draw a hyperparameter of every member over time, or the share of each named option."""
    ax.set_ylabel(called(run, name))
    if is_text(run.columns.hypers[name]):
        draw_shares(ax, run, name)
        return
    lines, values = [], heights(run, name)
    for member in range(run.columns.members):
        rows = run.columns.last_of_step(member)
        if len(rows):
            steps = run.columns.step[rows]
            lines.append(stairs(steps, values[rows], float(steps[-1])))
    drawn = LineCollection(lines, colors=PBT, linewidths=0.7, alpha=0.7 if len(lines) < 50 else 0.2)
    lighten(drawn, len(lines))
    ax.add_collection(drawn)
    ax.autoscale_view()
    scale(ax, run, name)


def draw_shares(ax: Axes, run: RunData, name: str) -> None:
    """Draw the share of the members that have each option, at each step."""
    grid = run.columns.row_grid(run.steps)
    grid = grid[:, (grid >= 0).any(axis=0)]
    values = np.where(grid >= 0, run.columns.hypers[name][grid], "")
    there = (grid >= 0).sum(axis=0)
    names = shown_options(run, name)
    shares = np.array([(values == option).sum(axis=0) / there for option in names])
    steps = np.arange(shares.shape[1])
    areas = ax.stackplot(
        steps,
        shares,
        labels=list(map(in_legend, names)),
        colors=SEVERAL,
        alpha=0.8,
        linewidth=0.5,
        edgecolor="white",
    )
    for i, area in enumerate(areas):
        area.set_hatch(HATCHES[i % len(HATCHES)])
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), reverse=True, handlelength=1)
    ax.set(ylim=(0, 1), xlim=(0, max(steps[-1], 1)), ylabel=f"{called(run, name)}, share")
