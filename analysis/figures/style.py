"""How every figure looks: one style, colours that survive grey and colour blindness."""

import io
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

WIDTH = 7.0  # inches: a page's text, so that a point in a figure is a point in print
BLUE, ORANGE, GREEN, RED = "#0072b2", "#e69f00", "#009e73", "#d55e00"  # Okabe and Ito's
PINK, SKY, YELLOW, BLACK = "#cc79a7", "#56b4e9", "#f0e442", "#000000"
PBT = BLUE  # blue and grey, as the paper's figure 4
BASELINE = "#666666"
# for what has no order; a marker and a hatch each, for those who see no colours
SEVERAL = (BLUE, ORANGE, GREEN, RED, PINK, SKY)
MARKERS = ("o", "s", "^", "D", "v", "P")
HATCHES = ("", "//", "..", "\\\\", "xx", "--", "||")
SHORT = 4  # greatest over least, up to which an axis is never logarithmic
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
MANY = 200  # artists of one kind, from which on a PDF holds them as an image
RC: dict[Any, Any] = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "text.parse_math": False,  # a name with dollars in it is a name, no formula
    "hatch.linewidth": 0.4,
    "figure.dpi": 110,
    "savefig.dpi": 200,
    "pdf.fonttype": 42,  # text stays text
    "svg.fonttype": "none",
    "svg.hashsalt": "pbt",  # the same figure, the same bytes
    "lines.linewidth": 1.2,
}


@contextmanager
def new_figure(width: float, height: float) -> Iterator[Figure]:
    """Give an empty figure of so many inches, in the style of all."""
    with mpl.rc_context(RC):
        yield Figure(figsize=(width, height), layout="constrained")


def rendered(figure: Figure, kind: Literal["png", "pdf", "svg"]) -> bytes:
    """Return a figure as a file's content: the same for the same figure."""
    metadata = {"png": {}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}[kind]
    file = io.BytesIO()
    with mpl.rc_context(RC), warnings.catch_warnings():  # ticks are made as late as this
        # names that leave no room for the axes: drawn all the same, one over the other
        warnings.filterwarnings("ignore", "constrained_layout not applied", UserWarning)
        figure.savefig(file, format=kind, metadata=metadata)
    return file.getvalue()


def save(figure: Figure, out: Path, name: str) -> list[Path]:
    """Write a figure as PNG and PDF; return where."""
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / f"{name}.png", out / f"{name}.pdf"]
    paths[0].write_bytes(rendered(figure, "png"))
    engine = figure.get_layout_engine()
    figure.set_layout_engine("none")  # to find the places of all things again takes half the time
    paths[1].write_bytes(rendered(figure, "pdf"))
    figure.set_layout_engine(engine)
    return paths


def whole_steps(ax: Axes) -> None:
    """Let the x axis count steps."""
    ax.xaxis.set_major_locator(MaxNLocator(nbins="auto", integer=True, steps=[1, 2, 5, 10]))


def log_scale(ax: Axes) -> None:
    """Let the y axis be logarithmic, unless it is too short for that."""
    ax.set_yscale("log")  # first: the limits of a linear axis may go below 0
    low, high = ax.get_ylim()
    if high / low < SHORT:
        ax.set_yscale("linear")
        return
    if high / low < 100:  # too short for powers of ten
        ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    else:
        ax.yaxis.set_major_locator(LogLocator(numticks=5))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: power(y)))
    ax.yaxis.set_minor_formatter(NullFormatter())


def power(value: float) -> str:
    """Return a power of ten as text, in no formula, of which there are none in these figures."""
    exponent = round(math.log10(value)) if value > 0 else 0
    if value <= 0 or not math.isclose(value, 10.0**exponent):
        return f"{value:g}"
    return "10" + str(exponent).translate(RAISED)


def in_legend(name: str) -> str:
    """Return a name as a legend shows it: matplotlib leaves out those that begin with `_`."""
    return f" {name}" if name.startswith("_") else name


SIDE_BY_SIDE = 60  # letters of a legend in two columns, at most


def legend_above(ax: Axes) -> None:
    """Say what the lines are above the axes, where it hides none of them."""
    _, names = ax.get_legend_handles_labels()
    columns = 2 if sum(map(len, names)) < SIDE_BY_SIDE else 1  # wider, it would squeeze the axes
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0.2)


def categories(ax: Axes, options: Sequence[str]) -> None:
    """Let the y axis have a place for each option, the first one lowest."""
    ax.set_yticks(range(len(options)), options)
    ax.set_ylim(-0.5, len(options) - 0.5)


def lighten(artist: Artist, size: int) -> None:
    """Let a PDF hold an artist of so many lines or dots as an image, if they are many."""
    artist.set_rasterized(size > MANY)
