"""`python -m analysis tables`: the paper's tables with our numbers beside its own."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
from rich.console import Console

from analysis.data.made import Output, source
from analysis.data.numbers import highest
from analysis.data.places import note, read_places, run_directories
from analysis.data.runs import RunData
from analysis.tables.arms import Arm, arm
from analysis.tables.paper import HIGHEST, TABLES, Cell, Derived, PaperTable, Scores
from analysis.tables.tabular import NONE, Table, comma_separated, latex, markdown, show

WHOSE = ("paper", "ours")


@dataclass(frozen=True, slots=True)
class Ours:
    """What fills a cell.

    mean: over seeds.
    deviation: the standard deviation over seeds; None for one seed.
    n: the number of seeds.
    arm: the runs.
    """

    mean: float
    deviation: float | None
    n: int
    arm: Arm


Filled = Mapping[tuple[str, str], Ours]


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `tables`, besides --out."""
    what = "runs, studies or folders of runs"
    parser.add_argument("runs", type=Path, nargs="*", metavar="RUN", help=what)


def command(options: argparse.Namespace) -> int:
    """Write each table as three files, and print all."""
    output = Output(options.out, options.overwrite)
    runs = read_places(run_directories(options.runs, note), note)
    arms, notes = by_preset(runs)
    files: dict[str, str] = {}
    parts: list[Table | str] = []
    for paper in TABLES:
        filled = fill(paper, arms)
        table = lay_out(paper, filled)
        said = sizes(paper, filled)
        text = "\n".join([markdown(table), *(f"{note}\n" for note in said)])
        files[f"{paper.name}.md"] = text
        files[f"{paper.name}.tex"] = latex(table, f"tab:{paper.name}")
        files[f"{paper.name}.csv"] = table_as_csv(paper, filled)
        parts += [table, *said]
    output.plan(dict.fromkeys(files, source("tables", runs)))
    for name, content in files.items():
        output.write(name, content)
    parts += notes
    if sys.stdout.isatty():
        show(parts, Console())
    else:
        print("\n".join(part + "\n" if isinstance(part, str) else markdown(part) for part in parts))
    for paper in TABLES:
        print(options.out / f"{paper.name}.md")
    return 0


def by_preset(runs: Sequence[RunData]) -> tuple[dict[str, Arm], list[str]]:
    """Return the arms by preset, and sentences about runs that fill no cell.

    Raises:
        ValueError: runs of one preset differ in more than their seed.
    """
    known = {cell.preset for table in TABLES for cell in table.cells.values()}
    used: dict[str, list[RunData]] = {}
    notes = []
    for run in runs:
        if run.preset not in known:
            notes.append(f"Left out: {run.path}; no cell is of the preset {run.preset}.")
        elif not run.is_done:
            notes.append(f"Left out: {run.path} is {run.state}.")
        else:
            used.setdefault(run.preset, []).append(run)
    arms = {preset: arm(some) for preset, some in used.items()}
    return arms, [*(line for found in arms.values() for line in found.damage), *notes]


def fill(paper: PaperTable, arms: Mapping[str, Arm]) -> Filled:
    """Return what fills our cells, by row and column.

    Raises:
        ValueError: the runs of a preset lack the number of its cell.
    """
    filled = {}
    for place, cell in paper.cells.items():
        if cell.preset in arms:
            values = _values(cell, arms[cell.preset])
            deviation = stdev(values) if len(values) > 1 else None
            filled[place] = Ours(fmean(values), deviation, len(values), arms[cell.preset])
    return filled


def _values(cell: Cell, arm: Arm) -> list[float]:
    name = cell.number.removeprefix(HIGHEST)
    values = list(arm.numbers.get(name, ()))
    if name != cell.number:
        values = [highest(run, name) if name in run.report else np.nan for run in arm.runs]
    if not values or not np.isfinite(values).all():
        there = ", ".join(arm.held_out) or "none"
        raise ValueError(
            f"{arm.paths[0]} ({cell.preset}) and its other seeds have no {cell.number!r} for the "
            f"table; held-out numbers that all reported: {there}"
        )
    return values


