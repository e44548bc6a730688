"""How many initial members still have descendants, and the share of the largest family."""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from analysis.data.columns import Columns, Floats, Ints
from analysis.data.runs import RunData
from analysis.figures.drawing import Drawing, drawing_of, what_copies_take
from analysis.figures.style import BASELINE, PBT, WIDTH, in_legend, whole_steps

REPLAYS = 100  # of the copies, with donors drawn at random
RANGE = (0.05, 0.95)  # quantiles of the replays between which the band lies
ARRIVED = 0.9  # share of the members that must have reached a step for it to be drawn


def figure(run: RunData, name: str, baseline: RunData | None) -> Drawing | None:
    """Return how many founders have descendants. Drawn if weights were copied."""
    if not len(run.columns.copies()) or not run.columns.weights:
        return None
    return drawing_of(
        [run],
        name=f"dominance_{name}",
        title=f"Founders of {name}",
        caption="Left, how many initial members still have descendants; right, which share of all "
        "descends from the most frequent of them. Grey: the same if donors were drawn at "
        f"random ({RANGE[0]:.0%} to {RANGE[1]:.0%} of replays of the same "
        f"copies).{what_copies_take(run)}",
        size=(WIDTH, 2.7),
        draw=lambda figure: draw_dominance(figure, run),
    )


@dataclass(frozen=True, slots=True)
class Dominance:
    """The families after each step. Members of unknown origin belong to none.

    steps: [T] the steps.
    founders: [T] the number of initial members with descendants; a member is its own descendant.
    largest: [T] the share of the members in the largest family.
    """

    steps: Ints
    founders: Ints
    largest: Floats


def dominance(columns: Columns, steps: int) -> Dominance:
    """Return the families after each step that nearly all members have reached."""
    grid = columns.row_grid(steps)
    there = (grid >= 0).sum(axis=0)
    shown = np.flatnonzero(there >= ARRIVED * len(columns.last()))
    of = columns.founders()
    counts = [
        np.bincount(of[grid[grid[:, step] >= 0, step]] + 1, minlength=columns.members + 1)
        for step in shown  # the first count is that of members of unknown origin
    ]
    return Dominance(
        shown,
        np.array([(count[1:] > 0).sum() for count in counts], dtype=np.int64),
        np.array([count[1:].max() / count.sum() for count in counts], dtype=np.float64),
    )


def neutral(columns: Columns, steps: Ints, replays: int = REPLAYS) -> tuple[Floats, Floats]:
    """Return `founders` and `largest`, [replays, T] each, if donors had been drawn at random.

    The same members copy after the same steps as in the run, so that only the choice of the donors
    differs.
    """
    rng = np.random.default_rng(0)
    members = columns.members
    ids = np.tile(np.arange(members), (replays, 1))
    rows = columns.copies()
    founders, largest = [], []
    offsets = members * np.arange(replays)[:, None]
    for step in steps:
        who = np.unique(columns.member[rows[columns.step[rows] == step]])
        if len(who) and members > 1:
            donors = rng.integers(members - 1, size=(replays, len(who)))
            donors += donors >= who  # any member but itself
            ids[:, who] = np.take_along_axis(ids, donors, axis=1)
        counts = np.bincount((ids + offsets).ravel(), minlength=members * replays)
        counts = counts.reshape(replays, members)
        founders.append((counts > 0).sum(axis=1))
        largest.append(counts.max(axis=1) / members)
    return np.array(founders, dtype=np.float64).T, np.array(largest).T


def draw_dominance(figure: Figure, run: RunData) -> None:
    """Draw both over time, and random donors as a grey band."""
    found = dominance(run.columns, run.steps)
    drifts = neutral(run.columns, found.steps)
    left, right = figure.subplots(1, 2, sharex=True)
    for ax, line, drift in zip((left, right), (found.founders, found.largest), drifts, strict=True):
        low, high = np.quantile(drift, RANGE, axis=0)
        step = "post"
        ax.fill_between(
            found.steps, low, high, step=step, color=BASELINE, alpha=0.3, lw=0, label="by chance"
        )
        ax.step(found.steps, line, where=step, color=PBT, lw=1.8, label=in_legend(run.name))
        ax.set_xlabel("step")
        whole_steps(ax)
    left.set(ylabel="founders with descendants", yscale="log")
    left.set_ylim(0.9, run.members * 1.15)
    ticks = [t for t in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if t <= run.members]
    left.set_yticks(ticks, [str(tick) for tick in ticks])
    left.minorticks_off()
    right.set(ylabel="share of the largest family", ylim=(0, 1.03))
    right.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    right.legend(loc="best")
