"""Who copied whom over time, and whether it helped."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from analysis.data.columns import Bools, Columns, Floats, Ints
from analysis.data.runs import RunData
from analysis.figures.drawing import Drawing, drawing_of, what_copies_take
from analysis.figures.style import (
    BASELINE,
    BLACK,
    MARKERS,
    ORANGE,
    PBT,
    SEVERAL,
    WIDTH,
    YELLOW,
    lighten,
    whole_steps,
)

LONG = 10  # intervals between decisions for which a copy is followed
ARROWS = 200  # copies in a figure that still has a line for each
NARROWEST = 8.0  # points between two steps with copies in a figure with such lines
ROOM = (380.0, 230.0)  # width and height of the axes in points, about
COLOURS, MARKS = (*SEVERAL, BLACK, YELLOW), (*MARKERS, "X", "d")  # of the members copied most


def figure(run: RunData, name: str, baseline: RunData | None) -> Drawing | None:
    """Return who copied whom in a run. Drawn if a member was copied."""
    if not len(run.columns.copies()):
        return None
    return drawing_of(
        [run],
        name=f"copies_{name}",
        title=f"Who copied whom in {name}",
        caption="A mark is a copy: its place is its step and the member that copied, its colour "
        "and shape the member that was copied (the eight that were copied most; grey dots: any "
        "other). Lines lead from there, where there is room for them. Right: "
        f"how often each was copied.{what_copies_take(run)}",
        size=(WIDTH, 4.2),
        draw=lambda figure: draw_copies(figure, run),
    )


def improved_figure(run: RunData, name: str, baseline: RunData | None) -> Drawing | None:
    """Return how many copies beat their donors. Drawn if weights were copied early enough."""
    if not len(run.columns.copies()) or not run.columns.weights or not len(improved(run).later):
        return None
    return drawing_of(
        [run],
        name=f"improved_{name}",
        title=f"Whether copies of {name} improved on their donors",
        caption="Left, the share of copies whose score is above the donor's at the copy, by steps "
        "since the copy (for a member that copied again before, its score until then); dashed, the "
        "same of the donors. Right, each copy after the usual time between two "
        f"decisions.{what_copies_take(run)}",
        size=(WIDTH, 2.9),
        draw=lambda figure: draw_improved(figure, run),
    )


def draw_copies(figure: Figure, run: RunData) -> None:
    """Draw a mark for each copy, at its step and the member that copied; its colour is the donor's.

    Only the members that were copied most have colours. The panel beside counts their copies.
    """
    columns = run.columns
    rows = columns.copies()
    whom, who = columns.donor[rows], columns.member[rows]
    times = np.bincount(whom, minlength=run.members)
    most = [int(id) for id in np.argsort(-times, kind="stable")[: len(COLOURS)] if times[id] > 0]
    main, side = figure.subplots(1, 2, sharey=True, width_ratios=(5, 1))
    steps = columns.step[rows]
    colours = dict(zip(most, COLOURS, strict=False))
    named = np.isin(whom, most)
    _draw_ways(main, run, (steps[named], whom[named], who[named]), colours)
    size = float(np.clip(0.35 * (ROOM[0] * ROOM[1] / len(rows)) ** 0.5, 2.0, 5.0)) ** 2
    drawn = main.scatter(
        steps[~named], who[~named], size * 0.4, color="0.6", marker="o", lw=0, zorder=2
    )
    lighten(drawn, int((~named).sum()))
    for (id, colour), marker in zip(colours.items(), MARKS, strict=False):
        at = whom == id
        drawn = main.scatter(
            steps[at], who[at], size, color=colour, marker=marker, label=f"member {id}",
            edgecolor=BLACK, linewidths=0.25, zorder=3,
        )  # fmt: skip
        lighten(drawn, int(at.sum()))
        side.barh(id, times[id], color=colour, height=max(0.8, run.members / 80))
    rest = np.setdiff1d(np.flatnonzero(times), most)
    side.barh(rest, times[rest], color="0.6", height=0.8)
    main.set(xlabel="step", ylabel="member that copies", xlim=(0, run.steps * 1.01 + 0.3))
    main.set_ylim(-0.8, run.members - 0.2)
    main.yaxis.set_major_locator(MaxNLocator(integer=True))
    whole_steps(main)
    side.set(xlabel="times copied")
    side.xaxis.set_major_locator(MaxNLocator(nbins=3, integer=True))
    figure.legend(
        *main.get_legend_handles_labels(), loc="outside upper left", ncols=8, title="copied from",
        alignment="left", columnspacing=1, handletextpad=0.2, markerscale=1.5 if size < 16 else 1,
    )  # fmt: skip


def _draw_ways(
    ax: Axes, run: RunData, copies: tuple[Ints, Ints, Ints], colours: Mapping[int, str]
) -> None:
    """Draw a line from the donor to each copy, if there is room for them.

    Args:
        copies: the step, the donor and the copying member of each.
    """
    steps, whom, who = copies
    apart = np.diff(np.unique(steps))
    width = float(np.median(apart)) if len(apart) else run.steps / 10
    if len(steps) > ARROWS or width / run.steps * ROOM[0] < NARROWEST:
        return
    before = steps - 0.8 * width  # aslant: upright lines of one step would be one line
    ways = np.stack([np.column_stack([before, whom]), np.column_stack([steps, who])], axis=1)
    colour = [colours[int(id)] for id in whom]
    ax.add_collection(LineCollection(list(ways), colors=colour, linewidths=0.6, zorder=1))


@dataclass(frozen=True, slots=True)
class Outcome:
    """The scores of members, some steps after a moment of each.

    counted: [moments] whether the run went on for long enough.
    score: [moments] the score then, or before the member's next copy; NaN if it had diverged, or
        does not count.
    """

    counted: Bools
    score: Floats


def outcome(columns: Columns, table: Floats, members: Ints, steps: Ints, later: int) -> Outcome:
    """Return the scores of some members, each `later` steps after its step.

    Args:
        table: what Columns.score_grid returns.
    """
    last = np.zeros(columns.members, dtype=np.int64)
    last[columns.member[columns.last()]] = columns.step[columns.last()]
    rows = columns.copies()
    stride = table.shape[1] + 2
    copies = np.append(np.sort(columns.member[rows] * stride + columns.step[rows]), 2**62)
    following = copies[np.searchsorted(copies, members * stride + steps, side="right")]
    then = np.minimum(steps + later, following - members * stride)
    counted = then <= np.minimum(last, table.shape[1])[members]
    return Outcome(
        counted, np.where(counted, table[members, np.where(counted, then - 1, 0)], np.nan)
    )


@dataclass(frozen=True, slots=True)
class Improved:
    """Share of copies that beat their donor, by steps since the copy.

    later: [K] the steps.
    copies: [K] the share of copies with a better score than the donor had at the copy.
    donors: [K] the same share of the donors themselves.
    """

    later: Ints
    copies: Floats
    donors: Floats


def improved(run: RunData) -> Improved:
    """Return the share of copies with a better score than the donor had at the copy.

    If a member copied again in between, its score before that counts. A copy too close to the end
    of the run does not count. A delay is given only if at least half of the copies count, and if it
    is at most ten times the interval between two decisions.
    """
    columns = run.columns
    rows = _of_known(columns)
    parents = columns.parent[rows]
    goal = columns.score[parents]
    table = columns.score_grid(run.steps)
    shares: list[tuple[int, float, float]] = []
    for later in range(1, min(run.steps, LONG * gap(columns) + 1)):
        mine = outcome(columns, table, columns.member[rows], columns.step[rows], later)
        theirs = outcome(columns, table, columns.member[parents], columns.step[parents], later)
        if 2 * mine.counted.sum() < len(rows) or not theirs.counted.any():
            break
        shares.append((later, _share(mine, goal), _share(theirs, goal)))
    found = np.array(shares).reshape(-1, 3)
    return Improved(found[:, 0].astype(np.int64), found[:, 1], found[:, 2])


def _of_known(columns: Columns) -> Ints:
    """Return the copies whose donor's record is there."""
    rows = columns.copies()
    return rows[columns.parent[rows] >= 0]


