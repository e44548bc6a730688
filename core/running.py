"""Train a `PBT` object from a script or a notebook: `run(pbt)`, in memory or in a run directory."""

import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from core.audits.digest import digest
from core.audits.verify import Verdict, examine
from core.directory.members import Members
from core.directory.record import Record
from core.directory.run import Run, check_rules, open_run
from core.member import Member, rank
from core.memory import crowd
from core.presets import GIVEN
from core.settings import PBT
from core.status.progress import read_warnings
from core.workers.worker import work

LARGEST_LOG = 2**20  # bytes of a worker's warnings that are read
OFTEN = 0.2  # seconds between two looks at how far a run is
Tick = Callable[[int], None]  # told the steps that all members have behind them


@dataclass(frozen=True, slots=True)
class Result:
    """What happened in a run.

    pbt: the run.
    histories: by member, its records, oldest first.
    out: the run directory; None of a run in memory.
    warnings: what went wrong on the way and was dealt with, a sentence each.
    info: what run.json says; empty of a run in memory.
    """

    pbt: PBT
    histories: Sequence[Sequence[Record]] = field(repr=False)
    out: Path | None = None
    warnings: Sequence[str] = ()
    info: Mapping[str, object] = field(default_factory=dict, repr=False)

    @property
    def members(self) -> list[Member]:
        """The last record of each member."""
        return [history[-1].member for history in self.histories]

    @property
    def best(self) -> Member:
        """The member whose last score is best."""
        return min(self.members, key=rank)

    def history(self, id: int) -> list[Member]:
        """Return all records of a member, oldest first."""
        return [record.member for record in self.histories[id]]

    def table(self) -> list[dict[str, object]]:
        """Return a row for each record, ready for `pandas.DataFrame`.

        Columns: member, n, step, score, cause, parent, parent_n; each hyperparameter by its name;
        each reported number as "report.<name>". A hyperparameter that has the name of one of our
        columns is called "hypers.<name>".
        """
        return [_row(record) for history in self.histories for record in history]

    @property
    def digest(self) -> str:
        """A SHA-256 of the history: equal if and only if two runs are the same run."""
        return digest(self.histories)

    def verify(self) -> Verdict:
        """Recompute every decision, as `python -m core verify` does of a run with a name."""
        about = Run(self.out or Path(), GIVEN, self.pbt, self.info)
        return examine({id: list(found) for id, found in enumerate(self.histories)}, about)

    def _repr_html_(self) -> str:
        """Return the members as a table, which a notebook shows."""
        from html import escape

        members = sorted(self.members, key=rank)
        rows: list[Sequence[object]] = [("member", "score", *self.pbt.task.space)]
        rows += [(me.id, me.score, *me.hypers.values()) for me in members]
        cells = ("".join(f"<td>{escape(_short(cell))}</td>" for cell in row) for row in rows)
        return f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"


def _short(value: object) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


OURS = ("member", "n", "step", "score", "cause", "parent", "parent_n")


def _row(record: Record) -> dict[str, object]:
    me = record.member
    parent, parent_n = me.parent or (None, None)
    ours = (me.id, me.n, me.step, me.score, me.cause, parent, parent_n)
    row: dict[str, object] = dict(zip(OURS, ours, strict=True))
    row |= {f"hypers.{name}" if name in OURS else name: v for name, v in me.hypers.items()}
    return row | {f"report.{name}": said for name, said in record.report.items()}


def run(
    pbt: PBT,
    out: str | os.PathLike[str] | None = None,
    workers: int = 1,
    *,
    device: str = "cpu",
    durable: bool = True,
    progress: bool | None = None,
) -> Result:
    """Train a population to its end, and return what happened.

    Args:
        pbt: the run, as a preset returns it; it may be made in a notebook.
        out: a run directory, which is begun or gone on with, and which `status`, `analysis` and all
            else can read; None to train in memory, without a file.
        workers: processes that train in `out`; they are forked, so a GPU must not be in use yet.
        device: given to each trainer.
        durable: whether each record in `out` survives a power failure (fsync).
        progress: show a bar; None to show one where standard error is a terminal.

    What went wrong and was dealt with is in `Result.warnings`, and each is a RuntimeWarning.

    Raises:
        RunError: `out` is something else, or holds a run with other settings.
        ValueError: a setting cannot be used, or a GPU is in use where processes would be forked.
        TaskError, RuleError: the task, or a rule, cannot be used.
        AllFailed: every member has failed; the message has the last traceback.
    """
    if not isinstance(pbt, PBT):
        called = " Call the preset: run(preset())." if callable(pbt) else ""
        raise ValueError(f"run takes a PBT, got {pbt!r}.{called}")
    if workers < 1 or (out is None and workers != 1):
        raise ValueError(
            f"workers={workers}: a run in memory is one process; with out=DIR there may be "
            "more, at least 1"
        )
    torch = sys.modules.get("torch")
    if workers > 1 and torch is not None and torch.cuda.is_initialized():
        raise ValueError(
            f"workers={workers}: this process uses a GPU already, and its forks could not: give "
            "workers=1, or start `python -m core run` with the name of a preset"
        )
    shown = sys.stderr.isatty() if progress is None else progress
    with _bar(pbt, shown=shown) as tick:
        if out is None:
            result = _in_memory(pbt, device, tick)
        else:
            result = _in_directory(pbt, Path(out), workers, device, durable, tick, shown)
    for sentence in result.warnings:
        warnings.warn(sentence, RuntimeWarning, stacklevel=2)
    return result


def _in_memory(pbt: PBT, device: str, tick: Tick) -> Result:
    check_rules("that was given", pbt)
    with crowd(pbt, device) as population:
        population.train(tick)
    return Result(pbt, [slot.records for slot in population.slots], None, population.warnings)


def _in_directory(
    pbt: PBT, out: Path, workers: int, device: str, durable: bool, tick: Tick, shown: bool
) -> Result:
    begun = open_run(out, pbt)
    population, last = Members(begun.root, lean=True), 0.0

    def stop() -> bool:
        nonlocal last
        if shown and time.monotonic() - last > OFTEN:
            last = time.monotonic()
            tick(sum(one.member.step for one in map(population.newest, range(pbt.members)) if one))
        return False

    if workers > 1:
        processes = multiprocessing.get_context("fork")
        others = [
            processes.Process(
                target=work, args=(begun,), kwargs={"device": device, "durable": durable}
            )
            for _ in range(workers - 1)
        ]
        for other in others:
            other.start()
        try:
            work(begun, device=device, durable=durable, stop=stop)
        except BaseException:
            for other in others:  # what they published stays; others could train for hours still
                other.terminate()
            raise
        finally:
            for other in others:
                other.join()
    work(begun, device=device, durable=durable, stop=stop)  # what is left; or says why it cannot
    said = [sentence for _, _, sentence in read_warnings(begun.root, LARGEST_LOG)]
    found = Members(begun.root, warn=said.append)
    histories = [found.history(id) for id in range(pbt.members)]
    return Result(pbt, histories, begun.root, list(dict.fromkeys(said)), begun.info)


@contextmanager
def _bar(pbt: PBT, *, shown: bool) -> Iterator[Tick]:
    """Show how far a run is, and when it is likely to end."""
    if not shown:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    steps = TextColumn("{task.completed}/{task.total} steps")
    columns = (steps, BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=pbt.members * pbt.steps)
        yield lambda steps: bar.update(task, completed=steps)
