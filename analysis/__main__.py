"""`python -m analysis figures|compare|members`: from run directories to files."""

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from analysis import compare
from analysis.figures import figures
from analysis.runs import read_runs
from analysis.style import save


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.do(options))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m analysis", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    figures = commands.add_parser("figures", help="draw what the runs hold, as PNG and PDF")
    figures.set_defaults(do=_figures)
    comparison = commands.add_parser("compare", help="one arm against another, seed by seed")
    comparison.set_defaults(do=_compare)
    comparison.add_argument("--against", type=Path, nargs="+", required=True, metavar="RUN")
    members = commands.add_parser("members", help="how each member ended, as a CSV file")
    members.set_defaults(do=_members)
    for command in (figures, comparison, members):
        command.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="run directories")
        command.add_argument("--out", type=Path, required=True, metavar="DIR")
    return parser


def _figures(options: argparse.Namespace) -> int:
    """Write every figure twice, and what is said of them into captions.md."""
    captions = []
    with Progress(*Progress.get_default_columns(), console=Console(stderr=True)) as progress:
        reading = progress.add_task("reading", total=1.0)
        runs = read_runs(options.runs, lambda done: progress.update(reading, completed=done))
        drawing = progress.add_task("drawing", total=None)
        for run in runs:
            for sentence in run.problems:
                print(f"warning: {sentence}", file=sys.stderr)
            if run.state:
                print(f"note: {run.path} is {run.state}", file=sys.stderr)
        for drawn in figures(runs):
            progress.update(drawing, description=drawn.name)
            for path in save(drawn.figure, options.out, drawn.name):
                print(path)
            captions.append(f"**{drawn.title}** ({drawn.name}). {drawn.caption}\n")
    (options.out / "captions.md").write_text("\n".join(captions))
    return 0


def _members(options: argparse.Namespace) -> int:
    """Write a row for the last record of each member of each run."""
    runs = read_runs(options.runs)
    lines = []
    for run in runs:
        for record in run.last.values():
            me, report = record.member, record.report
            numbers = {key: value for key, value in report.items() if not isinstance(value, str)}
            row = {"run": run.path.resolve().name, "seed": run.seed, "member": me.id}
            row |= {"step": me.step, "score": me.score} | dict(me.hypers)
            row |= {key: value for key, value in numbers.items() if isinstance(value, int | float)}
            lines.append(row)
    columns = list(dict.fromkeys(key for row in lines for key in row))
    path = options.out / "members.csv"
    options.out.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(lines)
    print(path)
    return 0


def _compare(options: argparse.Namespace) -> int:
    ours, theirs = (compare.arm(read_runs(paths)) for paths in (options.runs, options.against))
    text = compare.table(ours, theirs)
    options.out.mkdir(parents=True, exist_ok=True)
    mine, other = (name.replace(" ", "_") for name in compare.names(ours, theirs))
    path = options.out / f"{mine}_against_{other}.md"
    path.write_text(text)
    path.with_suffix(".csv").write_text(compare.csv(ours, theirs))
    print(text)
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
