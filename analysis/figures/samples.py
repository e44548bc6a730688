"""Grids of samples: pictures that a trainer reported."""

import base64
import io
import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from analysis.data.runs import RunData, folders
from analysis.figures.drawing import Drawing, drawing_of
from analysis.figures.style import WIDTH

PNG = "data:image/png;base64,"
ACROSS = 4  # grids beside each other


def figure(runs: Sequence[RunData], lower: Sequence[str]) -> Drawing | None:
    """Return the samples of the best members. Drawn if the best member of a run reported any."""
    pictures = [run for run in runs if has_samples(run)]
    if not pictures:
        return None
    return drawing_of(
        pictures,
        name="samples",
        title="Samples of the best members",
        caption="What the best member of each run makes at the end.",
        size=(WIDTH, 2.1 * math.ceil(len(pictures) / ACROSS)),
        draw=lambda figure: draw_samples(figure, pictures),
    )


def has_samples(run: RunData) -> bool:
    """Whether the run's best member reported a picture called "samples"."""
    return str(run.best().report.get("samples", "")).startswith(PNG)


def pixels(data: str) -> np.ndarray:
    """Return a reported PNG as an array, [Y, X] or [Y, X, 3]."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data.removeprefix(PNG)))))


def draw_samples(figure: Figure, runs: Sequence[RunData]) -> None:
    """Draw the last samples of the best member of each run, one grid for each run."""
    columns = min(len(runs), ACROSS)
    rows = math.ceil(len(runs) / columns)
    axes = figure.subplots(rows, columns, squeeze=False).flat
    for ax, run, name in zip(axes, runs, folders(runs), strict=False):
        best = run.best()
        ax.imshow(pixels(str(best.report["samples"])), cmap="gray", interpolation="nearest")
        title = f"{name}\nmember {best.member.id}: {best.member.score:.2f}"
        ax.set_title(title, fontsize=7)
    for ax in figure.axes:
        ax.set_axis_off()
