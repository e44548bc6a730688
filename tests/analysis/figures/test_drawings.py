"""Figures that fill their page, can be read of a long run, and claim no more than they know."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure

from analysis.data.runs import RunData, read_run, read_runs
from analysis.figures.ablation import draw_axes
from analysis.figures.bars import Bar, Panel, draw_panels
from analysis.figures.catalogue import figures
from analysis.figures.copies import NARROWEST, ROOM, draw_copies
from analysis.figures.forest import draw_forest, forest, places
from analysis.figures.scores import draw_run
from analysis.figures.style import new_figure, power
from analysis.report.embed import picture
from analysis.tables.ablation import Ablation
from tests.analysis.runs import run_of
from tests.analysis.synthetic import write_run

pytestmark = pytest.mark.slow
SIZES = [(8, 600, 4), (80, 600, 10), (40, 250, 25), (30, 12, 12), (2, 4, 2)]


@pytest.fixture(scope="module", params=SIZES, ids=str)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> RunData:
    """A run with this number of members, steps, and steps between decisions; only to be read."""
    members, steps, every = request.param
    root = tmp_path_factory.mktemp("runs") / "run"
    return read_run(write_run(root, members, steps, every=every))


def test_a_forest_fills_its_page(run: RunData) -> None:
    """Nearly all of twelve parts of the page have a tree, and no two trees overlap."""
    found = forest(run.columns)
    trees = found.trees()

    at = places(trees)

    xy = np.array(list(at.values()))
    low, size = xy.min(axis=0), np.ptp(xy, axis=0)
    assert 0.7 < size[0] / size[1] < 3.5 or len(trees) < 3
    boxes = [
        (np.min([at[n] for n in tree], axis=0), np.max([at[n] for n in tree], axis=0))
        for tree in trees
    ]
    for i, (low_one, high_one) in enumerate(boxes):
        for low_other, high_other in boxes[:i]:
            assert ((high_one < low_other) | (high_other < low_one)).any()
    if len(trees) > 20:
        cells = np.floor((xy - low) / size * (3.999, 2.999)).astype(int)
        assert len(np.unique(cells, axis=0)) >= 11


def test_the_colours_of_a_forest_stop_with_its_scores(run: RunData) -> None:
    """Neither end of the scale is without an edge of that colour."""
    with new_figure(7, 5) as figure:
        draw_forest(figure, run, forest(run.columns))

    [edges] = [c for c in figure.axes[0].collections if isinstance(c, LineCollection)]
    scores = np.asarray(edges.get_array())
    assert edges.norm.vmax == scores[np.isfinite(scores)].max()
    assert edges.norm.vmin is not None
    assert edges.norm.vmin >= scores[np.isfinite(scores)].min()
    assert figure.axes[0].get_position().width > 0.4


def test_copies_are_read_in_a_long_run(run: RunData) -> None:
    """Every copy has a mark; lines are drawn only if those of two steps do not cross."""
    copies = run.columns.copies()
    with new_figure(7, 4.2) as figure:
        draw_copies(figure, run)

    main = figure.axes[0]
    marks = [c for c in main.collections if isinstance(c, PathCollection)]
    assert sum(len(np.asarray(c.get_offsets())) for c in marks) == len(copies)
    named = [c for c in marks if str(c.get_label()).startswith("member")]
    assert all(float(c.get_sizes()[0]) >= 4.0 for c in named)
    assert run.members > 8 or len(named) == len(np.unique(run.columns.donor[copies]))
    steps = np.unique(run.columns.step[copies])
    apart = float(np.median(np.diff(steps))) if len(steps) > 1 else run.steps / 10
    lines = [c for c in main.collections if isinstance(c, LineCollection)]
    ways = np.array([path.vertices for c in lines for path in c.get_paths()]).reshape(-1, 2, 2)
    assert (np.ptp(ways[:, :, 0], axis=1) < apart).all()
    assert not len(ways) or apart / run.steps * ROOM[0] >= NARROWEST


def _panel(ours: tuple[float, ...], theirs: tuple[float, ...], way: int = 1) -> Any:
    with new_figure(4, 3) as figure:
        draw_panels(figure, [Panel("score", [Bar("pbt", ours, theirs)], way)])
    return figure.axes[0]


@pytest.mark.parametrize(("ours", "theirs"), [((102.9,), (102.6,)), ((3.0, 4.0), (2.0,))])
def test_one_seed_is_a_point_and_no_bar(ours: tuple[float, ...], theirs: tuple[float, ...]) -> None:
    """Every seed of both sides is there."""
    ax = _panel(ours, theirs)

    assert len(ax.patches) == 0
    drawn = [y for line in ax.lines if line.get_marker() == "o" for y in line.get_ydata()]
    assert sorted(drawn) == sorted([*ours, *theirs])
    low, high = ax.get_ylim()
    assert low < min(drawn) < max(drawn) < high


@pytest.mark.parametrize(("way", "style"), [(1, "-"), (-1, "--"), (0, ":")])
def test_the_line_between_two_points_says_which_is_better(way: int, style: str) -> None:
    """It is solid if ours is better, dashed if worse, dotted if that is unknown."""
    ax = _panel((3.0,), (2.0,), way)

    [line] = [line for line in ax.lines if len(line.get_xdata()) == 2]
    assert line.get_linestyle() == style


def test_several_seeds_are_bars() -> None:
    """They are drawn as in the paper."""
    assert len(_panel((3.0, 4.0), (2.0, 2.5)).patches) == 2


def test_an_ablation_of_one_seed_has_no_bars() -> None:
    """It has a dot for each arm."""
    values = {"a": np.array([1.5]), "b": np.array([0.5])}
    levels: dict[str, dict[str, str | float]] = {"a": {"x": "1"}, "b": {"x": "2"}}
    study = Ablation((1,), values, dict.fromkeys(values, "search"), levels, True, "selected")

    draw_axes(figure := Figure(), study)

    [ax] = figure.axes
    assert len(ax.patches) == 0
    assert [line.get_ydata()[0] for line in ax.lines if line.get_marker() == "o"] == [1.5, 0.5]  # type: ignore[index]


def test_a_name_with_two_dollars_is_drawn_as_it_is(tmp_path: Path) -> None:
    """The name of the score or of a hyperparameter, in every figure, with one seed or several."""
    runs = [
        run_of(tmp_path / f"{name} $a$ {seed}", f"tests.analysis.odd:{name}", seed=seed)
        for name, seed in (("priced", 1), ("priced", 2), ("priced_random_search", 1))
    ]
    texts: list[str] = []

    for drawing in figures(read_runs(runs[::2])):
        kind, content = picture(drawing.figure)
        texts.append(content.decode() if "svg" in kind else "")
    over_seeds = [d for d in figures(read_runs(runs)) if d.name.startswith(("seeds", "bars"))]

    assert len(texts) == 8 + 1
    assert sum("profit ($_net per $_spent)" in text for text in texts) >= 4
    assert sum("fee_$ of_$" in text for text in texts) >= 3
    assert all(picture(d.figure)[1] for d in over_seeds)
    assert len(over_seeds) == 2


def test_a_name_that_begins_with_an_underscore_is_in_the_legend(tmp_path: Path) -> None:
    """matplotlib would leave such a name out."""
    run = read_run(write_run(tmp_path / "run", preset="tests:_mine"))

    with new_figure(7, 4) as figure:
        draw_run(figure, run, None)

    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text().strip() for text in legend.get_texts()] == ["_mine: mean of the top 5"]


def test_powers_of_ten_are_no_formulas() -> None:
    """They use superscript characters; other numbers stay as they are."""
    assert [power(x) for x in (1e-5, 1.0, 1e3, 5.0, 0.0)] == ["10⁻⁵", "10⁰", "10³", "5", "0"]