def lay_out(paper: PaperTable, filled: Filled) -> Table:
    """Return the table with two lines for each row: the paper's and ours."""
    rows, groups = [], []
    for name in paper.rows:
        theirs = [_theirs(paper.cells.get((name, c)), paper.digits) for c in paper.columns]
        ours = [_ours(filled.get((name, column))) for column in paper.columns]
        rows += [[name, WHOSE[0], *theirs], ["", WHOSE[1], *ours]]
    groups = [len(rows)]
    papers = {at: cell.paper for at, cell in paper.cells.items() if cell.paper is not None}
    own = {at: ours.mean for at, ours in filled.items()}
    for derived in paper.derived:
        for whose, numbers in zip(WHOSE, (papers, own), strict=True):
            numbers = numbers if whose == WHOSE[0] or derived.ours else {}
            found = [derive(paper, derived, numbers, column) for column in paper.columns]
            cells = [NONE if number is None else f"{number:.4g}" for number in found]
            rows.append([derived.name if whose == WHOSE[0] else "", whose, *cells])
    title = f"{paper.title} Ours: mean ± standard deviation over seeds (number of seeds)."
    return Table(title, ["", "", *paper.columns], rows, groups, left=2)


def derive(
    paper: PaperTable, derived: Derived, numbers: Mapping[tuple[str, str], float], column: str
) -> float | None:
    """Return a derived number of a column; None if a cell that it needs is empty."""
    baseline = paper.columns[column]
    if derived.compared and not baseline:
        return None
    own = _column(paper, numbers, column)
    other = _column(paper, numbers, baseline) if derived.compared else {}
    if own is None or other is None or (other and set(other) < set(own)):
        return None
    return derived.of(own, other)


def _column(
    paper: PaperTable, numbers: Mapping[tuple[str, str], float], column: str
) -> Scores | None:
    rows = [row for row in paper.rows if (row, column) in paper.cells]
    found = {row: numbers[row, column] for row in rows if (row, column) in numbers}
    return found if rows and len(found) == len(rows) else None


def sizes(paper: PaperTable, filled: Filled) -> list[str]:
    """Return a sentence for each of our arms with another population size than its cell."""
    found = {}
    for place, ours in filled.items():
        cell = paper.cells[place]
        if ours.arm.members != cell.members:
            found[cell.preset] = (
                f"NOT OF THIS SIZE: ours of {cell.preset} has {ours.arm.members} members, where "
                f"{cell.members} belong."
            )
    return list(found.values())


def _theirs(cell: Cell | None, digits: int) -> str:
    if cell is None or cell.paper is None:
        return NONE
    spread = "" if cell.spread is None else f" ± {_as_printed(cell.spread, digits)}"
    return _as_printed(cell.paper, digits) + spread


def _as_printed(number: float, digits: int) -> str:
    return max(f"{number:g}", f"{number:.{digits}f}", key=len)


def _ours(ours: Ours | None) -> str:
    if ours is None:
        return NONE
    spread = f" ± {ours.deviation:.2g}" if ours.deviation is not None else ""
    return f"{ours.mean:.4g}{spread} ({ours.n})"


def table_as_csv(paper: PaperTable, filled: Filled) -> str:
    """Return a table as CSV, one row for each cell."""
    header = ["row", "column", "paper", "paper ±", "ours", "ours, deviation", "seeds", "number"]
    header += ["preset", "members", "steps", "code"]
    lines: list[list[object]] = []
    for (row, column), cell in paper.cells.items():
        line: list[object] = [row, column, cell.paper, cell.spread, None, None, 0, cell.number]
        line += [cell.preset, None, None, None]
        if ours := filled.get((row, column)):
            line[4:7] = [f"{ours.mean:.6g}", ours.deviation and f"{ours.deviation:.6g}", ours.n]
            line[9:] = [ours.arm.members, ours.arm.steps, ours.arm.code]
        lines.append(line)
    return comma_separated(header, lines)
