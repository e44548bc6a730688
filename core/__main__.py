"""`python -m core run|work|status|watch|check|verify`: the engine's command line."""

import argparse
import functools
import math
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.progress import Progress
from rich.text import Text

from core.check import check
from core.pool import DONE, UNFINISHED, Pool
from core.run import (
    EXAMPLE,
    OVERRIDES,
    Run,
    RunError,
    code_version,
    differences,
    open_run,
    override,
    read_info,
    resolve,
)
from core.task import TaskError
from core.verify import verify
from core.view import View, duration, show_status, table, value
from core.worker import AllFailed, work

FAILED, REFUSED = 1, 2  # exit statuses, besides the two of core/pool.py; 130 after Ctrl-C


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit status."""
    if os.getcwd() not in sys.path and not sys.flags.safe_path:
        sys.path.insert(0, os.getcwd())  # presets of the user's own stand where he stands
    options = _parser().parse_args(arguments)
    try:
        return int(options.do(options))
    except (RunError, TaskError, AllFailed) as error:
        print(f"error: {error}", file=sys.stderr)
        return REFUSED
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return REFUSED
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        print(
            f"error: {error.strerror or error}{where}. Nothing that was published is lost: when "
            "this is mended, the same command goes on from there.",
            file=sys.stderr,
        )
        return FAILED
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m core", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run a preset on this machine, or resume it")
    run.set_defaults(do=_run)
    run.add_argument("preset", metavar="PRESET", help=f"module:function, as in {EXAMPLE}")
    run.add_argument("--out", type=Path, required=True, metavar="DIR", help="the run directory")
    run.add_argument("--workers", type=_positive, default=1, help="processes (default: 1)")
    run.add_argument("--seed", type=int, help="of everything that is drawn")
    run.add_argument("--members", type=int, help="the size of the population")
    run.add_argument("--steps", type=int, help="steps of each member")
    run.add_argument("--mode", choices=("asynchronous", "lockstep"))
    run.add_argument(
        "--devices",
        nargs="+",
        default=["cpu"],
        metavar="DEVICE",
        help="dealt out to the workers",
    )
    _add_worker_options(run)

    join = commands.add_parser("work", help="add one worker to a run, from any machine")
    join.set_defaults(do=_work)
    join.add_argument("run", type=Path, metavar="RUN", help="the run directory")
    join.add_argument("--device", default="cpu")
    join.add_argument(
        "--lifetime",
        type=_seconds,
        default=math.inf,
        metavar="SECONDS",
        help="until this worker is killed: a turn that would last longer is not begun",
    )
    join.add_argument("--job", default="", help="of which batch job it is a part, for `status`")
    join.add_argument("--parent", type=int, help=argparse.SUPPRESS)
    _add_worker_options(join)

    for name, do, text in (
        ("status", _status, "show a run as it is now"),
        ("watch", _watch, "show a run until it is done"),
        ("verify", _verify, "recompute every decision of a run, and print its digest"),
    ):
        command = commands.add_parser(name, help=text)
        command.set_defaults(do=do)
        command.add_argument("run", type=Path, metavar="RUN", help="the run directory")
    checks = commands.add_parser("check", help="hold a task's trainer to the contract")
    checks.set_defaults(do=_check)
    checks.add_argument("preset", metavar="PRESET")
    checks.add_argument("--device", default="cpu")
    checks.add_argument("--steps", type=_positive, default=2, help="steps between two looks")
    return parser


def _add_worker_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--no-fsync",
        action="store_true",
        help="faster; a power failure may lose the last turns",
    )
    command.add_argument(
        "--patience",
        type=_seconds,
        default=60.0,
        metavar="SECONDS",
        help="without a heartbeat for so long, a worker on another machine counts as dead",
    )
    command.add_argument(
        "--turn-limit",
        type=float,
        metavar="SECONDS",
        help="a worker whose turn is longer ends",
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"must be a positive number of seconds, got {text}")
    return number


def _worker_options(options: argparse.Namespace) -> list[str]:
    found = ["--patience", str(options.patience)]
    found += ["--no-fsync"] if options.no_fsync else []
    found += ["--turn-limit", str(options.turn_limit)] if options.turn_limit else []
    return found


# ------------------------------------------------------------------------------------- run


def _run(options: argparse.Namespace) -> int:
    overrides = {
        name: getattr(options, name) for name in OVERRIDES if getattr(options, name) is not None
    }
    override(resolve(options.preset), overrides)
    run = open_run(options.out, options.preset, overrides)
    console = Console()
    say = functools.partial(console.print, highlight=False, markup=False, soft_wrap=True)
    where = shlex.quote(str(run.root))
    view = View(run.root, run.info)
    began = time.monotonic()
    asked, complaints = _Asked(), list[str]()
    done_before = view.is_done(view.rows())
    if not done_before:
        for line in differences(run.info["code"], code_version(), "code"):
            say(f"Note: {line}. Settings are the same; whether the code does the same, you know.")
        say(
            f"{run.pbt.members} members x {run.pbt.steps} steps, {options.workers} workers on "
            f"{', '.join(options.devices)}, {run.pbt.mode}, seed {run.pbt.seed}; in {run.root}\n"
            f"From any other terminal: python -m core watch {where}"
        )
        with Pool(run.root, options.workers, options.devices, _worker_options(options)) as pool:
            with asked:
                _follow(console, view, pool, asked)
            complaints = pool.complaints()
    rows = view.rows()
    again = f"The same command goes on from there: {shlex.join(_command(options))}"
    if asked.times:
        say(f"\nStopped; nothing that was published is lost. {again}")
        return 130
    if not view.is_done(rows):
        for complaint in complaints:
            say(Text(complaint, style="red"))
        if rows and all(row.record.weights is None and row.record.member.step for row in rows):
            say("The run cannot go on: mend the task, and begin anew with another --out.")
        else:
            say(f"The run is not done: {view.progress(rows)}. {again}")
        return UNFINISHED
    best = rows[0].record.member
    if not best.healthy:
        say("Done, but no member ended with a score that is a finite number: see `status`.")
        return FAILED
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


def _command(options: argparse.Namespace) -> list[str]:
    words = ["python", "-m", "core", "run", options.preset, "--out", str(options.out)]
    for name in (*OVERRIDES, "workers"):
        value = getattr(options, name)
        if value is not None:
            words += [f"--{name}", str(value)]
    if options.devices != ["cpu"]:
        words += ["--devices", *options.devices]
    return words


class _Asked:
    """Counts Ctrl-C (and SIGTERM, SIGHUP) instead of being torn down by it."""

    def __init__(self) -> None:
        self.times = 0

    def __enter__(self) -> "_Asked":
        self._before = {number: signal.signal(number, self._ask) for number in _STOPS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, *_: object) -> None:
        self.times += 1


_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _follow(console: Console, view: View, pool: Pool, asked: _Asked) -> None:
    """Show the run while the workers work; pass on a wish to stop."""
    heeded = 0

    def heed() -> None:
        nonlocal heeded
        if asked.times > heeded:
            heeded = asked.times
            if heeded == 1:
                pool.signal(signal.SIGTERM)
                console.print(
                    "Stopping: the workers finish their turns (Ctrl-C again to end them at once)."
                )
            else:
                pool.signal(signal.SIGKILL)

    if console.is_terminal:
        with Live(console=console, auto_refresh=False, transient=False) as live:

            def draw() -> None:
                heed()
                rows = view.rows()
                live.update(table(view, rows, max(console.height - 10, 3)), refresh=True)

            pool.wait(draw, 0.5)
            draw()
        return
    printed = time.monotonic()
    pause = 1.0

    def say() -> None:
        nonlocal printed, pause
        heed()
        if time.monotonic() - printed < pause:
            return
        rows = view.rows()
        if rows:
            console.print(view.progress(rows), highlight=False, soft_wrap=True)
        printed, pause = time.monotonic(), min(pause * 1.5, 60)

    pool.wait(say, 0.25)


# -------------------------------------------------------------------------- other commands


def _work(options: argparse.Namespace) -> int:
    run = open_run(options.run)
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
        signal.signal(number, lambda *_: told.set())
    orphaned = functools.partial(_is_orphan, options.parent)
    done = work(
        run,
        device=options.device,
        durable=not options.no_fsync,
        patience=options.patience,
        turn_limit=options.turn_limit,
        lifetime=options.lifetime,
        job=options.job,
        stop=lambda: told.is_set() or orphaned(),
    )
    print(
        "all members are done" if done else "stopped; the run can be resumed",
        flush=True,
    )
    return DONE if done else UNFINISHED


def _is_orphan(parent: int | None) -> bool:
    return parent is not None and os.getppid() != parent


def _status(options: argparse.Namespace) -> int:
    view = View(options.run, read_info(options.run))
    show_status(view, Console())
    return DONE if view.is_done(view.rows()) else UNFINISHED


def _watch(options: argparse.Namespace) -> int:
    view = View(options.run, read_info(options.run))
    console = Console()
    try:
        with Live(console=console, auto_refresh=False) as live:
            while True:
                rows = view.rows()
                live.update(table(view, rows, max(console.height - 10, 3)), refresh=True)
                if view.is_done(rows):
                    return 0
                time.sleep(1.0)
    except KeyboardInterrupt:
        return 0


def _verify(options: argparse.Namespace) -> int:
    run: Run = open_run(options.run)
    with Progress(transient=True, console=Console(stderr=True)) as progress:
        task = progress.add_task("verifying", total=run.pbt.members)
        verdict = verify(run, lambda count: progress.update(task, completed=count))
    for problem in verdict.problems:
        print(problem)
    print(
        f"{verdict.records} records, {verdict.decisions} decisions, {verdict.copies} copies, "
        f"{len(verdict.problems)} problems"
    )
    print(f"digest {verdict.digest}")
    return FAILED if verdict.problems else 0


def _check(options: argparse.Namespace) -> int:
    marks: Mapping[bool | None, tuple[str, str]] = {
        True: ("kept  ", "green"),
        False: ("BROKEN", "red"),
        None: ("note  ", "yellow"),
    }
    console = Console()
    broken = 0
    for finding in check(resolve(options.preset), options.device, options.steps):
        mark, style = marks[finding.kept]
        console.print(Text(mark, style=style), Text(finding.sentence), soft_wrap=True)
        broken += finding.kept is False
    console.print("The trainer keeps the contract." if not broken else f"{broken} broken.")
    return FAILED if broken else 0


if __name__ == "__main__":
    sys.exit(main())
