"""Work on a run or a study with a pool of processes on this machine, and show it meanwhile."""

import functools
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from core.directory.run import Run, code_version, differences
from core.rehearsal import doubts, extents
from core.settings import PBT
from core.status.places import shown
from core.status.progress import View, duration, value
from core.status.remarks import is_search, no_copies
from core.study.study import StudyDirectory
from core.terminal.live import Asked, Shown, follow
from core.terminal.run_table import RunView
from core.terminal.study_table import StudyView
from core.workers.pool import DONE, UNFINISHED, Pool

STOPPED = 130  # the exit status after Ctrl-C
NO_SCORE = 1
KEPT = "nothing that was published is lost"
LAST_WORDS = {DONE: "all members are done", UNFINISHED: "stopped; the run can be resumed"}


@dataclass(frozen=True, slots=True)
class Crew:
    """Who works: how many processes, on which devices, with which options of `work`."""

    workers: int = 1
    devices: Sequence[str] = ("cpu",)
    options: Sequence[str] = ()


def carry_on(run: Run, crew: Crew, words: Sequence[str], command: str = "run") -> int:
    """Work on a run until it is done or Ctrl-C is typed; return the exit status.

    Args:
        words: what was typed behind the command, and would be typed again.
    """
    console, view, began = Console(), View(run.root, run.info), time.monotonic()
    say = functools.partial(console.print, highlight=False, markup=False, soft_wrap=True)
    where = shlex.quote(shown(run.root))
    again = "The same command goes on from there: " + shlex.join(
        ["python", "-m", "core", command, *words]
    )
    done_before, stopped, complaints = view.is_done(view.rows()), False, list[str]()
    if not done_before:
        for line in differences(run.info["code"], code_version(), "code"):
            say(f"Note: {line}. Settings are the same; whether the code does the same, you know.")
        if run.note:
            say(f"Note: {run.note}")
        for sentence in doubts(run.pbt):
            say(Text(f"Note: {sentence}", style="bold yellow"))
        say(
            f"{run.pbt.members} members x {run.pbt.steps} steps, {crew.workers} workers on "
            f"{', '.join(crew.devices)}, {run.pbt.mode}, seed {run.pbt.seed}; "
            f"in {shown(run.root)}\n"
            + "".join(f"  {line}\n" for line in extents(run.pbt.task.space))
            + f"From any other terminal: python -m core watch {where}"
        )
        stopped, complaints = _work(console, RunView(view, inside=True), run.root, crew)
    rows = view.rows()
    if stopped:
        say(f"\nStopped; {KEPT}. {again}")
        return STOPPED
    if not view.is_done(rows):
        for complaint in complaints:
            say(Text(complaint, style="red"))
        if view.is_lost(rows):
            say("The run cannot go on: mend the task, and begin anew with another --out.")
        else:
            say(f"The run is not done: {view.progress(rows)}. {again}")
        return UNFINISHED
    if is_search(view, rows):
        say(f"Note: {no_copies(view, rows)}.")
    if failures := sum(row.record.member.failures for row in rows):
        say(f"Note: a trainer raised {failures} times, and its member was rescued: see `status`.")
    best = rows[0].record.member
    if not best.healthy:
        say("Done, but no member ended with a score that is a finite number: see `status`.")
        return NO_SCORE
    hypers = ", ".join(f"{name} {value(number)}" for name, number in best.hypers.items())
    if best.parent is not None:
        hypers = f"a copy of member {best.parent[0]} at the last step"
    when = "was done before" if done_before else f"in {duration(time.monotonic() - began)}"
    say(
        f"Done ({when}): member {best.id} is best with "
        f"{run.pbt.task.score} {best.score:.6g} ({hypers}).\n"
        f"Next: python -m core verify {where}; python -m analysis figures {where} --out figures"
    )
    return 0


def carry_on_study(study: StudyDirectory, crew: Crew) -> int:
    """Work on a study until it is done or Ctrl-C is typed; return the exit status."""
    console, view = Console(), StudyView(study, inside=True)
    say = functools.partial(console.print, highlight=False, markup=False, soft_wrap=True)
    where, again = shlex.quote(shown(study.root)), "The same command goes on from there."
    stopped, complaints = False, list[str]()
    if not view.is_done():
        for name, arm in study.study.arms.items():
            for sentence in doubts(arm) if isinstance(arm, PBT) else ():
                say(Text(f"Note: arm {name}: {sentence}", style="bold yellow"))
        say(
            f"{len(study.study.arms)} arms x {len(study.study.seeds)} seeds, {crew.workers} "
            f"workers on {', '.join(crew.devices)}; in {shown(study.root)}\n"
            f"From any other terminal: python -m core watch {where}"
        )
        stopped, complaints = _work(console, view, study.root, crew)
    if stopped:
        say(f"\nStopped; {KEPT}. {again}")
        return STOPPED
    if not view.is_done():
        for complaint in complaints:
            say(Text(complaint, style="red"))
        say(f"The study is not done: {view.line()}. {again}")
        return UNFINISHED
    console.print(view.draw(10**6))
    say(f"Next: python -m analysis ablation {where} --out figures")
    return 0


def _work(console: Console, view: Shown, root: Path, crew: Crew) -> tuple[bool, list[str]]:
    """Return whether it was stopped by a person, and what workers complained of."""
    asked = Asked()
    with Pool(root, crew.workers, crew.devices, crew.options) as pool:
        with asked:
            follow(console, view, pool, asked)
        return asked.times > 0, [*pool.complaints(), *_silent(pool)]


def _silent(pool: Pool) -> list[str]:
    """Return a sentence for each worker that ended as if all were well, and did not say why.

    Not all were stopped: `sys.exit` is caught, but who calls `os._exit` ends without a word.
    """
    found = []
    for i, code in enumerate(pool.codes()):
        words = pool.log(i).read_text(errors="replace").strip().splitlines()
        if code in LAST_WORDS and words[-1:] != [LAST_WORDS[code]]:
            found.append(
                f"worker {i} ended with status {code}, though the run is not done and nobody asked "
                "it to stop: the trainer must have ended the process (os._exit?), where it should "
                f"raise an exception (log: {shown(pool.log(i))})"
            )
    return found
