"""Scores of all members and hyperparameters over time, as the panels of the paper's figure 4."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.runs import RunData, decided, trained
from analysis.style import BASELINE, PBT

TOP = 5  # members in the thick line; Jaderberg et al. 2017, figure 4


def draw_run(figure: Figure, run: RunData, baseline: RunData | None) -> None:
    """Draw the scores of a run beside its baseline's, and each hyperparameter of the run."""
    shown = [name for name in run.hypers if is_drawn(run, name)]
    grid = figure.add_gridspec(max(len(shown), 1), 3)
    main = figure.add_subplot(grid[:, : 2 if shown else 3])
    if baseline is not None:
        draw_scores(main, baseline, BASELINE, baseline.name)
    draw_scores(main, run, BASELINE if run.is_baseline else PBT, run.name)
    main.set(xlabel="step", ylabel=run.score, ylim=limits([run, baseline] if baseline else [run]))
    main.xaxis.set_major_locator(MaxNLocator(integer=True))
    main.legend(loc="lower right")
    for row, name in enumerate(shown):
        ax = figure.add_subplot(grid[row, 2])
        draw_hyper(ax, run, name)
        ax.set(ylabel=name, xlabel="step" if row == len(shown) - 1 else "")


def limits(runs: Sequence[RunData]) -> tuple[float, float]:
    """Return the range of scores to draw: all of them, but for outliers far below the others.

    One member that has nearly diverged would else press all others into a line.
    """
    scores = [
        record.member.score
        for run in runs
        for history in run.histories
        for record in trained(history)
        if record.member.healthy
    ]
    if not scores:
        return 0.0, 1.0
    low, quarter, high = (float(q) for q in np.quantile(scores, (0.0, 0.25, 1.0)))
    low = max(low, quarter - 2 * (high - quarter))
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin


def draw_scores(ax: Axes, run: RunData, colour: str, label: str) -> None:
    """Draw the score of every member, and the mean of the top five at each step as a thick line.

    The five are those that are best at that step, not at the end. A score that is not a number
    leaves a gap.
    """
    columns: dict[int, list[float]] = {}
    for history in run.histories:
        members = [record.member for record in trained(history)]
        ax.plot(
            [m.step for m in members], [m.score for m in members], color=colour, lw=0.5, alpha=0.4
        )
        for member in members:
            columns.setdefault(member.step, []).append(member.fitness)
    steps = sorted(columns)
    means = [top_mean(columns[step]) for step in steps]
    ax.plot(steps, means, color=colour, lw=2.2, label=f"{label}: mean of the top {TOP}")


def top_mean(scores: Sequence[float]) -> float:
    """Return the mean of the five best finite scores, of all if there are fewer; NaN of none."""
    best = sorted((score for score in scores if math.isfinite(score)), reverse=True)[:TOP]
    return float(np.mean(best)) if best else math.nan


def is_drawn(run: RunData, name: str) -> bool:
    """Whether a hyperparameter is a number that takes more than one value."""
    values = {record.member.hypers[name] for history in run.histories for record in history}
    return len(values) > 1 and not any(isinstance(value, str) for value in values)


def draw_hyper(ax: Axes, run: RunData, name: str) -> None:
    """Draw a hyperparameter of every member over time, on a logarithmic axis if it needs one."""
    lines = [
        ([r.member.step for r in decided(h)], [float(r.member.hypers[name]) for r in decided(h)])
        for h in run.histories
    ]
    values = [value for _, line in lines for value in line]
    for steps, line in lines:
        ax.step(steps, line, where="post", color=PBT, lw=0.7, alpha=0.7)
    if min(values) > 0 and max(values) / min(values) > 30:
        ax.set_yscale("log")
