"""`python -m core run|study|work|status|watch|verify|schedule|replay|check`: the command line."""

import argparse
import functools
import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from rich.console import Console
from rich.text import Text

from core.audits.check import check, cost
from core.directory.machine import check_devices
from core.directory.run import (
    EXAMPLE,
    OVERRIDES,
    Run,
    RunError,
    open_run,
    override,
    read_info,
    resolve,
)
from core.status.places import await_run, is_study, not_begun, one_run, shown, some_runs
from core.status.progress import View, duration
from core.study.found_schedule import schedule_of
from core.study.study import open_study, work_study
from core.task import TaskError
from core.terminal.live import watch
from core.terminal.many_runs import counts, show_runs, verify_run, verify_runs
from core.terminal.run_here import LAST_WORDS, Crew, carry_on, carry_on_study
from core.terminal.run_table import RunView, show_status
from core.terminal.study_table import StudyView
from core.workers.blame import AllFailed
from core.workers.pool import DONE, UNFINISHED
from core.workers.processes import end_others, restore_in_children
from core.workers.worker import work

FAILED, REFUSED = 1, 2  # exit statuses, besides the two of core/workers/pool.py; 130 after Ctrl-C


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
    run.add_argument("--out", type=_path, required=True, metavar="DIR", help="the run directory")
    run.add_argument("--seed", type=int, help="of everything that is drawn")
    run.add_argument("--members", type=int, help="the size of the population")
    run.add_argument("--steps", type=int, help="steps of each member")
    run.add_argument("--mode", choices=("asynchronous", "lockstep"))
    _add_crew(run)

    study = commands.add_parser("study", help="run a study on this machine, or resume it")
    study.set_defaults(do=_study)
    study.add_argument("preset", metavar="PRESET", help="module:function that returns a Study")
    study.add_argument("--out", type=_path, required=True, metavar="DIR", help="its directory")
    study.add_argument("--seeds", type=int, nargs="+", metavar="SEED", help="others, or more")
    _add_crew(study)

    _add_replay(commands)

    join = commands.add_parser("work", help="add one worker to a run, from any machine")
    join.set_defaults(do=_work)
    join.add_argument("run", type=_path, metavar="RUN", help="the run directory")
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
        ("status", _status, "show a run, a study or a folder of runs as it is now"),
        ("watch", _watch, "show a run or a study until it is done"),
        ("verify", _verify, "recompute every decision of runs, and print their digests"),
    ):
        command = commands.add_parser(name, help=text)
        command.set_defaults(do=do)
        command.add_argument("run", type=_path, metavar="RUN", help="the run directory")
    checks = commands.add_parser("check", help="hold a task's trainer to the contract")
    checks.set_defaults(do=_check)
    checks.add_argument("preset", metavar="PRESET")
    checks.add_argument("--device", default="cpu")
    checks.add_argument("--steps", type=_positive, default=1, help="steps between two looks")
    return parser


def _add_replay(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    schedule = commands.add_parser("schedule", help="print what the winner was trained with")
    schedule.set_defaults(do=_schedule)
    schedule.add_argument("--json", action="store_true", help="JSON instead of Python")
    replay = commands.add_parser("replay", help="train members from scratch along that schedule")
    replay.set_defaults(do=_replay)
    replay.add_argument("--out", type=_path, required=True, metavar="DIR", help="a run directory")
    replay.add_argument("--members", type=_positive, default=1, help="each from its own start")
    replay.add_argument("--seed", type=int, help="of the starts (default: that of the run)")
    replay.add_argument("--steps", type=int, help="of each member (default: those of the run)")
    replay.add_argument("--final", action="store_true", help="its last values from the start")
    _add_crew(replay)
    for command in (schedule, replay):
        command.add_argument("run", type=_path, metavar="RUN", help="a run that is done")
        command.add_argument("--member", type=int, help="another one than the winner")
        command.add_argument(
            "--along",
            choices=("lineage", "member"),
            default="lineage",
            help="the ancestry of its weights (default), or what the member itself did",
        )


def _add_crew(command: argparse.ArgumentParser) -> None:
    command.add_argument("--workers", type=_positive, default=1, help="processes (default: 1)")
    command.add_argument(
        "--devices",
        nargs="+",
        default=["cpu"],
        metavar="DEVICE",
        help="dealt out to the workers, as in cuda:0 cuda:1, or cuda:0,cuda:1",
    )
    _add_worker_options(command)


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


def _path(text: str) -> Path:
    """Return an absolute path: a trainer or a preset may change where it works."""
    return Path(os.path.abspath(text))


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
    crew = _crew(options)
    run = open_run(options.out, options.preset, overrides)
    return carry_on(run, crew, [options.preset, *_words(options, (*OVERRIDES, "workers"))])


def _crew(options: argparse.Namespace) -> Crew:
    """Return who works. Called before anything is written."""
    options.devices = [name for word in options.devices for name in word.split(",") if name]
    check_devices(options.devices)
    return Crew(options.workers, options.devices, _worker_options(options))


def _words(options: argparse.Namespace, names: Sequence[str]) -> list[str]:
    """Return what was typed, to be typed again."""
    words = ["--out", shown(options.out)]
    for name in names:
        value = getattr(options, name)
        if value is not None:
            words += [f"--{name}", str(value)]
    if options.devices != ["cpu"]:
        words += ["--devices", *options.devices]
    return words


def _study(options: argparse.Namespace) -> int:
    crew = _crew(options)
    return carry_on_study(open_study(options.out, options.preset, options.seeds), crew)


# -------------------------------------------------------------------------- other commands


def _work(options: argparse.Namespace) -> int:
    study = open_study(options.run) if is_study(options.run) else None
    run = open_run(one_run(options.run, "work")) if study is None else None
    told = threading.Event()
    signals = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)

    def is_orphan() -> bool:
        return options.parent is not None and os.getppid() != options.parent

    def heed(number: int, _: object) -> None:
        if is_orphan() and number == signal.SIGTERM:  # no other process would end it
            end_others()
            os._exit(128 + number)
        told.set()

    for number in signals:
        signal.signal(number, heed)
    restore_in_children(signals)
    end = time.monotonic() + options.lifetime

    def stop() -> bool:
        return told.is_set() or is_orphan()

    def on(run: Run) -> bool:
        return work(
            run,
            device=options.device,
            durable=not options.no_fsync,
            patience=options.patience,
            turn_limit=options.turn_limit,
            lifetime=end - time.monotonic(),
            job=options.job,
            stop=stop,
        )

    try:
        done = on(run) if run is not None else study is not None and work_study(study, on, stop)
    finally:
        if options.parent is not None:  # it leads a group of its own: what a trainer has left
            end_others()
    status = DONE if done else UNFINISHED
    print(LAST_WORDS[status], flush=True)
    if options.parent is not None and any(
        thread is not threading.main_thread() and not thread.daemon
        for thread in threading.enumerate()
    ):
        os._exit(status)  # Python would wait for what a trainer has left running
    return status


