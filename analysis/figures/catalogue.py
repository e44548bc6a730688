"""All figures of some runs, one after the other: for files, and for the report."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from matplotlib.figure import Figure

from analysis.data.columns import TOP
from analysis.data.made import Output, source
from analysis.data.names import file_names
from analysis.data.runs import RunData, by_arm, check_reported, folders
from analysis.figures import bars, scores
from analysis.figures.copies import draw_copies, draw_improved, improved
from analysis.figures.costs import draw_costs, totals
from analysis.figures.dominance import RANGE, draw_dominance
from analysis.figures.forest import draw_forest, forest
from analysis.figures.hypers import varied
from analysis.figures.lineages import ROWS, draw_lineages, draw_winner
from analysis.figures.samples import draw_samples, has_samples
from analysis.figures.style import BASELINE, PBT, WIDTH, legend_above, new_figure, save, whole_steps
from analysis.figures.toy import draw_figure_2, is_figure_2


@dataclass(frozen=True)
class Drawing:
    """A figure with what is said of it.

    name: for its file. title: a line for people. caption: what is seen, and how to read it.
    size: inches. draw: draws it, when it is needed. runs: what is drawn.
    """

    name: str
    title: str
    caption: str
    size: tuple[float, float]
    draw: Callable[[Figure], None]
    runs: Sequence[RunData] = ()

    @cached_property
    def figure(self) -> Figure:
        """The figure, drawn."""
        with new_figure(*self.size) as figure:
            self.draw(figure)
        return figure


def figures(runs: Sequence[RunData], lower: Sequence[str] = ()) -> Iterator[Drawing]:
    """Draw what the runs hold: each run with its baseline, then all of them against each other.

    A baseline of one of the runs is drawn behind that run, and not on its own. Of several seeds
    each has its own figures, and all of them one together.

    Args:
        lower: numbers of the report of which a lower one is better; of the others nobody knows.

    Raises:
        ValueError: a run is given twice, or no run reports such a number.
    """
    check_reported(runs, lower)
    planned = deque(_figures(runs, lower))
    names = file_names([drawing.name for drawing in planned])
    for name in names:  # one at a time: together, they would need much memory
        yield replace(planned.popleft(), name=name)


def _figures(runs: Sequence[RunData], lower: Sequence[str]) -> Iterator[Drawing]:
    names = dict(zip((run.path for run in runs), folders(runs), strict=True))
    if toy := [run for run in runs if is_figure_2(run)]:
        yield _drawing(
            "figure_2",
            "The toy of the paper's figure 2",
            "Left, the way of θ of both workers, a dot for each update, on the contours of Q; "
            "right, Q(θ) at each step (lines) and the values of the paper (circles).",
            (8, 4.4),
            lambda figure: draw_figure_2(figure, toy),
            toy,
        )
    others = [run for run in runs if not is_figure_2(run)]
    for run in others:
        if run.is_baseline and any(run.is_baseline_of(other) for other in others):
            continue
        baseline = next((other for other in others if other.is_baseline_of(run)), None)
        yield from _of_run(run, names[run.path], baseline)
    yield from _of_all(others, lower)


def saved(drawings: Iterable[Drawing], output: Output) -> Iterator[tuple[Drawing, list[Path]]]:
    """Write each figure as PNG and PDF, and in the end what is said of them into captions.md.

    One that cannot be drawn has no files, and captions.md says why; the others are not lost for it.

    Raises:
        ValueError: a figure of other runs is there under one of the names; none is written then.
    """
    planned = deque(drawings)
    output.plan(
        {
            f"{drawing.name}.{kind}": source("figures", drawing.runs)
            for drawing in planned
            for kind in ("png", "pdf")
        }
    )
    captions = {}
    while planned:  # one at a time: together, they would need much memory
        drawn = planned.popleft()
        paths, caption = [], drawn.caption
        try:
            paths = save(drawn.figure, output.folder, drawn.name)
        except ValueError as error:
            caption = f"It could not be drawn: {error}"
        yield drawn, paths
        text = f"**{drawn.title}** ({drawn.name}). {caption}"
        captions[drawn.name] = " ".join(text.split())
    output.add_captions(captions)


def _of_run(run: RunData, name: str, baseline: RunData | None) -> Iterator[Drawing]:
    """Draw one run, behind it its baseline."""
    both = [run] if baseline is None else [run, baseline]
    beside = "" if baseline is None else f"; grey and dashed: the baseline, {baseline.name}"
    panels = len(varied(run)[: scores.PANELS])
    yield _drawing(
        f"scores_{name}",
        f"Scores and hyperparameters of {name}",
        f"A thin line is a member, the thick one the mean of the {TOP} that are best at "
        f"each step, its band reaches from the worst to the best of these{beside}. Beside it the "
        "hyperparameters of all members.",
        (WIDTH, max(3.2, 1.15 * panels)),
        lambda figure: scores.draw_run(figure, run, baseline),
        both,
    )
    if len(run.columns.copies()):
        yield from _of_copies(run, name, baseline)
    if totals(run.columns):
        yield _drawing(
            f"costs_{name}",
            f"Where the time of {name} went",
            "Left, which share of the time of all turns each phase took, over the steps; right, "
            "the time of all workers together. All but step, eval and report is the engine.",
            (WIDTH, 2.9),
            lambda figure: draw_costs(figure, both),
            both,
        )


def _of_copies(run: RunData, name: str, baseline: RunData | None) -> Iterator[Drawing]:
    """Draw what came of the copies of a run, its lineages among it."""
    takes = " and ".join(run.settings.inherit) or "nothing, and only explores"
    taken = "" if len(run.settings.inherit) == 2 else f" A copy takes {takes}."
    rows = len(varied(run)[:ROWS])
    black = "" if baseline is None else f"; black and dashed: the best member of {baseline.name}"
    if run.columns.weights:
        found = forest(run.columns)
        left = (
            f" {found.extinct} nodes of branches that died out are left out."
            if found.extinct
            else ""
        )
        yield _drawing(
            f"forest_{name}",
            f"Phylogeny of {name}",
            "Circles are initial members, squares final ones; an edge is the way of weights "
            "through the training, its colour the score on the way, from black to cyan; it "
            f"branches where they were copied. Lengths mean nothing.{left}{taken}",
            (WIDTH, 5),
            lambda figure: draw_forest(figure, run, found),
            [run],
        )
    if rows:
        yield _drawing(
            f"lineages_{name}",
            f"Lineages of {name}",
            "Each line is what the weights of one member had been trained with when so much of the "
            "training was done, through all whom they were copied from; the darker, the more "
            f"members have this past in common{black}.{taken}",
            (WIDTH, 0.7 + 1.1 * rows),
            lambda figure: draw_lineages(figure, run, baseline),
            [run],
        )
        yield _drawing(
            f"schedule_{name}",
            f"The schedule that the best member of {name} came by",
            "The score and the hyperparameters of the best member's weights from their first step "
            f"on, through all whom they were copied from; dotted: another member went on{black}."
            f"{taken}",
            (WIDTH, 2.2 + 0.9 * rows),
            lambda figure: draw_winner(figure, run, baseline),
            [run],
        )
    yield _drawing(
        f"copies_{name}",
        f"Who copied whom in {name}",
        "A mark is a copy: its place is its step and the member that copied, its colour and shape "
        "the member that was copied (the eight that were copied most; grey dots: any other). Lines "
        "lead from there, where there is room for them. Right: "
        f"how often each was copied.{taken}",
        (WIDTH, 4.2),
        lambda figure: draw_copies(figure, run),
        [run],
    )
    if run.columns.weights:
        yield _drawing(
            f"dominance_{name}",
            f"Founders of {name}",
            "Left, how many initial members still have descendants; right, which share of all "
            "descends from the most frequent of them. Grey: the same if donors were drawn at "
            f"random ({RANGE[0]:.0%} to {RANGE[1]:.0%} of replays of the same copies).{taken}",
            (WIDTH, 2.7),
            lambda figure: draw_dominance(figure, run),
            [run],
        )
    if run.columns.weights and len(improved(run).later):
        yield _drawing(
            f"improved_{name}",
            f"Whether copies of {name} improved on their donors",
            "Left, the share of copies whose score is above the donor's at the copy, so many steps "
            "later (of who copied again before, the score until then); dashed, the same of the "
            f"donors. Right, each copy after the usual time between two decisions.{taken}",
            (WIDTH, 2.9),
            lambda figure: draw_improved(figure, run),
            [run],
        )


def _of_all(runs: Sequence[RunData], lower: Sequence[str]) -> Iterator[Drawing]:
    """Draw what several runs came to: arms over seeds, against baselines, and their pictures."""
    groups = by_arm(runs)
    labels = bars.labels(groups)
    for group, label in zip(groups, labels, strict=True):
        if group[0].is_baseline or len(group) < 2:
            continue
        theirs = next((g for g in groups if g[0].is_baseline_of(group[0], any_seed=True)), [])
        yield _drawing(
            f"seeds_{label}",
            f"{label} over its seeds",
            f"The mean over the seeds of the mean of the top {TOP}; the band reaches from "
            "the lowest to the highest seed.",
            (WIDTH * 0.65, 3),
            lambda figure, group=group, theirs=theirs: _draw_seeds(figure, group, theirs),  # type: ignore[misc]
            [*group, *theirs],
        )
    if drawn := bars.panels(runs, lower):
        count = sum(len(panel.bars) for panel in drawn)
        yield _drawing(
            "bars",
            "Against the baselines",
            "The dashed line is the best member of the baseline. From there to that of the run: "
            "blue where it is better, an empty frame where it is worse, hatched where no run says "
            "which of a reported number is better. Circles are seeds, and error bars one standard "
            "error to either side. The axis need not begin at 0. Where an arm has one seed, there "
            "are no bars: a circle is the baseline, a dot the run, and the line between them is "
            "dashed where the run is worse, dotted where nobody knows.",
            (min(WIDTH, 1.2 + 1.2 * count), 3.2),
            lambda figure: bars.draw_panels(figure, drawn),
            runs,
        )
    if pictures := [run for run in runs if has_samples(run)]:
        yield _drawing(
            "samples",
            "Samples of the best members",
            "What the best member of each run makes at the end.",
            (WIDTH, 2.1 * -(-len(pictures) // 4)),
            lambda figure: draw_samples(figure, pictures),
            pictures,
        )


def _draw_seeds(figure: Figure, ours: Sequence[RunData], theirs: Sequence[RunData]) -> None:
    ax = figure.subplots()
    if theirs:
        scores.draw_seeds(ax, theirs, BASELINE, theirs[0].name, "--")
    scores.draw_seeds(ax, ours, PBT, ours[0].name, "-")
    ax.set(xlabel="step", ylabel=ours[0].score)
    whole_steps(ax)
    legend_above(ax)


def _drawing(
    name: str,
    title: str,
    caption: str,
    size: tuple[float, float],
    draw: Callable[[Figure], None],
    runs: Sequence[RunData],
) -> Drawing:
    """Return one figure; its caption says of which runs not all is there, and who copied nobody."""
    said = [
        f"{folder} is {run.state}."
        for run, folder in zip(runs, folders(runs), strict=True)
        if run.state
    ]
    said += [run.idle for run in runs if run.idle]
    return Drawing(name, title, " ".join([caption, *said]), size, draw, runs)
