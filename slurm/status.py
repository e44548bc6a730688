"""Show a run and its jobs: the run directory joined with the answer of squeue."""

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from core.directory.run import RunError
from core.status.places import is_study
from core.status.progress import Row, View
from core.terminal.run_table import RunView
from core.terminal.study_table import StudyView
from core.terminal.whole import Whole
from slurm.jobs.ledger import Ledger
from slurm.squeue import Element

DEPTH, NAMED = 3, 12  # levels of folders that are searched for runs; runs that are named
LINES = 40  # jobs that are listed; failed and pending ones first


def check_is_run(root: Path) -> None:
    """Raise RunError if a folder is neither a run nor a study; the message names runs in it."""
    if is_study(root) or (root / "run.json").exists():
        return
    depths = ["*/" * depth for depth in range(1, DEPTH + 1)]
    ends = [f"{depth}{name}.json" for depth in depths for name in ("run", "study")]
    held = sorted({path.parent for end in ends for path in root.glob(end)})
    held = [path for path in held if not {*held} & {*path.parents}]  # a study, not each of its runs
    if not root.exists():
        raise RunError(f"there is no {root}; give the directory that was --out")
    if not held:
        raise RunError(
            f"{root} is no run: it has no run.json, and neither has a folder in it; give the "
            "directory that was --out"
        )
    names = [os.path.relpath(path) for path in held[:NAMED]]
    more = f" and {len(held) - NAMED} more" if len(held) > NAMED else ""
    raise RunError(f"{root} is no run, but holds some; give one of {', '.join(names)}{more}")


def show(whole: Whole, ledger: Ledger, console: Console) -> None:
    """Print members and jobs; ask Slurm once, without its accounting."""
    if whole.study is not None:
        console.print(StudyView(whole.study).draw(10**6))
    rows = [(view, row) for view in whole.views() for row in view.rows()]
    if whole.study is None:
        [view] = whole.views()
        console.print(RunView(view).draw(max(len(rows), 1)))
    arrays = ledger.arrays()
    if not arrays:
        console.print("No job of this run was submitted by `python -m slurm`.")
        return
    jobs: dict[str, Element] = {}
    asked = True
    try:
        jobs = ledger.elements()
    except RunError as error:
        asked = False
        console.print(Text(f"Slurm cannot be asked: {error}", style="yellow"))
    ids = [id for array in arrays for id in array.ids if array.cluster == "slurm"]
    if ids:
        console.print(summary(ids, jobs, "over" if asked else "unknown"), soft_wrap=True)
    local = [id for array in arrays for id in array.ids if array.cluster == "local"]
    if local:
        alive = sum(Path(f"/proc/{id}").exists() for id in local)
        console.print(f"Local jobs: {alive} running, {len(local) - alive} over")
    shown = [job for job in jobs.values() if job.is_live or job.state in FAILED]
    if shown:
        console.print(job_table(rows, shown, ledger.asked_to_leave(), whole.root))


def summary(ids: list[str], jobs: Mapping[str, Element], other: str) -> str:
    """Return one line: how many jobs are in each state, and why some are pending.

    Args:
        other: state of the jobs that Slurm did not list.
    """
    states = Counter(jobs[id].state.lower() if id in jobs else other for id in ids)
    parts = [f"{count} {state}" for state, count in states.most_common()]
    if requeued := sum(job.restarts > 0 for job in jobs.values()):
        parts.append(f"{requeued} of them requeued before")
    reasons = Counter(job.reason for job in jobs.values() if job.state == "PENDING")
    why = ", ".join(f"{reason} ({count})" for reason, count in reasons.most_common(3))
    return f"Jobs: {', '.join(parts) or 'none'}" + (f"; pending because of {why}" if why else "")


def job_table(
    rows: list[tuple[View, Row]], jobs: list[Element], leaving: set[str], root: Path
) -> Table:
    """Return a table of jobs and the members that they train."""
    trains: dict[str, list[str]] = {}
    for view, row in rows:
        if row.job:
            where = "" if view.root == root else f"{view.root.relative_to(root)}: "
            trains.setdefault(row.job, []).append(f"{where}{row.record.member.id}")
    grid = Table(title="jobs", title_justify="left")
    for heading in ("job", "state", "why", "node", "restarts", "time left", "trains members"):
        grid.add_column(heading, no_wrap=True)
    shown = sorted(jobs, key=lambda job: (job.state == "RUNNING", job.state == "PENDING"))
    for job in shown[:LINES]:
        state = f"{job.state.lower()}, will leave" if job.id in leaving else job.state.lower()
        grid.add_row(
            job.id,
            state,
            "" if job.reason == "None" else job.reason,
            job.node,
            str(job.restarts or ""),
            job.left if job.is_live else "",
            ", ".join(trains.get(job.id, [])),
        )
    if len(shown) > LINES:
        grid.caption = f"{len(shown) - LINES} more are not shown"
    return grid


FAILED = ("FAILED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE")
