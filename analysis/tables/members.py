"""`python -m analysis members`: how each member of some runs ended, as a CSV file."""

import argparse
import sys
from collections.abc import Sequence

from analysis.data.made import Output, source
from analysis.data.names import HYPER, REPORTED, told_apart
from analysis.data.places import note, read_places, run_directories
from analysis.data.runs import RunData, folders
from analysis.tables.tabular import comma_separated

OWN = ("run", "seed", "member", "step", "score")


def command(options: argparse.Namespace) -> int:
    """Write a row for the last record of each member of each run."""
    output = Output(options.out, options.overwrite)
    runs = read_places(run_directories(options.runs, note), note)
    warn(runs)
    text = members_as_csv(runs)
    output.plan({"members.csv": source("members", runs)})
    print(output.write("members.csv", text))
    return 0


def members_as_csv(runs: Sequence[RunData]) -> str:
    """Return one row for each member: our columns, the hyperparameters, the reported numbers.

    A hyperparameter with the name of one of our columns is called "NAME (hyperparameter)"; a
    reported number with any of these names is called "NAME (reported)".
    """
    hypers = told_apart((name for run in runs for name in run.hypers), OWN, HYPER)
    numbers = {
        (run.path, id): {n: v for n, v in record.report.items() if isinstance(v, int | float)}
        for run in runs
        for id, record in run.last.items()
    }
    names = [name for said in numbers.values() for name in said]
    reported = told_apart(names, (*OWN, *hypers.values()), REPORTED)
    rows: list[list[object]] = []
    for run, folder in zip(runs, folders(runs), strict=True):
        for record in run.last.values():
            me, said = record.member, numbers[run.path, record.member.id]
            row: list[object] = [folder, run.seed, me.id, me.step, me.score]
            row += [me.hypers.get(name) for name in hypers]
            rows.append(row + [said.get(name) for name in reported])
    return comma_separated((*OWN, *hypers.values(), *reported.values()), rows)


def warn(runs: Sequence[RunData]) -> None:
    """Warn of unreadable parts, incomplete runs, and PBT in which no member copied another."""
    for run in runs:
        for sentence in run.problems:
            print(f"warning: {sentence}", file=sys.stderr)
        if run.state:
            print(f"note: {run.path} is {run.state}", file=sys.stderr)
        if run.idle:
            print(f"warning: {run.idle}", file=sys.stderr)
