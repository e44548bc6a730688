"""The figures of a report, as pictures inside the page."""

import numpy as np
from matplotlib.figure import Figure

from analysis.figures.drawing import Drawing
from analysis.figures.style import rendered
from analysis.report.markup import Html, tag, uri

MANY = 5_000  # points in a figure; with more, a PNG is smaller than an SVG


def embedded(drawing: Drawing) -> Html:
    """Return a figure as an element of the page."""
    try:
        kind, content = picture(drawing.figure)
    except ValueError as error:
        return tag("p", f"“{drawing.title}” could not be drawn: {error}", class_="loud")
    width, height = (round(96 * inches) for inches in drawing.size)
    return tag(
        "figure",
        tag("h3", drawing.title),
        tag(
            "img",
            src=uri(kind, content),
            alt=f"{drawing.title}. {drawing.caption}",
            width=str(width),
            height=str(height),
        ),
        tag("figcaption", drawing.caption),
    )


def picture(figure: Figure) -> tuple[str, bytes]:
    """Return a figure and its type: SVG, or PNG if it has many points."""
    if points(figure) > MANY:
        return "image/png", rendered(figure, "png")
    return "image/svg+xml", rendered(figure, "svg")


def points(figure: Figure) -> int:
    """Return how many points the lines and collections of a figure have."""
    found = 0
    for ax in figure.axes:  # a search through all artists, with all ticks, takes long
        found += sum(len(np.asarray(line.get_xdata())) for line in ax.lines)
        for shown in ax.collections:
            vertices = sum(np.shape(path.vertices)[0] for path in shown.get_paths())
            found += max(len(np.asarray(shown.get_offsets())), vertices)
    return found
