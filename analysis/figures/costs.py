"""Where the time of a run went, by phase of a turn."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from analysis.data.columns import Columns, Floats
from analysis.data.runs import RunData
from analysis.figures.drawing import Drawing, drawing_of
from analysis.figures.style import (
    BLUE,
    GREEN,
    HATCHES,
    ORANGE,
    PINK,
    RED,
    SKY,
    WIDTH,
    YELLOW,
    whole_steps,
)

# what is drawn -> phases of the records; these do not overlap (data.columns.APART)
PARTS: Mapping[str, tuple[str, ...]] = {
    "step": ("step",),
    "eval": ("eval",),
    "report": ("report",),
    "save and load": ("save", "load"),
    "publish": ("publish",),
    "look at others": ("read", "pin"),
    "claim": ("claim",),
    "build": ("build",),
}
COLOURS = (BLUE, SKY, PINK, GREEN, ORANGE, RED, YELLOW, "0.5")
MARKS = (*HATCHES, "++")
UNITS = {"days": 86400, "hours": 3600, "minutes": 60, "seconds": 1}
BINS = 50  # the greatest number of bins of the steps


def figure(run: RunData, name: str, baseline: RunData | None) -> Drawing | None:
    """Return where the time of a run went. Drawn if its records have times."""
    if not totals(run.columns):
        return None
    both = [run] if baseline is None else [run, baseline]
    return drawing_of(
        both,
        name=f"costs_{name}",
        title=f"Where the time of {name} went",
        caption="Left, which share of the time of all turns each phase took, over the steps; "
        "right, the time of all workers together. All but step, eval and report is the engine.",
        size=(WIDTH, 2.9),
        draw=lambda figure: draw_costs(figure, both),
    )


def totals(columns: Columns) -> dict[str, float]:
    """Return the seconds of a run by part, without parts that took none."""
    spent = columns.phases()
    found = {part: sum(spent.get(p, 0.0) for p in phases) for part, phases in PARTS.items()}
    return {part: seconds for part, seconds in found.items() if seconds > 0}


def over_time(columns: Columns, parts: Sequence[str], edges: Floats) -> Floats:
    """Return [parts, bins] the share of each part in the time of all turns of a bin."""
    trained = columns.step > 0
    found = []
    for part in parts:
        spent = sum((columns.seconds[p] for p in PARTS[part] if p in columns.seconds), np.zeros(1))
        spent = np.broadcast_to(spent, columns.step.shape)
        found.append(np.histogram(columns.step[trained], edges, weights=spent[trained])[0])
    sums = np.sum(found, axis=0)
    return np.array(found) / np.where(sums > 0, sums, np.nan)


def draw_costs(figure: Figure, runs: Sequence[RunData]) -> None:
    """Draw the shares over the steps of the first run, and the totals of all as bars."""
    spent = [totals(run.columns) for run in runs]
    parts = [part for part in PARTS if any(part in of_run for of_run in spent)]
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    last = int(runs[0].columns.step.max())
    edges = np.unique(np.linspace(1, last + 1, min(last, BINS) + 1).round())
    shares = over_time(runs[0].columns, parts, edges)
    base = np.zeros(len(edges) - 1)
    for part, share in zip(parts, shares, strict=True):
        colour, mark = COLOURS[list(PARTS).index(part)], MARKS[list(PARTS).index(part)]
        top = base + np.nan_to_num(share)
        left.stairs(
            top, edges - 0.5, baseline=base, fill=True, facecolor=colour, hatch=mark,
            edgecolor="black", lw=0.3, label=part,
        )  # fmt: skip
        base = top
    left.set(xlabel="step", ylabel=f"share of the time, {runs[0].name}", ylim=(0, 1))
    left.set_xlim(edges[0] - 0.5, edges[-1] - 0.5)
    left.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    whole_steps(left)
    longest = max(sum(of_run.values()) for of_run in spent)
    unit, size = next((name, size) for name, size in UNITS.items() if longest >= size or size == 1)
    for y, of_run in enumerate(spent):
        begin = 0.0
        for part, seconds in of_run.items():
            i, share = list(PARTS).index(part), seconds / size
            right.barh(
                y, share, 0.6, begin, color=COLOURS[i], hatch=MARKS[i], edgecolor="black", lw=0.3
            )
            begin += share
        training = of_run.get("step", 0.0) / (begin * size) if begin else 0.0
        right.text(
            0,
            y - 0.38,
            f"{begin:.3g} {unit}, of which step {training:.1%}",
            fontsize=7,
            va="bottom",
        )
    right.set_yticks(range(len(runs)), [run.name for run in runs])
    right.set(xlabel=f"{unit} of all workers", ylim=(len(runs) - 0.4, -0.7))
    right.tick_params(axis="y", length=0)
    right.xaxis.set_major_locator(MaxNLocator(4))
    figure.legend(
        *left.get_legend_handles_labels(),
        loc="outside upper left",
        ncols=8,
        columnspacing=1,
        handletextpad=0.4,
    )
