"""A run on the screen: a table that fits, and the sentences below it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console, RenderableType
from rich.text import Text

from core.status.places import shown
from core.status.progress import Complaint, Row, View, duration, value
from core.status.remarks import SENTENCES, alarms, is_search, no_copies, standing
from core.terminal.fitted_table import Column, Picture

OURS = ("member", "step", "score", "copied", "now")  # headings of this program
SHORT = 5.0  # seconds of a turn that are not worth showing
NAMED = 6  # fixed hyperparameters that are named


@dataclass(slots=True)
class RunView:
    """A run, drawn again and again.

    inside: whether it is drawn by who keeps its workers, and need not be told that none is there.
    """

    view: View
    inside: bool = False

    def line(self) -> str:
        """Return one line, and one more for each thing to mind; "" if there is nothing to say."""
        rows = self.view.rows()
        sentences = [*alarms(self.view, rows), *self._standing(rows)]
        longest = max((row.turn_seconds or 0.0 for row in rows), default=0.0)
        turn = f", a turn under way for {duration(longest)}" if longest > SHORT else ""
        return "\n".join([self.view.progress(rows) + turn, *sentences] if rows else sentences)

    def is_done(self) -> bool:
        """Whether all members are done."""
        return self.view.is_done(self.view.rows())

    def draw(self, limit: int | None) -> RenderableType:
        """Return a table of at most `limit` members, best first; None for as many as fit."""
        return self.picture(self.view.rows(), limit)

    def picture(self, rows: list[Row], limit: int | None) -> RenderableType:
        """Return it of rows that were read before."""
        view, fixed = self.view, _fixed(self.view, rows)
        below = [Text(view.progress(rows) if rows else "nothing is published yet")]
        if fixed:
            below.append(Text(f"the same for all: {_listed(fixed)}", style="dim"))
        below += [Text(sentence, style="bold yellow") for sentence in alarms(view, rows)]
        below += [Text(sentence, style="bold") for sentence in self._standing(rows)]
        if is_search(view, rows):
            below.append(Text(no_copies(view, rows), style="bold"))
        below += [warning(said) for said in view.complaints()[-SENTENCES:]]
        title = f"{view.info['preset']}  ·  {shown(view.root)}"
        return Picture(title, list(_columns(view, rows, fixed)), below, limit=limit)

    def _standing(self, rows: list[Row]) -> list[str]:
        return [] if self.inside else standing(self.view, rows)


def _fixed(view: View, rows: list[Row]) -> Mapping[str, str]:
    """Return what needs no column: the hypers whose prior is one value, which all have."""
    found = {}
    for name in rows[0].record.member.hypers if rows else ():
        values = {value(row.record.member.hypers[name]) for row in rows}
        if view.settings.is_fixed(name) and len(values) == 1:
            found[name] = values.pop()
    return found


def _listed(fixed: Mapping[str, str]) -> str:
    names = [f"{name} {number}" for name, number in fixed.items()]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _columns(view: View, rows: list[Row], fixed: Mapping[str, str]) -> Iterator[Column]:
    members = [row.record.member for row in rows]
    yield Column("member", [str(me.id) for me in members])
    yield Column("step", [f"{me.step}/{view.steps}" for me in members])
    yield Column("score", [_score(row) for row in rows])
    for name in members[0].hypers if members else ():
        if name not in fixed:
            ours = name in OURS
            yield Column(
                f"{name} (hyperparameter)" if ours else name,
                [value(me.hypers[name]) for me in members],
                brief=f"{name} (hyper)" if ours else name,
                kind="hyper",
            )
    copies = [me.last_parent and (me.last_parent[0], me.last_copy) for me in members]
    long = [f"{copy[0]} at step {copy[1]}" if copy else "" for copy in copies]
    short = [f"{copy[0]} at {copy[1]}" if copy else "" for copy in copies]
    yield Column("copied", long, short, side="left", kind="more")
    turns = [max(row.turn_seconds or 0.0, row.record.spent) for row in rows if row.worker]
    now = [_state(row, view.steps) for row in rows]
    least = len(f"training {duration(0)}") if max(turns, default=0) > SHORT else 0
    yield Column("now", now, side="left", least=least)


def _score(row: Row) -> str:
    me = row.record.member
    if me.healthy:
        return f"{me.score:.5g}"
    if not me.step:
        return ""
    return "diverged" if row.record.weights else "failed"


def _state(row: Row, steps: int) -> str:
    me = row.record.member
    if row.worker:
        long = row.turn_seconds is not None and row.turn_seconds > SHORT
        return f"training {duration(row.turn_seconds or 0)}" if long else "training"
    if me.step >= steps and not me.waiting:
        return "done"
    if row.holder is not None and row.holder.state in ("suspended", "silent"):
        return row.holder.state
    return "waiting" if me.waiting else ""


def warning(said: Complaint) -> Text:
    """Return what a worker warned of, with the last line of the traceback behind it."""
    last = said.trace.strip().rpartition("\n")[2]
    more = "" if last in said.warning else f" ({last})"
    return Text(f"warning: {said.warning}{more}", style="yellow")


def show_status(view: View, console: Console) -> None:
    """Print the run as it is now, with the whole of what its trainers raised."""
    rows = view.rows()
    console.print(RunView(view, inside=True).picture(rows, max(len(rows), 1)))
    errors = sorted((row.record.member.id, row.record.error or "") for row in rows)
    show_tracebacks(console, [(f"member {id}", error) for id, error in errors], view.complaints())
    show_standing(console, standing(view, rows))


def show_standing(console: Console, sentences: Sequence[str]) -> None:
    """Print what stands still and what to type: unbroken, so that it can be copied."""
    for sentence in sentences:
        console.print(Text(sentence, style="bold"), soft_wrap=True)


def show_tracebacks(
    console: Console, errors: Sequence[tuple[str, str]], complaints: Sequence[Complaint]
) -> None:
    """Print what made members fail, and the newest of what workers complained about, in full.

    Args:
        errors: who failed, and the traceback; "" for none.
    """
    found: dict[str, list[str]] = {}
    for who, error in errors:
        if error.strip():
            found.setdefault(error.strip(), []).append(who)
    for error, names in found.items():
        console.print(Text(f"{', '.join(names)} failed:\n{error}", style="red"), soft_wrap=True)
    traces = [said for said in complaints if said.trace.strip() not in ("", *found)]
    if traces:
        said = traces[-1]
        head = f"worker {said.worker} warned: {said.warning}"
        console.print(Text(f"{head}\n{said.trace.strip()}", style="red"), soft_wrap=True)
