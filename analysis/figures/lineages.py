"""The hyperparameters along lineages: the paper's figure 7, and the schedule of the winner."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from analysis.data.columns import Columns, Ints
from analysis.data.runs import RunData
from analysis.figures.drawing import Drawing, drawing_of, what_copies_take
from analysis.figures.hypers import called, heights, scale, stairs, varied
from analysis.figures.style import (
    BASELINE,
    BLACK,
    PBT,
    WIDTH,
    in_legend,
    legend_above,
    lighten,
    whole_steps,
)

SHARES = (0.10, 0.25, 0.50, 0.75, 1.00)  # of the training; Jaderberg et al. 2017, figure 7
ROWS = 6  # hyperparameters that are drawn


def figure(run: RunData, name: str, baseline: RunData | None) -> Drawing | None:
    """Return the lineages of a run. Drawn if a member was copied and a hyperparameter varies."""
    rows = len(varied(run)[:ROWS])
    if not len(run.columns.copies()) or not rows:
        return None
    return drawing_of(
        [run],
        name=f"lineages_{name}",
        title=f"Lineages of {name}",
        caption="Each line is what the weights of one member had been trained with at this share "
        "of the training, through all members that they were copied from; the darker, the more "
        f"members have this past in common{_black(baseline)}.{what_copies_take(run)}",
        size=(WIDTH, 0.7 + 1.1 * rows),
        draw=lambda figure: draw_lineages(figure, run, baseline),
    )


def schedule_figure(run: RunData, name: str, baseline: RunData | None) -> Drawing | None:
    """Return the best member's schedule. Drawn if one was copied and a hyperparameter varies."""
    rows = len(varied(run)[:ROWS])
    if not len(run.columns.copies()) or not rows:
        return None
    return drawing_of(
        [run],
        name=f"schedule_{name}",
        title=f"The schedule that the best member of {name} came by",
        caption="The score and the hyperparameters of the best member's weights from their first "
        "step on, through all members that they were copied from; dotted: another member went "
        f"on{_black(baseline)}.{what_copies_take(run)}",
        size=(WIDTH, 2.2 + 0.9 * rows),
        draw=lambda figure: draw_winner(figure, run, baseline),
    )


def _black(baseline: RunData | None) -> str:
    """Return what a caption says of the black line; nothing if there is no baseline."""
    return f"; black and dashed: the best member of {baseline.name}" if baseline else ""


@dataclass(frozen=True, slots=True)
class Lineage:
    """What some weights were trained with: each row's hypers hold until the next row's age.

    rows: of the columns, the start first; only the last one at each age, and only those with which
        a step was trained.
    ages: [rows] the steps for which the weights had been trained.
    end: the steps for which they have been trained by now.
    """

    rows: Ints
    ages: Ints
    end: float


def trained_with(columns: Columns, ancestry: Ints) -> Lineage:
    """Return what the weights at the end of an ancestry were trained with."""
    ages = columns.age(ancestry)
    last = np.ones(len(ages), dtype=np.bool_)
    last[:-1] = np.diff(ages) != 0
    last[-1] = ages[-1] == ages[0]  # what was decided at the end was not trained with
    return Lineage(ancestry[last], ages[last], float(ages[-1]))


def final_at(columns: Columns, step: int, steps: int) -> Ints:
    """Return the last row at a step of each member that has reached it."""
    rows = columns.row_grid(steps)[:, step]
    return rows[rows >= 0]


