"""The style of every figure; its colours work in grey and for colour-blind people."""

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

WIDTH = 7.0  # inches, as wide as the text of a page, so that figures are printed unscaled
BLUE, ORANGE, GREEN, RED = "#0072b2", "#e69f00", "#009e73", "#d55e00"  # Okabe and Ito's
PINK, SKY, YELLOW, BLACK = "#cc79a7", "#56b4e9", "#f0e442", "#000000"
PBT = BLUE  # blue and grey, as the paper's figure 4
BASELINE = "#666666"
# for things without an order; each also has a marker and a hatch, for grey print
SEVERAL = (BLUE, ORANGE, GREEN, RED, PINK, SKY)
MARKERS = ("o", "s", "^", "D", "v", "P")
HATCHES = ("", "//", "..", "\\\\", "xx", "--", "||")
SHORT = 4  # greatest value over least, below which an axis is never logarithmic
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
MANY = 200  # artists of one kind, above which a PDF holds them as an image
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
    "text.parse_math": False,  # a name with dollars in it is no formula
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
    """Give an empty figure of this size in inches, in the common style."""
    with mpl.rc_context(RC):
        yield Figure(figsize=(width, height), layout="constrained")


def rendered(figure: Figure, kind: Literal["png", "pdf", "svg"]) -> bytes:
    """Return a figure as the content of a file: the same bytes for the same figure."""
    metadata = {"png": {}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}[kind]
    file = io.BytesIO()
    with mpl.rc_context(RC), warnings.catch_warnings():  # ticks are made only now
        # names may leave no room for the axes; then they overlap
        warnings.filterwarnings("ignore", "constrained_layout not applied", UserWarning)
        figure.savefig(file, format=kind, metadata=metadata)
    return file.getvalue()


def save(figure: Figure, out: Path, name: str) -> list[Path]:
    """Write a figure as PNG and PDF; return where."""
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / f"{name}.png", out / f"{name}.pdf"]
    paths[0].write_bytes(rendered(figure, "png"))
    engine = figure.get_layout_engine()
    figure.set_layout_engine("none")  # a second layout would take half of the time
    paths[1].write_bytes(rendered(figure, "pdf"))
    figure.set_layout_engine(engine)
    return paths


def whole_steps(ax: Axes) -> None:
    """Put the ticks of the x axis on whole steps."""
    ax.xaxis.set_major_locator(MaxNLocator(nbins="auto", integer=True, steps=[1, 2, 5, 10]))


def log_scale(ax: Axes) -> None:
    """Make the y axis logarithmic, unless its range is too short."""
    ax.set_yscale("log")  # before reading the limits: those of a linear axis may be below 0
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
    """Return a power of ten as plain text, because these figures have no formulas."""
    exponent = round(math.log10(value)) if value > 0 else 0
    if value <= 0 or not math.isclose(value, 10.0**exponent):
        return f"{value:g}"
    return "10" + str(exponent).translate(RAISED)


def in_legend(name: str) -> str:
    """Return a name for a legend; matplotlib would leave out one that begins with `_`."""
    return f" {name}" if name.startswith("_") else name


SIDE_BY_SIDE = 60  # letters of a legend, below which it has two columns


def legend_above(ax: Axes) -> None:
    """Put the legend above the axes, where it hides no line."""
    _, names = ax.get_legend_handles_labels()
    columns = 2 if sum(map(len, names)) < SIDE_BY_SIDE else 1  # a wider one would narrow the axes
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0.2)


def categories(ax: Axes, options: Sequence[str]) -> None:
    """Give the y axis a place for each option, the first one lowest."""
    ax.set_yticks(range(len(options)), options)
    ax.set_ylim(-0.5, len(options) - 0.5)


def lighten(artist: Artist, size: int) -> None:
    """Let a PDF hold an artist as an image if it has many lines or dots."""
    artist.set_rasterized(size > MANY)
