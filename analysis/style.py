"""How every figure looks: one style, colours that survive grey and colour blindness."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

PBT = "#0072b2"  # blue and grey, as the paper's figure 4
BASELINE = "#666666"
BLACK, RED = "#000000", "#d55e00"  # the two workers of the toy
RC: dict[Any, Any] = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "legend.frameon": False,
    "figure.dpi": 110,
    "savefig.dpi": 200,
    "pdf.fonttype": 42,  # text stays text
    "lines.linewidth": 1.2,
}


@contextmanager
def new_figure(width: float, height: float) -> Iterator[Figure]:
    """Give an empty figure of so many inches, in the style of all."""
    with mpl.rc_context(RC):
        yield Figure(figsize=(width, height), layout="constrained")


def save(figure: Figure, out: Path, name: str) -> list[Path]:
    """Write a figure as PNG and PDF; return where."""
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / f"{name}.png", out / f"{name}.pdf"]
    figure.savefig(paths[0])
    figure.savefig(paths[1], metadata={"CreationDate": None})  # the same figure, the same file
    return paths
