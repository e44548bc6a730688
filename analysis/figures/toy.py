"""The paper's figure 2: the four runs of the toy, as paths of θ and as scores."""

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.data.runs import RunData
from analysis.figures.drawing import Drawing, drawing_of
from analysis.figures.style import BLACK, RED

PANELS = {  # preset -> title, in the paper's order
    "figure_2_pbt": "PBT",
    "figure_2_explore_only": "Explore only",
    "figure_2_exploit_only": "Exploit only",
    "figure_2_grid": "Grid search",
}
# Q at steps 0 to 7 of the black and the red worker, read off the paper's figure to about 0.02
PAPER: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "figure_2_pbt": (
        (0.04, 0.63, 0.86, 0.98, 1.12, 1.16, 1.18, 1.18),
        (0.11, 0.30, 0.82, 1.03, 1.11, 1.15, 1.18, 1.19),
    ),
    "figure_2_explore_only": (
        (0.04, 0.37, 0.57, 0.70, 0.80, 0.88, 0.89, 0.97),
        (0.11, 0.29, 0.41, 0.65, 0.87, 1.00, 1.07, 1.12),
    ),
    "figure_2_exploit_only": (
        (0.041, 0.569, 0.767, 0.853, 1.037, 1.074, 1.138, 1.154),
        (0.108, 0.292, 0.753, 0.951, 1.016, 1.101, 1.123, 1.160),
    ),
    "figure_2_grid": (
        (0.041, 0.240, 0.325, 0.362, 0.378, 0.385, 0.388, 0.389),
        (0.108, 0.292, 0.356, 0.378, 0.386, 0.389, 0.389, 0.390),
    ),
}


def figure(runs: Sequence[RunData], lower: Sequence[str]) -> Drawing | None:
    """Return the paper's figure 2. Drawn if a run is one of its panels."""
    panels = [run for run in runs if is_figure_2(run)]
    if not panels:
        return None
    return drawing_of(
        panels,
        name="figure_2",
        title="The toy of the paper's figure 2",
        caption="Left, the way of θ of both workers, a dot for each update, on the contours of Q; "
        "right, Q(θ) at each step (lines) and the values of the paper (circles).",
        size=(8, 4.4),
        draw=lambda figure: draw_figure_2(figure, panels),
    )


def is_figure_2(run: RunData) -> bool:
    """Whether a run is one of the figure's panels."""
    return run.name in PANELS and run.members == 2 and "theta0" in run.best().report


def draw_figure_2(figure: Figure, runs: Sequence[RunData]) -> None:
    """Draw the paths on the left and the scores on the right, a panel for each of the runs."""
    by_name = {run.name: run for run in runs}
    names = [name for name in PANELS if name in by_name]
    parts = figure.subfigures(1, 2, squeeze=False)[0]
    for part, draw in zip(parts, (draw_paths, draw_q), strict=True):
        axes = part.subplots(2, 2, sharex=True, sharey=True, squeeze=False).flat
        for ax, name in zip(axes, names, strict=False):
            draw(ax, by_name[name])
            ax.set_title(PANELS[name])
    parts[0].suptitle("θ, a dot for each update, smaller with time")
    parts[1].suptitle("Q(θ); circles: the paper's figure 2")


def draw_paths(ax: Axes, run: RunData) -> None:
    """Draw the path of θ of both members on the contours of Q."""
    grid = np.linspace(-0.1, 1.0, 100)
    x, y = np.meshgrid(grid, grid)
    ax.contourf(x, y, 1.2 - x**2 - y**2, levels=12, cmap="Greys_r", alpha=0.5)
    for member, colour in enumerate((BLACK, RED)):
        way = path(run, member)
        sizes = np.linspace(16, 2, len(way))
        ax.scatter(way[:, 0], way[:, 1], s=sizes, color=colour, linewidths=0)
    ax.set(xlabel="θ0", ylabel="θ1", xlim=(-0.1, 1.0), ylim=(-0.1, 1.0), aspect="equal")


def path(run: RunData, member: int) -> np.ndarray:
    """Return θ after every update, [updates, 2], the start first."""
    points = [(0.9, 0.9)]
    came = set(run.columns.n[run.columns.first_of_step(member)].tolist())
    for record in run.history(member):
        if record.member.n not in came:
            continue
        theta0 = cast(Sequence[float], record.report["theta0"])
        theta1 = cast(Sequence[float], record.report["theta1"])
        points += zip(theta0, theta1, strict=True)
    return np.array(points)


def draw_q(ax: Axes, run: RunData) -> None:
    """Draw Q of both members at each step, and the paper's values as circles."""
    ax.axhline(1.2, color="0.5", ls=":", lw=0.8)
    paper = PAPER[run.name]
    for member, colour, there in zip((0, 1), (BLACK, RED), paper, strict=True):
        scores = run.columns.score_before_copy[run.columns.first_of_step(member)]
        ax.plot(range(len(scores)), scores, color=colour)
        ax.plot(range(len(there)), there, "o", mfc="none", mec=colour, ms=3.5, mew=0.6)
    ax.set(xlabel="step", ylabel="Q(θ)", ylim=(0, 1.25))
