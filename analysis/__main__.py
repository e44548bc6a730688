"""`python -m analysis figures|compare|tables|ablation|members|report`: directories to files."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from analysis.data.made import Output, add_overwrite
from analysis.data.places import note, read_places, run_directories
from analysis.tables import comparison_files, members
from analysis.tables import paper_tables as tables

# matplotlib and what else draws is imported by the commands that draw: `compare`, `tables` and
# `members` do without
DRAWS = {"matplotlib": "matplotlib", "networkx": "networkx", "PIL": "pillow"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.do(options))
    except ModuleNotFoundError as error:
        package = DRAWS.get((error.name or "").partition(".")[0])
        if package is None:
            raise
        print(
            f"error: this command draws, and needs the package {package}, which is not installed: "
            "pip install -e '.[analysis]'",
            file=sys.stderr,
        )
        return 2
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m analysis", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    figures = commands.add_parser("figures", help="draw what the runs hold, as PNG and PDF")
    figures.set_defaults(do=_figures)
    comparison = commands.add_parser("compare", help="one arm against another, seed by seed")
    comparison.set_defaults(do=comparison_files.command)
    comparison_files.options(comparison)
    ends = commands.add_parser("members", help="how each member ended, as a CSV file")
    ends.set_defaults(do=members.command)
    ablations = commands.add_parser("ablation", help="the arms of a study, axis by axis")
    ablations.set_defaults(do=_ablation)
    ablations.add_argument("study", type=Path, metavar="DIR", help="the directory of a study")
    number = ablations.add_mutually_exclusive_group()
    number.add_argument(
        "--number", metavar="NAME", help="a reported number instead of the selected score"
    )
    number.add_argument("--lower", metavar="NAME", help="the same, if a lower one is better")
    ablations.add_argument(
        "--against", metavar="ARM", help="measure all by this arm, not by their random searches"
    )
    ablations.add_argument(
        "--difference", action="store_true", help="differences even where ratios could be taken"
    )
    ablations.add_argument("--out", type=Path, required=True, metavar="DIR")
    paper = commands.add_parser("tables", help="the paper's tables 1 to 4, ours beside its numbers")
    paper.set_defaults(do=tables.command)
    tables.options(paper)
    paper.add_argument("--out", type=Path, required=True, metavar="DIR")
    for command in (figures, comparison, ends):
        command.add_argument(
            "runs", type=Path, nargs="+", metavar="RUN", help="runs, studies or folders of runs"
        )
        command.add_argument("--out", type=Path, required=True, metavar="DIR")
    report = commands.add_parser("report", help="one page with all of it, that opens anywhere")
    report.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="runs, studies or folders of runs"
    )
    report.add_argument("--out", type=Path, required=True, metavar="FILE.html")
    report.add_argument(
        "--figures",
        type=Path,
        metavar="DIR",
        help="write its figures there, too, as `figures` does",
    )
    for command in (figures, report):
        command.add_argument(
            "--lower",
            action="append",
            default=[],
            metavar="NAME",
            help="a number of the report, of which a lower one is better; may be given again",
        )
    report.set_defaults(do=_report)
    for command in (figures, comparison, ends, ablations, paper, report):
        add_overwrite(command)
    return parser


def _figures(options: argparse.Namespace) -> int:
    """Write every figure twice."""
    from analysis.figures.catalogue import figures, saved

    output = Output(options.out, options.overwrite)
    places = run_directories(options.runs, note)
    with Progress(*Progress.get_default_columns(), console=Console(stderr=True)) as progress:
        reading = progress.add_task("reading", total=1.0)
        runs = read_places(places, note, lambda done: progress.update(reading, completed=done))
        drawing = progress.add_task("drawing", total=None)
        members.warn(runs)
        for drawn, paths in saved(figures(runs, options.lower), output):
            progress.update(drawing, description=drawn.name)
            for path in paths:
                print(path)
            if not paths:
                print(f"warning: “{drawn.title}” could not be drawn", file=sys.stderr)
    return 0


def _report(options: argparse.Namespace) -> int:
    if options.out.suffix.lower() not in (".html", ".htm"):
        better = options.out.with_suffix(".html") if options.out.name else "report.html"
        raise ValueError(
            f"a report is a page of HTML, and {options.out} does not end in .html: "
            f"give --out {better}"
        )
    from analysis.report.page import write_report

    output = options.figures and Output(options.figures, options.overwrite)
    print(write_report(options.runs, options.out, options.lower, output, options.overwrite))
    return 0


def _ablation(options: argparse.Namespace) -> int:
    from analysis.report.ablation_files import command

    return command(options)


if __name__ == "__main__":
    sys.exit(main())
