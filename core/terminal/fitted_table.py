"""A table that fits its terminal: what does not fit is left out and said, and nothing is cut."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from textwrap import wrap
from typing import Literal

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

HEADING = 10  # characters of a line of a heading where there is little room
FEWEST = 3  # rows, however low the terminal


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a picture.

    short, brief: the cells, and the heading, where there is little room; none for the same ones.
    side: of its cells.
    kind: "must" stays; a "hyper" is left out if it does not fit, the last one first, then "more".
    folds: whether a long cell may go over several lines.
    least: characters that its widest cell may come to have: else the layout jumps in a live table.
    """

    heading: str
    cells: Sequence[str]
    short: Sequence[str] = ()
    brief: str = ""
    side: Literal["left", "right"] = "right"
    kind: Literal["must", "hyper", "more"] = "must"
    folds: bool = False
    least: int = 0


@dataclass(frozen=True, slots=True)
class Picture:
    """A title, a table, and sentences below it.

    rows: what a row is, in the plural.
    limit: rows at most; None for as many as the screen has room for.
    """

    title: str
    columns: Sequence[Column]
    below: Sequence[Text] = ()
    rows: str = "members"
    limit: int | None = None
    _hidden: Sequence[str] = field(default=(), kw_only=True)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw what fits."""
        fitted, compact = self._fitted(console, options)
        head = [Text(self.title, style="italic", overflow="fold")]
        below = [*self.below, *(Text(line, style="dim") for line in fitted._hidden)]
        count = len(self.columns[0].cells)
        limit = count if self.limit is None else self.limit
        if self.limit is None and console.is_terminal:
            around = [*head, *below, Text("rows are not shown")]
            lines = sum(len(console.render_lines(text, options, pad=False)) for text in around)
            headings = max(column.heading.count("\n") for column in fitted.columns) + 1
            limit = max(options.size.height - lines - headings - 4, FEWEST)  # rules, last line
        yield from head
        yield fitted._table(compact, limit)
        yield from below
        if count > limit:
            yield Text(f"{count - limit} more {self.rows} are not shown", style="dim")

    def _fitted(self, console: Console, options: ConsoleOptions) -> tuple["Picture", bool]:
        """Return the picture with as many columns as fit, and whether it must be compact."""

        def fits(picture: "Picture", compact: bool) -> bool:
            whole = options.update(max_width=10**6)
            drawn = picture._table(compact, 10**6)
            return console.measure(drawn, options=whole).maximum <= options.max_width

        if fits(self, False):
            return self, False
        full = [column for column in self.columns if column.kind == "must" or any(column.cells)]
        short = replace(self, columns=[_shortened(column) for column in full])
        while not fits(short, True) and (fewer := short._without_one()) is not None:
            short = fewer
        hypers = sum(column.kind == "hyper" for column in self.columns)
        hypers -= sum(column.kind == "hyper" for column in short.columns)
        hidden = []
        if hypers:
            what = "1 hyperparameter is" if hypers == 1 else f"{hypers} hyperparameters are"
            hidden.append(f"{what} not shown: widen the terminal")
        for column in full:
            if column.kind == "more" and column.heading not in [c.heading for c in short.columns]:
                hidden.append(f"{column.heading!r} is not shown: widen the terminal")
        return replace(short, _hidden=hidden), True

    def _without_one(self) -> "Picture | None":
        for kind in ("hyper", "more"):
            places = [i for i, column in enumerate(self.columns) if column.kind == kind]
            if places:
                left = [column for i, column in enumerate(self.columns) if i != places[-1]]
                return replace(self, columns=left)
        return None

    def _table(self, compact: bool, limit: int) -> Table:
        grid = Table(box=box.SIMPLE_HEAD if compact else box.HEAVY_HEAD, pad_edge=not compact)
        if compact:
            grid.padding = (0, 1, 0, 0)
        for column in self.columns:
            grid.add_column(
                Text(column.heading),
                justify=column.side,
                no_wrap=not column.folds,
                overflow="fold",
                min_width=column.least or None,
            )
        for cells in list(zip(*(column.cells for column in self.columns), strict=True))[:limit]:
            grid.add_row(*map(Text, cells))
        return grid


def _shortened(column: Column) -> Column:
    cells = column.short or column.cells
    if column.folds:
        return replace(column, cells=cells)
    widest = max(map(len, cells), default=0)
    words = (column.brief or column.heading).replace("_", "_ ")  # where a name may be broken
    lines = [line.replace("_ ", "_") for line in wrap(words, max(HEADING, widest))]
    return replace(column, cells=cells, heading="\n".join(lines))