def _status(options: argparse.Namespace) -> int:
    console = _wide()
    if is_study(options.run):
        studied = StudyView(open_study(options.run))
        studied.show_status(console)
        return DONE if studied.is_done() else UNFINISHED
    roots = some_runs(options.run)
    if roots != [options.run]:
        return DONE if show_runs(options.run, roots, console) else UNFINISHED
    view = View(options.run, read_info(options.run))
    show_status(view, console)
    return DONE if view.is_done(view.rows()) else UNFINISHED


def _wide() -> Console:
    """Return where to print: what goes into a file or a pipe need fit no screen."""
    console = Console()
    return console if console.is_terminal or "COLUMNS" in os.environ else Console(width=10_000)


def _watch(options: argparse.Namespace) -> int:
    console = _wide()
    try:
        await_run(options.run, lambda line: console.print(line, markup=False, soft_wrap=True))
    except KeyboardInterrupt:
        return 0
    view: RunView | StudyView
    if is_study(options.run):
        view = StudyView(open_study(options.run))
    else:
        view = RunView(View(options.run, read_info(one_run(options.run, "watch"))))
    watch(console, view, view.is_done)
    return 0


def _schedule(options: argparse.Namespace) -> int:
    found = schedule_of(open_run(one_run(options.run, "schedule")), options.member, options.along)
    if options.json:
        print(json.dumps(found.as_json(), indent=1))
    else:
        print(found.as_python(), end="")
    return 0


def _replay(options: argparse.Namespace) -> int:
    run = open_run(one_run(options.run, "replay"))
    schedule = schedule_of(run, options.member, options.along)
    found = schedule.final() if options.final else schedule
    overrides = dict(cast(Mapping[str, object], run.info["overrides"]))
    overrides |= {"members": options.members, "schedule": found.as_override()}
    overrides |= {
        n: getattr(options, n) for n in ("seed", "steps") if getattr(options, n) is not None
    }
    again = [shown(options.run), *_words(options, ("members", "seed", "steps", "workers"))]
    again += ["--final"] if options.final else []
    again += ["--along", options.along] if options.along != "lineage" else []
    again += ["--member", str(options.member)] if options.member is not None else []
    crew = _crew(options)
    replay = open_run(options.out, run.preset, overrides)
    return carry_on(replay, crew, again, "replay")


def _verify(options: argparse.Namespace) -> int:
    roots = some_runs(options.run)
    if roots != [options.run]:
        say = functools.partial(print, flush=True)
        return 0 if verify_runs(roots, not_begun(options.run), say) else FAILED
    verdict = verify_run(options.run)
    for problem in verdict.problems:
        print(problem)
    print(f"{counts(verdict)}\ndigest {verdict.digest}")
    return FAILED if verdict.problems else 0


def _check(options: argparse.Namespace) -> int:
    marks: Mapping[bool | None, tuple[str, str]] = {
        True: ("kept  ", "green"),
        False: ("BROKEN", "red"),
        None: ("note  ", "yellow"),
    }
    console, broken, began = Console(), 0, time.monotonic()
    pbt = resolve(options.preset)
    check_devices([options.device])
    takes = cost(pbt, options.steps)
    console.print(
        f"If nothing is broken, this builds {takes.builds} trainers, trains {takes.steps} steps, "
        f"loads {takes.loads} times and evaluates {takes.evals} times; more if something is.",
        soft_wrap=True,
    )
    with console.status("checking ...") as status:
        for finding in check(pbt, options.device, options.steps):
            mark, style = marks[finding.kept]
            console.print(Text(mark, style=style), Text(finding.sentence), soft_wrap=True)
            broken += finding.kept is False
            status.update(f"checking ... {duration(time.monotonic() - began)}")
    console.print("The trainer keeps the contract." if not broken else f"{broken} broken.")
    return FAILED if broken else 0


if __name__ == "__main__":
    sys.exit(main())
