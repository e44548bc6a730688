"""A table as Markdown, LaTeX, comma-separated values, or on a terminal."""

import csv
import io
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

NONE = "–"  # an empty cell
GAP = 2  # characters between two columns on a terminal
HEAD = 10  # letters in a line of a column's name in LaTeX
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
    "|": r"$|$",
    "[": "{[}",  # at the start of a row, LaTeX would take these two as options of the row before
    "*": "{*}",
} | {char: "\\" + char for char in "&%$#_{}"}


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of texts under a header.

    title: stands above the table.
    header: the names of the columns.
    rows: a text for each column.
    groups: the numbers of the rows that have a rule above them.
    left: the number of columns that hold names; the others hold numbers.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    groups: Sequence[int] = ()
    left: int = 1

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.header) for row in self.rows), self.title


def markdown(table: Table) -> str:
    """Return a table as Markdown for GitHub, with its title above."""
    rules = ["---"] * table.left + ["---:"] * (len(table.header) - table.left)
    lines = [table.header, rules, *table.rows]
    body = "\n".join("| " + " | ".join(map(_in_a_line, line)) + " |" for line in lines)
    return f"{table.title}\n\n{body}\n" if table.title else body + "\n"


def _in_a_line(cell: str) -> str:
    return " ".join(cell.splitlines()).replace("|", r"\|")


def escape(text: str) -> str:
    """Return a text with LaTeX's special characters escaped."""
    return re.sub("|".join(map(re.escape, SPECIAL)), lambda found: SPECIAL[found[0]], text)


def latex(table: Table, label: str) -> str:
    r"""Return a table for `\input`, no wider than the text around it.

    Its document loads the packages booktabs and graphicx.
    """
    columns = "l" * table.left + "r" * (len(table.header) - table.left)
    lines = [r"% \usepackage{booktabs, graphicx}", r"\begin{table}", r"\centering"]
    lines += [rf"\caption{{{escape(table.title)}}}", rf"\label{{{label}}}", r"\medskip"]
    lines += [r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"]
    lines += [rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
    lines += [" & ".join(map(_latex_head, table.header)) + r" \\", r"\midrule"]
    for number, row in enumerate(table.rows):
        lines += [r"\midrule"] if number in table.groups else []
        lines.append(" & ".join(map(escape, row)) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}}", r"\end{table}", ""])


def _latex_head(name: str) -> str:
    """Return the name of a column; a long name takes several lines."""
    lines = textwrap.wrap(name, HEAD, break_long_words=False, break_on_hyphens=False)
    if len(lines) < 2:
        return escape(name)
    stack = r" \\ ".join(map(escape, lines))
    return rf"\shortstack[r]{{{stack}}}"


def comma_separated(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return rows as CSV; None is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def show(parts: Sequence[Table | str], console: Console) -> None:
    """Print tables and paragraphs on a terminal; a table that is too wide is split."""
    for number, part in enumerate(parts):
        if isinstance(part, str):
            if number and isinstance(parts[number - 1], Table):
                console.print()
            loud = part.startswith(("UNEQUAL", "NOT "))
            console.print(Text(part), style="bold red" if loud else "")
            continue
        console.print()
        console.print(Text(part.title), style="bold")
        for place, columns in enumerate(fitting(part, console.width)):
            if place:
                console.print()
            console.print(_rich(part, columns))


def fitting(table: Table, width: int) -> list[list[int]]:
    """Return the columns of each part of a table so that none is cut; names are in each part."""
    lines = [[max(name.split(), key=len, default="") for name in table.header], *table.rows]
    widths = [max(len(line[place]) for line in lines) + GAP for place in range(len(table.header))]
    names, numbers = list(range(table.left)), list(range(table.left, len(widths)))
    room = width - sum(widths[: table.left])
    for wanted in range(1, len(numbers) + 1):
        each = -(-len(numbers) // wanted)
        parts = [numbers[i : i + each] for i in range(0, len(numbers), each)]
        if all(sum(widths[place] for place in part) <= room for part in parts):
            break
    return [names + part for part in parts]


def _rich(table: Table, columns: Sequence[int]) -> RichTable:
    found = RichTable(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for place in columns:
        side: Literal["left", "right"] = "left" if place < table.left else "right"
        word = max(map(len, table.header[place].split()), default=0)
        found.add_column(
            Text(table.header[place]),
            justify=side,
            overflow="fold",
            min_width=word,
            no_wrap=place < table.left,
        )
    for row in table.rows:
        found.add_row(*(Text(row[place]) for place in columns))
    return found
