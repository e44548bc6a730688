"""Sample grids: pictures that a trainer put into its report."""

import base64
import io
import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from analysis.data.runs import RunData, folders

PNG = "data:image/png;base64,"


def has_samples(run: RunData) -> bool:
    """Whether the run's best member reported a picture called "samples"."""
    return str(run.best().report.get("samples", "")).startswith(PNG)


def picture(data: str) -> np.ndarray:
    """Return a reported PNG as an array, [Y, X] or [Y, X, 3]."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data.removeprefix(PNG)))))


def draw_samples(figure: Figure, runs: Sequence[RunData]) -> None:
    """Draw what the best member of each run makes at the end, one grid a run."""
    columns = min(len(runs), 4)
    rows = math.ceil(len(runs) / columns)
    axes = figure.subplots(rows, columns, squeeze=False).flat
    for ax, run, name in zip(axes, runs, folders(runs), strict=False):
        best = run.best()
        ax.imshow(picture(str(best.report["samples"])), cmap="gray", interpolation="nearest")
        title = f"{name}\nmember {best.member.id}: {best.member.score:.2f}"
        ax.set_title(title, fontsize=7)
    for ax in figure.axes:
        ax.set_axis_off()
