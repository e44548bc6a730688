"""All figures: which there are, and the one way from some runs to their files.

A figure is a function of its own file. It returns the `Drawing`, or None where there is nothing to
draw. To add a figure, write the function and name it in one of the lists below.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from analysis.data.made import Output, source
from analysis.data.names import file_names
from analysis.data.runs import RunData, by_arm, check_reported, folders
from analysis.figures import (
    ablation,
    bars,
    copies,
    costs,
    dominance,
    forest,
    lineages,
    samples,
    scores,
    toy,
)
from analysis.figures.drawing import Drawing
from analysis.figures.style import save
from analysis.tables.ablation import Ablation

Runs = Sequence[RunData]
KINDS = ("png", "pdf")

# of all runs, and of the names of numbers of which a lower one is better; a run that such a figure
# shows is in no other figure
INSTEAD: tuple[Callable[[Runs, Sequence[str]], Drawing | None], ...] = (toy.figure,)
# of a run, what it is called, and its baseline
OF_A_RUN: tuple[Callable[[RunData, str, RunData | None], Drawing | None], ...] = (
    scores.figure,
    forest.figure,
    lineages.figure,
    lineages.schedule_figure,
    copies.figure,
    dominance.figure,
    copies.improved_figure,
    costs.figure,
)
# of the seeds of an arm, what the arm is called, and the seeds of its baseline
OF_AN_ARM: tuple[Callable[[Runs, str, Runs], Drawing | None], ...] = (scores.seeds_figure,)
# of all runs, and of the names of numbers of which a lower one is better
OF_ALL: tuple[Callable[[Runs, Sequence[str]], Drawing | None], ...] = (
    bars.figure,
    samples.figure,
)
# of a study
OF_A_STUDY: tuple[Callable[[Ablation], Iterable[Drawing]], ...] = (
    ablation.figure,
    ablation.interaction_figures,
)


def figures(runs: Runs, lower: Sequence[str] = ()) -> Iterator[Drawing]:
    """Yield the figures of some runs: each run with its baseline, then all runs together.

    A baseline is drawn behind its run, and has figures of its own only if its run is not there.
    Each seed of an arm has its own figures, and the arm has one of all seeds.

    Args:
        lower: numbers of the report of which a lower one is better; of the others it is unknown.

    Raises:
        ValueError: a run is given twice, or no run reports such a number.
    """
    check_reported(runs, lower)
    yield from _named(_of_runs(runs, lower))


def figures_of_study(study: Ablation) -> Iterator[Drawing]:
    """Yield the figures of a study."""
    yield from _named(drawing for drawings in OF_A_STUDY for drawing in drawings(study))


def _of_runs(runs: Runs, lower: Sequence[str]) -> Iterator[Drawing]:
    names = dict(zip((run.path for run in runs), folders(runs), strict=True))
    shown = set()
    for drawing in filter(None, (figure(runs, lower) for figure in INSTEAD)):
        shown |= {run.path for run in drawing.runs}
        yield drawing
    runs = [run for run in runs if run.path not in shown]
    for run in runs:
        if run.is_baseline and any(run.is_baseline_of(other) for other in runs):
            continue
        baseline = next((other for other in runs if other.is_baseline_of(run)), None)
        yield from filter(None, (f(run, names[run.path], baseline) for f in OF_A_RUN))
    arms = by_arm(runs)
    for arm, label in zip(arms, bars.labels(arms), strict=True):
        baselines = next((b for b in arms if b[0].is_baseline_of(arm[0], any_seed=True)), [])
        yield from filter(None, (figure(arm, label, baselines) for figure in OF_AN_ARM))
    yield from filter(None, (figure(runs, lower) for figure in OF_ALL))


def _named(drawings: Iterable[Drawing]) -> Iterator[Drawing]:
    """Yield the figures under names of which no two are the same file."""
    planned = deque(drawings)
    names = file_names([drawing.name for drawing in planned])
    for name, drawing in zip(names, _one_by_one(planned), strict=True):
        yield replace(drawing, name=name)


def _one_by_one(planned: deque[Drawing]) -> Iterator[Drawing]:
    """Yield and forget the figures: all drawn ones together would need much memory."""
    while planned:
        yield planned.popleft()


def saved(drawings: Iterable[Drawing], output: Output) -> Iterator[tuple[Drawing, list[Path]]]:
    """Write the figures of some runs, as `written` does.

    Raises:
        ValueError: a figure of other runs is there under one of the names; none is written then.
    """
    planned = deque(drawings)
    output.plan({file: source("figures", d.runs) for d in planned for file in files_of(d)})
    yield from written(_one_by_one(planned), output)


def files_of(drawing: Drawing) -> list[str]:
    """Return the names of the files that a figure is written to."""
    return [f"{drawing.name}.{kind}" for kind in KINDS]


def written(drawings: Iterable[Drawing], output: Output) -> Iterator[tuple[Drawing, list[Path]]]:
    """Write each figure as PNG and PDF, and at the end their captions into captions.md.

    A figure that cannot be drawn has no files, and captions.md says why; the others are written.
    """
    captions = {}
    for drawn in drawings:
        paths, caption = [], drawn.caption
        try:
            paths = save(drawn.figure, output.folder, drawn.name)
        except ValueError as error:
            caption = f"It could not be drawn: {error}"
        yield drawn, paths
        text = f"**{drawn.title}** ({drawn.name}). {caption}"
        captions[drawn.name] = " ".join(text.split())
    output.add_captions(captions)
