"""`python -m analysis ablation`: the arms of a study as figures, a ranking, and numbers."""

import argparse
import itertools
from pathlib import Path

from analysis.data.made import Output, Source
from analysis.data.names import file_names
from analysis.figures import ablation as ablation_figures
from analysis.figures.style import new_figure, save
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
    pairs = [p for p in itertools.combinations(study.axes, 2) if study.meet(*p)]
    names = file_names(["ablation", *(f"interaction_{one}_{other}" for one, other in pairs)])
    files = [f"{name}.{kind}" for name in names for kind in ("png", "pdf")]
    made = Source(_asked(options, number), [study.read])
    output.plan(dict.fromkeys([*files, "ablation.md", "ablation.json"], made))
    paths: list[Path] = []
    with new_figure(7, 3) as figure:
        ablation_figures.draw_axes(figure, study)
        paths += save(figure, output.folder, names[0])
    for (one, other), name in zip(pairs, names[1:], strict=True):
        with new_figure(7, 2.6) as figure:
            ablation_figures.draw_interaction(figure, study, one, other)
            paths += save(figure, output.folder, name)
    text = ablation.ranking(study)
    for file, content in (("ablation.md", text), ("ablation.json", ablation.as_json(study))):
        paths.append(output.write(file, content))
    print(text)
    for path in paths:
        print(path)
    return 0


def _asked(options: argparse.Namespace, number: str | None) -> str:
    """Return the command with what makes another result of it."""
    what = f" of {number}" if number is not None else ""
    return f"ablation{what}{f' against {options.against}' if options.against else ''}"
