"""Several runs at once: what a folder of them holds, and the history of each recomputed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from core.audits.verify import Verdict, verify
from core.directory.run import RunError, open_run, read_info
from core.status.places import go_on, shown
from core.status.progress import View
from core.terminal.fitted_table import Column, Picture
from core.terminal.run_table import show_standing


@dataclass(frozen=True, slots=True)
class _Line:
    """A run in a list of runs."""

    name: str
    preset: str
    steps: str
    best: str
    state: str


def show_runs(folder: Path, roots: Sequence[Path], console: Console) -> bool:
    """Print a line for each run that was found in a folder; return whether all are done."""
    lines = [_line(folder, root) for root in roots]
    columns = (
        Column("run", [line.name for line in lines], side="left", folds=True),
        Column("preset", [line.preset for line in lines], side="left", folds=True),
        Column("steps", [line.steps for line in lines]),
        Column("best", [line.best for line in lines]),
        Column("state", [line.state for line in lines], side="left"),
    )
    idle = [root for root, line in zip(roots, lines, strict=True) if line.state == NOBODY]
    title = f"{len(lines)} runs  ·  {shown(folder)}"
    console.print(Picture(title, columns, rows="runs", limit=len(lines)))
    if idle:
        command = go_on(idle[0], read_info(idle[0]))
        show_standing(console, [f"to go on with {shown(idle[0])}: {command}"])
    return all(line.state == "done" for line in lines)


NOBODY = "nobody works"


def _line(folder: Path, root: Path) -> _Line:
    name = str(root.relative_to(folder))
    try:
        view = View(root, read_info(root))
        rows = view.rows()
        goal = view.members * view.steps
    except (RunError, ValueError, KeyError):
        return _Line(name, "", "", "", "cannot be read")
    best = rows[0].record.member if rows else None
    workers = sum(worker.works for worker in view.workers.values())
    state = f"{workers} working" if workers else NOBODY
    if view.is_lost(rows):
        state = "failed"
    if view.is_done(rows):
        state = "done"
    return _Line(
        name,
        str(view.info.get("preset")),
        f"{sum(row.record.member.step for row in rows)}/{goal}",
        f"{best.score:.5g}" if best is not None and best.healthy else "",
        state,
    )


def verify_run(root: Path) -> Verdict:
    """Verify one run, with a bar on the terminal meanwhile."""
    run = open_run(root)
    with Progress(transient=True, console=Console(stderr=True)) as progress:
        task = progress.add_task("verifying", total=run.pbt.members)
        return verify(run, lambda count: progress.update(task, completed=count))


def counts(verdict: Verdict) -> str:
    """Return how much was looked at."""
    return (
        f"{verdict.records} records, {verdict.decisions} decisions, {verdict.copies} copies, "
        f"{len(verdict.problems)} problems"
    )


def verify_runs(
    roots: Sequence[Path], absent: Sequence[Path], say: Callable[[str], object]
) -> bool:
    """Verify several runs: say a line of each, its problems, and a summary.

    Args:
        absent: runs that should be there too, and have not begun.

    Returns:
        Whether all are there, could be verified, and have no problem.
    """
    faulty, refused = 0, dict[str, list[str]]()
    for root in roots:
        try:
            verdict = verify_run(root)
        except RunError as error:
            refused.setdefault(str(error), []).append(shown(root))
            continue
        faulty += bool(verdict.problems)
        say(f"{shown(root)}: {counts(verdict)}, digest {verdict.digest}")
        for problem in verdict.problems:
            say(f"    {problem}")
    for why, names in refused.items():
        say(f"cannot be verified: {', '.join(names)}\n    {why}")
    closed = sum(map(len, refused.values()))
    more = f", {closed} cannot be verified" if closed else ""
    more += f", {len(absent)} of the study have not begun" if absent else ""
    say(f"{len(roots)} runs, {faulty} with problems{more}")
    return not (faulty or closed or absent)
