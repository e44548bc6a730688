"""A figure before it is drawn: its caption, its size, and the function that draws it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from matplotlib.figure import Figure

from analysis.data.runs import RunData, folders
from analysis.figures.style import new_figure


@dataclass(frozen=True)
class Drawing:
    """A figure with its caption, drawn when it is first needed.

    name: the name of its file, without the ending.
    title: one line for people.
    caption: what the figure shows, and how to read it.
    size: width and height in inches.
    draw: draws it on an empty figure of this size.
    runs: the runs that it shows; none for a figure of a study.
    """

    name: str
    title: str
    caption: str
    size: tuple[float, float]
    draw: Callable[[Figure], None]
    runs: Sequence[RunData] = ()

    @cached_property
    def figure(self) -> Figure:
        """The figure, drawn."""
        with new_figure(*self.size) as figure:
            self.draw(figure)
        return figure


def drawing_of(
    runs: Sequence[RunData],
    *,
    name: str,
    title: str,
    caption: str,
    size: tuple[float, float],
    draw: Callable[[Figure], None],
) -> Drawing:
    """Return the figure of some runs.

    Its caption also says which runs are incomplete, and in which PBT runs no member copied another.
    """
    said = [
        f"{folder} is {run.state}."
        for run, folder in zip(runs, folders(runs), strict=True)
        if run.state
    ]
    said += [run.idle for run in runs if run.idle]
    return Drawing(name, title, " ".join([caption, *said]), size, draw, runs)


def what_copies_take(run: RunData) -> str:
    """Return the sentence that ends a caption if copies take only one of weights and hypers."""
    if len(run.settings.inherit) == 2:
        return ""
    takes = " and ".join(run.settings.inherit) or "nothing, and only explores"
    return f" A copy takes {takes}."
