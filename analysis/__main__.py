"""`python -m analysis figures|compare|tables|ablation|members|report`: directories to files."""

import argparse
import csv
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis import ablation, comparison_files, tables
from analysis.report import write_report
from analysis.runs import RunData, read_runs
from analysis.samples import draw_samples, has_samples
from analysis.scores import draw_run
from analysis.style import new_figure, save
from analysis.toy import draw_figure_2, is_figure_2


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
    ablations.add_argument("--number", help="a reported number instead of the selected score")
    ablations.add_argument("--out", type=Path, required=True, metavar="DIR")
    paper = commands.add_parser("tables", help="the paper's tables 1 to 4, ours beside its numbers")
    paper.set_defaults(do=tables.command)
    tables.options(paper)
    paper.add_argument("--out", type=Path, required=True, metavar="DIR")
    for command in (figures, comparison, members):
        command.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="run directories")
        command.add_argument("--out", type=Path, required=True, metavar="DIR")
    report = commands.add_parser("report", help="one page with all of it, that opens anywhere")
    report.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="run directories")
    report.add_argument("--out", type=Path, required=True, metavar="FILE.html")
    report.set_defaults(do=lambda given: print(write_report(given.runs, given.out)) or 0)
    return parser


def _figures(options: argparse.Namespace) -> int:
    runs = read_runs(options.runs)
    names = [run.path.resolve().name for run in runs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"two run directories are called {twice[0]!r}: so would their figures be")
    paths: list[Path] = []
    if toy := [run for run in runs if is_figure_2(run)]:
        with new_figure(8, 4.4) as figure:
            draw_figure_2(figure, toy)
            paths += save(figure, options.out, "figure_2")
    others = [run for run in runs if not is_figure_2(run)]
    for run in others:
        baseline = _baseline(run, others)
        if run.is_baseline and any(run.is_baseline_of(other) for other in others):
            continue  # it is drawn behind the other
        with new_figure(7, 3.2) as figure:
            draw_run(figure, run, baseline)
            paths += save(figure, options.out, f"scores_{run.path.resolve().name}")
    if pictures := [run for run in others if has_samples(run)]:
        with new_figure(7, 2.1 * -(-len(pictures) // 4)) as figure:
            draw_samples(figure, pictures)
            paths += save(figure, options.out, "samples")
    for path in paths:
        print(path)
    return 0


def _ablation(options: argparse.Namespace) -> int:
    study = ablation.read_ablation(options.study, options.number)
    paths: list[Path] = []
    with new_figure(7, 3) as figure:
        ablation.draw_axes(figure, study)
        paths += save(figure, options.out, "ablation")
    for one, other in itertools.combinations(study.axes, 2):
        if study.meet(one, other):
            with new_figure(7, 2.6) as figure:
                ablation.draw_interaction(figure, study, one, other)
                paths += save(figure, options.out, f"interaction_{one}_{other}")
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
    lines = []
    for run in runs:
        for history in run.histories:
            me, report = history[-1].member, history[-1].report
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


def _baseline(run: RunData, runs: Sequence[RunData]) -> RunData | None:
    return next((other for other in runs if other.is_baseline_of(run)), None)


if __name__ == "__main__":
    sys.exit(main())