def draw_lineages(figure: Figure, run: RunData, baseline: RunData | None) -> None:
    """Draw a row for each hyperparameter, a column for each share of the training."""
    names = varied(run)[:ROWS]
    axes = figure.subplots(len(names), len(SHARES), sharex="col", sharey="row", squeeze=False)
    marks = [max(1, round(share * run.steps)) for share in SHARES]
    for column, (step, share) in enumerate(zip(marks, SHARES, strict=True)):
        ends = final_at(run.columns, step, run.steps)
        ways = [trained_with(run.columns, rows) for rows in run.columns.ancestries(ends)]
        axes[0, column].set_title(f"{share:.0%} of training")
        for row, name in enumerate(names):
            ax = axes[row, column]
            draw_ways(ax, run, name, ways)
            if baseline is not None:
                draw_schedule(ax, run, baseline, name, float(step))
            if not len(ends):
                ax.text(0.5, 0.5, "not yet", transform=ax.transAxes, ha="center", fontsize=7)
        axes[-1, column].set(xlabel="step", xlim=(0, step))
        whole_steps(axes[-1, column])
    for row, name in enumerate(names):
        scale(axes[row, 0], run, name)
        axes[row, 0].set_ylabel(called(run, name))


def draw_ways(ax: Axes, run: RunData, name: str, ways: Sequence[Lineage]) -> None:
    """Draw a hyperparameter along some lineages; a line that several share is darker."""
    values = heights(run, name)
    lines = [stairs(way.ages, values[way.rows], way.end) for way in ways]
    alpha = float(np.clip(3 / max(len(lines), 1), 0.03, 0.5))
    drawn = LineCollection(lines, colors=PBT, linewidths=1.0, alpha=alpha)
    lighten(drawn, len(lines))
    ax.add_collection(drawn)
    ax.autoscale_view()


def draw_schedule(ax: Axes, run: RunData, baseline: RunData, name: str, end: float) -> None:
    """Draw the hypers of the baseline's best member as a black dashed line to `end`."""
    theirs = baseline.columns
    way = trained_with(theirs, theirs.ancestry(theirs.best()))
    there = way.ages <= end
    line = stairs(way.ages[there], heights(run, name, theirs)[way.rows[there]], end)
    ax.plot(line[:, 0], line[:, 1], color=BLACK, lw=1.0, ls="--")


def draw_winner(figure: Figure, run: RunData, baseline: RunData | None) -> None:
    """Draw the score and the hypers of the winner's weights from their first step on.

    At a dotted line, the weights were copied to another member.
    """
    names = varied(run)[:ROWS]
    heights_of = [1.7, *(1.0 for _ in names)]
    axes = figure.subplots(len(heights_of), 1, sharex=True, height_ratios=heights_of)
    rows = run.columns.ancestry(run.columns.best())
    ages, way = run.columns.age(rows), trained_with(run.columns, rows)
    _draw_score(axes[0], run, rows, PBT, "-", 1.5)
    if baseline is not None:
        theirs = baseline.columns
        _draw_score(axes[0], baseline, theirs.ancestry(theirs.best()), BLACK, "--", 1.0)
    for ax, name in zip(axes[1:], names, strict=True):
        line = stairs(way.ages, heights(run, name)[way.rows], way.end)
        ax.plot(line[:, 0], line[:, 1], color=PBT, lw=1.5)
        if baseline is not None:
            draw_schedule(ax, run, baseline, name, float(baseline.steps))
        ax.set_ylabel(called(run, name))
        ax.margins(y=0.15)
        scale(ax, run, name)
    moves = ages[1:][np.diff(run.columns.member[rows]) != 0]
    high = 1.0 if len(moves) <= 30 else 0.06  # more full lines would hide the curves
    for ax in axes:
        for x in moves:
            ax.axvline(float(x), ymax=high, color=BASELINE, lw=0.6, ls=":", zorder=0)
    axes[0].set_ylabel(run.score)
    legend_above(axes[0])
    axes[-1].set(xlabel="steps that these weights were trained for", xlim=(0, max(way.end, 1)))
    whole_steps(axes[-1])


def _draw_score(ax: Axes, run: RunData, rows: Ints, colour: str, style: str, width: float) -> None:
    label = in_legend(f"{run.name}: member {run.best().member.id}")
    x, y = run.columns.age(rows), run.columns.score[rows]
    ax.plot(x, y, style, color=colour, lw=width, label=label)
