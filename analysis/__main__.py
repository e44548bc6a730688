"""`python -m analysis figures|compare`: from run directories to files."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis import compare
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
    comparison.set_defaults(do=_compare)
    comparison.add_argument("--against", type=Path, nargs="+", required=True, metavar="RUN")
    for command in (figures, comparison):
        command.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="run directories")
        command.add_argument("--out", type=Path, required=True, metavar="DIR")
    return parser


def _figures(options: argparse.Namespace) -> int:
    runs = read_runs(options.runs)
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
            paths += save(figure, options.out, f"scores_{run.path.name}")
    if pictures := [run for run in others if has_samples(run)]:
        with new_figure(7, 2.1 * -(-len(pictures) // 4)) as figure:
            draw_samples(figure, pictures)
            paths += save(figure, options.out, "samples")
    for path in paths:
        print(path)
    return 0


def _baseline(run: RunData, runs: Sequence[RunData]) -> RunData | None:
    return next((other for other in runs if other.is_baseline_of(run)), None)


def _compare(options: argparse.Namespace) -> int:
    ours, theirs = (compare.arm(read_runs(paths)) for paths in (options.runs, options.against))
    text = compare.table(ours, theirs)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"{ours.name}_against_{theirs.name}.md"
    path.write_text(text)
    path.with_suffix(".csv").write_text(compare.csv(ours, theirs))
    print(text)
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
