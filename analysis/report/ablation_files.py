"""`python -m analysis ablation`: the arms of a study as figures, a ranking, and numbers."""

import argparse
import sys

from analysis.data.made import Output, Source
from analysis.figures.catalogue import figures_of_study, files_of, written
from analysis.tables import ablation


def command(options: argparse.Namespace) -> int:
    """Write the figures, the ranking and the numbers of a study, and print the ranking."""
    number = options.lower or options.number
    output = Output(options.out, options.overwrite)
    study = ablation.read_ablation(
        options.study,
        number,
        lower=options.lower is not None,
        measure=options.against,
        difference=options.difference,
    )
    drawings = list(figures_of_study(study))
    text = ablation.ranking(study)
    files = {"ablation.md": text, "ablation.json": ablation.study_as_json(study)}
    made = Source(_asked(options, number), [study.read])
    figures = [file for drawing in drawings for file in files_of(drawing)]
    output.plan(dict.fromkeys([*figures, *files], made))
    paths = []
    for drawn, drawn_to in written(drawings, output):
        paths += drawn_to
        if not drawn_to:
            print(f"warning: “{drawn.title}” could not be drawn", file=sys.stderr)
    paths += [output.write(file, content) for file, content in files.items()]
    print(text)
    for path in paths:
        print(path)
    return 0


def _asked(options: argparse.Namespace, number: str | None) -> str:
    """Return the command with the options that make it another result."""
    what = f" of {number}" if number is not None else ""
    return f"ablation{what}{f' against {options.against}' if options.against else ''}"
