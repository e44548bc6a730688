"""The figures of a report, as pictures that stand in the page itself."""

import io
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.evidence import Evidence
from analysis.markup import Html, tag, uri
from analysis.samples import draw_samples, has_samples
from analysis.scores import draw_run
from analysis.style import RC, new_figure
from analysis.toy import draw_figure_2, is_figure_2

MANY = 5_000  # points in a figure; more are smaller as pixels than as an SVG of their coordinates
PIXELS = 192  # an inch: two for each of a page's 96


class Plate(NamedTuple):
    """A figure with what stands above and below it."""

    title: str
    caption: str
    figure: Figure


def plates(runs: Sequence[Evidence]) -> Iterator[Plate]:
    """Draw what the runs hold; each figure is given up when the next is asked for."""
    whole = [run.data for run in runs if len(run.data.histories) > 0]
    if toy := [run for run in whole if is_figure_2(run)]:
        with new_figure(8, 4.4) as figure:
            draw_figure_2(figure, toy)
            yield Plate("Figure 2 of the paper", "The toy: paths of θ, and Q over time.", figure)
    others = [run for run in whole if not is_figure_2(run)]
    for run in others:
        if run.is_baseline and any(run.is_baseline_of(other) for other in others):
            continue
        baseline = next((other for other in others if other.is_baseline_of(run)), None)
        behind = f", in grey the baseline {baseline.name}" if baseline else ""
        with new_figure(7, 3.2) as figure:
            draw_run(figure, run, baseline)
            yield Plate(
                f"{run.name}, seed {run.seed}",
                f"The score ({run.score}) of every member as thin lines, the mean of the five best "
                f"at each step as a thick one{behind}; beside it the hyperparameters in use.",
                figure,
            )
    if pictures := [run for run in others if has_samples(run)]:
        with new_figure(7, 2.1 * -(-len(pictures) // 4)) as figure:
            draw_samples(figure, pictures)
            yield Plate("Samples", "What the best member of each run makes at its end.", figure)


def embedded(plate: Plate) -> Html:
    """Return a figure as an element of the page: lines as lines unless there are very many."""
    try:
        kind, picture = rendered(plate.figure)
    except ValueError as error:  # such as a name with dollars in it that is no formula
        return tag("p", f"“{plate.title}” could not be drawn: {error}", class_="loud")
    width, height = (round(96 * inches) for inches in plate.figure.get_size_inches())
    return tag(
        "figure",
        tag("h3", plate.title),
        tag(
            "img",
            src=uri(kind, picture),
            alt=f"{plate.title}. {plate.caption}",
            width=str(width),
            height=str(height),
        ),
        tag("figcaption", plate.caption),
    )


def rendered(figure: Figure) -> tuple[str, bytes]:
    """Return a figure as SVG, or as PNG if it has many points; with its type."""
    file = io.BytesIO()
    with mpl.rc_context(RC | {"svg.hashsalt": "a report"}):  # the same figure, the same bytes
        if points(figure) > MANY:
            figure.savefig(file, format="png", dpi=PIXELS)
            return "image/png", file.getvalue()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return "image/svg+xml", file.getvalue()


def points(figure: Figure) -> int:
    """Return how many points the lines and collections of a figure have."""
    found = 0
    for shown in figure.findobj():
        if isinstance(shown, Line2D):
            found += len(np.asarray(shown.get_xdata()))
        elif isinstance(shown, Collection):
            vertices = sum(np.shape(path.vertices)[0] for path in shown.get_paths())
            found += max(len(np.asarray(shown.get_offsets())), vertices)
    return found