def _share(found: Outcome, goal: Floats) -> float:
    return float((found.score > goal).sum() / found.counted.sum())


def gap(columns: Columns) -> int:
    """Return the median number of steps between two decisions of a member, at least 1."""
    rows = np.flatnonzero(columns.decided)
    gaps = np.diff(columns.step[rows])[np.diff(columns.member[rows]) == 0]
    return max(1, int(np.median(gaps))) if len(gaps) else 1


def draw_improved(figure: Figure, run: RunData) -> None:
    """Draw the share against the delay, and each copy's score against the donor's."""
    left, right = figure.subplots(1, 2)
    found = improved(run)
    mark = "o" if len(found.later) < 30 else ""
    left.plot(found.later, found.copies, color=PBT, label="copies", marker=mark, ms=3)
    left.plot(found.later, found.donors, "--", color=BLACK, label="the donors themselves", lw=1)
    left.set(xlabel="steps after the copy", ylabel="better than the donor was", ylim=(0, 1.02))
    left.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    left.set_xlim(left=0)
    whole_steps(left)
    left.legend(loc="best")
    draw_pairs(right, run, gap(run.columns))


def draw_pairs(ax: Axes, run: RunData, later: int) -> None:
    """Draw the score of each copy some steps later against its donor's when it was copied."""
    columns = run.columns
    rows = _of_known(columns)
    goal = columns.score[columns.parent[rows]]
    table = columns.score_grid(run.steps)
    found = outcome(columns, table, columns.member[rows], columns.step[rows], later)
    there = np.isfinite(found.score)
    for name, at, colour, marker in (
        ("better", there & (found.score > goal), PBT, "o"),
        ("not better", there & (found.score <= goal), ORANGE, "v"),
    ):
        drawn = ax.scatter(
            goal[at], found.score[at], 14 if len(rows) < 1000 else 2, color=colour, marker=marker,
            linewidths=0, alpha=0.6, label=f"{name}: {int(at.sum())}",
        )  # fmt: skip
        lighten(drawn, int(at.sum()))
    if there.any():
        low, high = float(goal[there].min()), float(goal[there].max())
        ax.plot([low, high], [low, high], color=BASELINE, lw=0.8, ls=":")
    steps = f"{later} steps" if later > 1 else "1 step"
    ax.set(xlabel="donor's score when copied", ylabel=f"copy's score {steps} later")
    ax.legend(loc="upper left", markerscale=1 if len(rows) < 1000 else 3)
