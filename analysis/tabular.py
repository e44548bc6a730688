"""A table as Markdown, LaTeX (booktabs), comma-separated values, or on a terminal."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

NONE = "–"  # what is not there
NAME = 18  # letters of a name that a narrow terminal does not break
SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "–": "--",
    "−": "$-$",
    "θ": r"$\theta$",
    "→": r"$\rightarrow$",
    "≥": r"$\geq$",
    "<": r"$<$",
    ">": r"$>$",
} | {char: "\\" + char for char in "&%$#_{}"}


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of texts under a header.

    groups: the numbers of the rows before which a rule is drawn.
    left: how many columns hold names; the others hold numbers.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    groups: Sequence[int] = ()
    left: int = 1

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.header) for row in self.rows), self.title


def markdown(table: Table) -> str:
    """Return a table as GitHub shows it, its title above."""
    rules = ["---"] * table.left + ["---:"] * (len(table.header) - table.left)
    lines = [table.header, rules, *table.rows]
    body = "\n".join("| " + " | ".join(map(_no_bars, line)) + " |" for line in lines)
    return f"{table.title}\n\n{body}\n" if table.title else body + "\n"


def _no_bars(cell: str) -> str:
    return cell.replace("|", r"\|")


def escape(text: str) -> str:
    """Return a text as LaTeX prints it."""
    return re.sub("|".join(map(re.escape, SPECIAL)), lambda found: SPECIAL[found[0]], text)


def latex(table: Table, label: str) -> str:
    r"""Return a table for `\input`, of the package booktabs."""
    columns = "l" * table.left + "r" * (len(table.header) - table.left)
    lines = [r"\begin{table}", r"\centering", rf"\caption{{{escape(table.title)}}}"]
    lines += [rf"\label{{{label}}}", rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
    lines += [_latex_row(table.header), r"\midrule"]
    for number, row in enumerate(table.rows):
        lines += [r"\midrule"] if number in table.groups else []
        lines.append(_latex_row(row))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(map(escape, cells)) + r" \\"


def comma_separated(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return rows as a CSV file holds them; None is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def show(parts: Sequence[Table | str], console: Console) -> None:
    """Print tables and paragraphs on a terminal."""
    for part in parts:
        if isinstance(part, str):
            loud = part.startswith(("UNEQUAL", "NOT DONE"))
            console.print(Text(part), style="bold red" if loud else "")
            continue
        found = RichTable(box=None, pad_edge=False, header_style="bold", title_justify="left")
        for place, name in enumerate(part.header):
            side: Literal["left", "right"] = "left" if place < part.left else "right"
            words = [word for row in part.rows for word in row[place].split()]
            least = min(max(map(len, words), default=1), NAME) if side == "left" else None
            found.add_column(Text(name), justify=side, overflow="fold", min_width=least)
        for number, row in enumerate(part.rows):
            found.add_row(*map(Text, row), end_section=number + 1 in part.groups)
        console.print()
        console.print(Text(part.title), style="bold")
        console.print(found)
