"""`python -m analysis figures|compare|tables|ablation|members|report`: directories to files."""

import argparse
import csv
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from analysis import ablation, ablation_figures, comparison_files, tables
from analysis.figures import figures, saved
from analysis.report import write_report
from analysis.runs import RunData, file_name, folders, read_runs
from analysis.style import new_figure, save


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
    comparison.set_defaults(do=comparison_files.command)
    comparison_files.options(comparison)
    members = commands.add_parser("members", help="how each member ended, as a CSV file")
    members.set_defaults(do=_members)
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
    for command in (figures, comparison, members):
        command.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="run directories")
        command.add_argument("--out", type=Path, required=True, metavar="DIR")
    report = commands.add_parser("report", help="one page with all of it, that opens anywhere")
    report.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="directories of runs, or of studies"
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
    return parser


def _figures(options: argparse.Namespace) -> int:
    """Write every figure twice."""
    with Progress(*Progress.get_default_columns(), console=Console(stderr=True)) as progress:
        reading = progress.add_task("reading", total=1.0)
        runs = read_runs(options.runs, lambda done: progress.update(reading, completed=done))
        drawing = progress.add_task("drawing", total=None)
        _warn(runs)
        for drawn, paths in saved(figures(runs, options.lower), options.out):
            progress.update(drawing, description=drawn.name)
            for path in paths:
                print(path)
            if not paths:
                print(f"warning: “{drawn.title}” could not be drawn", file=sys.stderr)
    return 0


def _report(options: argparse.Namespace) -> int:
    print(write_report(options.runs, options.out, options.lower, options.figures))
    return 0


def _warn(runs: Sequence[RunData]) -> None:
    """Say what cannot be read, and what is not whole."""
    for run in runs:
        for sentence in run.problems:
            print(f"warning: {sentence}", file=sys.stderr)
        if run.state:
            print(f"note: {run.path} is {run.state}", file=sys.stderr)


def _ablation(options: argparse.Namespace) -> int:
    number = options.lower or options.number
    study = ablation.read_ablation(
        options.study,
        number,
        lower=options.lower is not None,
        measure=options.against,
        difference=options.difference,
    )
    paths: list[Path] = []
    with new_figure(7, 3) as figure:
        ablation_figures.draw_axes(figure, study)
        paths += save(figure, options.out, "ablation")
    for one, other in itertools.combinations(study.axes, 2):
        if study.meet(one, other):
            with new_figure(7, 2.6) as figure:
                ablation_figures.draw_interaction(figure, study, one, other)
                paths += save(figure, options.out, file_name(f"interaction_{one}_{other}"))
    text = ablation.ranking(study)
    for name, content in (("ablation.md", text), ("ablation.json", ablation.as_json(study))):
        (options.out / name).write_text(content)
        paths.append(options.out / name)
    print(text)
    for path in paths:
        print(path)
    return 0


def _members(options: argparse.Namespace) -> int:
    """Write a row for the last record of each member of each run."""
    runs = read_runs(options.runs)
    _warn(runs)
    lines = []
    for run, folder in zip(runs, folders(runs), strict=True):
        for record in run.last.values():
            me, report = record.member, record.report
            numbers = {key: value for key, value in report.items() if not isinstance(value, str)}
            row = {"run": folder, "seed": run.seed, "member": me.id}
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


if __name__ == "__main__":
    sys.exit(main())
