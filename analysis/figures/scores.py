"""Scores and hyperparameters over time, as in the paper's figure 4, and scores over seeds."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from analysis.data.columns import TOP, Columns, Floats
from analysis.data.runs import RunData
from analysis.figures.drawing import Drawing, drawing_of
from analysis.figures.hypers import draw_hyper, varied
from analysis.figures.style import (
    BASELINE,
    PBT,
    WIDTH,
    in_legend,
    legend_above,
    lighten,
    whole_steps,
)

PANELS = 8  # hyperparameters that have a panel


def figure(run: RunData, name: str, baseline: RunData | None) -> Drawing:
    """Return the scores and hyperparameters of a run. Drawn for every run."""
    beside = "" if baseline is None else f"; grey and dashed: the baseline, {baseline.name}"
    return drawing_of(
        [run] if baseline is None else [run, baseline],
        name=f"scores_{name}",
        title=f"Scores and hyperparameters of {name}",
        caption=f"A thin line is a member, the thick one the mean of the {TOP} that are best at "
        f"each step, its band reaches from the worst to the best of these{beside}. Beside it the "
        "hyperparameters of all members.",
        size=(WIDTH, max(3.2, 1.15 * len(varied(run)[:PANELS]))),
        draw=lambda figure: draw_run(figure, run, baseline),
    )


def draw_run(figure: Figure, run: RunData, baseline: RunData | None) -> None:
    """Draw the scores of a run beside its baseline's, and each hyperparameter of the run."""
    shown = varied(run)[:PANELS]
    grid = figure.add_gridspec(max(len(shown), 1), 3)
    main = figure.add_subplot(grid[:, : 2 if shown else 3])
    if baseline is not None:
        draw_scores(main, baseline, BASELINE, baseline.name, "--")
    draw_scores(main, run, BASELINE if run.is_baseline else PBT, run.name)
    main.set(xlabel="step", ylabel=run.score, ylim=limits([run, baseline] if baseline else [run]))
    whole_steps(main)
    legend_above(main)
    for row, name in enumerate(shown):
        ax = figure.add_subplot(grid[row, 2])
        draw_hyper(ax, run, name)
        ax.sharex(main)
        if row == len(shown) - 1:
            ax.set_xlabel("step")
        else:
            ax.tick_params(labelbottom=False)


def limits(runs: Sequence[RunData]) -> tuple[float, float]:
    """Return the range of scores to draw, without outliers far below the others.

    Otherwise one member that has nearly diverged would press all others into a line.
    """
    scores = np.concatenate(
        [run.columns.score_before_copy[run.columns.first_of_step()] for run in runs]
    )
    scores = scores[np.isfinite(scores)]
    if not len(scores):
        return 0.0, 1.0
    low, quarter, high = (float(q) for q in np.quantile(scores, (0.0, 0.25, 1.0)))
    low = max(low, quarter - 2 * (high - quarter))
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin


def top(columns: Columns, steps: int) -> Floats:
    """Return [5, steps] the best scores at each step, best first; NaN where there is none.

    A population of fewer than five has fewer rows. A step that fewer members have reached has none,
    because the best of the first members there are not the best of all.
    """
    last = columns.last()
    size = min(TOP, len(last))
    best = -np.sort(-columns.score_grid(steps), axis=0)[:size]  # NaN comes last
    arrived = (columns.step[last][:, None] >= np.arange(1, steps + 1)).sum(axis=0)
    return np.where(arrived >= size, best, np.nan)


def mean_of_top(best: Floats) -> Floats:
    """Return [steps] the means, ignoring NaN; NaN where there is no number."""
    there = (~np.isnan(best)).sum(axis=0)
    return np.where(there > 0, np.nansum(best, axis=0) / np.maximum(there, 1), np.nan)


def draw_scores(ax: Axes, run: RunData, colour: str, label: str, style: str = "-") -> None:
    """Draw the score of every member, and the mean of the top five at each step as a thick line.

    The five are the best at that step, not at the end; the band reaches from the fifth to the
    first. A NaN leaves a gap.
    """
    table = run.columns.score_grid(run.steps)
    steps = np.arange(1, table.shape[1] + 1)
    lines = [np.column_stack([steps, line]) for line in table if not np.isnan(line).all()]
    thin = LineCollection(
        lines, colors=colour, linewidths=0.5, alpha=0.4 if len(lines) < 100 else 0.15
    )
    lighten(thin, len(lines))
    ax.add_collection(thin)
    best = top(run.columns, run.steps)
    worst = np.fmin.reduce(best, axis=0)  # which ignores NaN
    ax.fill_between(steps, worst, best[0], color=colour, alpha=0.25, linewidth=0, zorder=2)
    size = len(best)
    of = f"mean of the top {size}" if size > 1 else "its one member"
    line = ax.plot(
        steps,
        mean_of_top(best),
        style,
        color=colour,
        lw=2.2,
        zorder=3,
        label=in_legend(f"{label}: {of}"),
    )
    line[0].set_marker("o" if len(steps) == 1 else "")
    ax.autoscale_view()


def seeds_figure(
    arm: Sequence[RunData], label: str, baselines: Sequence[RunData]
) -> Drawing | None:
    """Return the scores of an arm over its seeds. Drawn for two seeds or more, of no baseline."""
    if arm[0].is_baseline or len(arm) < 2:
        return None
    return drawing_of(
        [*arm, *baselines],
        name=f"seeds_{label}",
        title=f"{label} over its seeds",
        caption=f"The mean over the seeds of the mean of the top {TOP}; the band reaches from "
        "the lowest to the highest seed.",
        size=(WIDTH * 0.65, 3),
        draw=lambda figure: draw_arm(figure, arm, baselines),
    )


def draw_arm(figure: Figure, arm: Sequence[RunData], baselines: Sequence[RunData]) -> None:
    """Draw the seeds of an arm, and behind them those of its baseline."""
    ax = figure.subplots()
    if baselines:
        draw_seeds(ax, baselines, BASELINE, baselines[0].name, "--")
    draw_seeds(ax, arm, PBT, arm[0].name, "-")
    ax.set(xlabel="step", ylabel=arm[0].score)
    whole_steps(ax)
    legend_above(ax)


def draw_seeds(ax: Axes, runs: Sequence[RunData], colour: str, label: str, style: str) -> None:
    """Draw the mean over seeds of the mean of the top five, and the range of seeds as a band."""
    steps = max(run.steps for run in runs)
    lines = np.array([mean_of_top(top(run.columns, steps)) for run in runs])
    whole = ~np.isnan(lines).any(axis=0)
    x = np.arange(1, steps + 1)[whole]
    low, high = lines[:, whole].min(axis=0), lines[:, whole].max(axis=0)
    ax.fill_between(x, low, high, color=colour, alpha=0.25, linewidth=0)
    seeds = f"{len(runs)} seeds" if len(runs) > 1 else "1 seed"
    middle = lines[:, whole].mean(axis=0)
    ax.plot(x, middle, style, color=colour, lw=2.2, label=in_legend(f"{label}: {seeds}"))
