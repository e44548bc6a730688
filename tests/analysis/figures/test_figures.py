"""Each figure shows the numbers that a plain loop over the records finds."""

import contextlib
import functools
import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from analysis.data.runs import RunData, by_arm, read_runs
from analysis.figures.bars import Bar, Panel, bars, bottom, draw_bars, means_as_text
from analysis.figures.catalogue import figures
from analysis.figures.copies import draw_copies, improved
from analysis.figures.costs import draw_costs, totals
from analysis.figures.dominance import dominance, neutral
from analysis.figures.drawing import Drawing
from analysis.figures.forest import draw_forest, forest, places
from analysis.figures.hypers import draw_hyper, is_logarithmic, shown_options, stairs, varied
from analysis.figures.lineages import SHARES, draw_lineages, draw_winner, trained_with
from analysis.figures.scores import top
from analysis.figures.style import new_figure, rendered
from core.directory.members import Members
from core.directory.record import Record
from core.directory.run import open_run
from core.workers.blame import AllFailed
from core.workers.worker import work
from tests.analysis.synthetic import OPTIONS, write_run

EVERY = ("scores", "forest", "lineages", "schedule", "copies", "dominance", "improved", "costs")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunData, RunData]:
    """A run of eight with many copies, and its baseline."""
    root = tmp_path_factory.mktemp("pair")
    paths = [write_run(root / name, preset=name) for name in ("wide", "wide_random_search")]
    run, baseline = read_runs(paths)
    return run, baseline


@pytest.fixture(scope="module")
def run(pair: tuple[RunData, RunData]) -> RunData:
    """The run alone."""
    return pair[0]


@functools.cache
def _of(path: Path, members: int) -> dict[tuple[int, int], Record]:
    population = Members(path)
    return {(r.member.id, r.member.n): r for id in range(members) for r in population.history(id)}


def _records(run: RunData) -> dict[tuple[int, int], Record]:
    return _of(run.path, run.members)


def _way(run: RunData, id: int, n: int) -> list[Record]:
    """Walk from a record back to a start, slowly; return the way from there."""
    records = _records(run)
    way = [records[id, n]]
    while way[-1].member.n > 0:
        me = way[-1].member
        way.append(records[me.parent or (me.id, me.n - 1)])
    return way[::-1]


def _rows(way: list[Record]) -> list[tuple[int, int]]:
    return [(record.member.id, record.member.n) for record in way]


def _bars(ax: Axes) -> list[Rectangle]:
    return [bar for bar in ax.patches if isinstance(bar, Rectangle)]


def _rendered(drawn: list[Drawing]) -> dict[str, Drawing]:
    for drawing in drawn:
        assert rendered(drawing.figure, "svg")[:5] == b"<?xml"
        assert drawing.title
        assert drawing.caption.endswith((".", ").")), drawing.caption
    return {drawing.name: drawing for drawing in drawn}


def test_every_figure_of_a_run_is_drawn_once(pair: tuple[RunData, RunData]) -> None:
    """The baseline is drawn behind its run and has no figures of its own."""
    drawn = _rendered(list(figures(pair)))

    assert list(drawn) == [*(f"{kind}_wide" for kind in EVERY), "bars"]
    assert "wide_random_search" in drawn["scores_wide"].caption


@pytest.mark.parametrize("case", ["one member", "one step", "running", "failed", "no baseline"])
def test_runs_of_every_kind_are_drawn(case: str, tmp_path: Path) -> None:
    """The caption says so if a run is still running."""
    path = tmp_path / "run"
    if case == "one member":
        write_run(path, members=1)
    elif case == "one step":
        write_run(path, steps=1)
    elif case == "running":
        write_run(path, until={0: 12, 1: 0, 2: -1, 3: 1})
    elif case == "failed":
        write_run(path, diverged={0: 3, 1: 1, 5: 20})
    else:
        write_run(path)

    drawn = _rendered(list(figures(read_runs([path]))))

    assert "scores_run" in drawn
    assert ("forest_run" in drawn) == (case != "one member")  # it has no donor
    assert ("not done" in drawn["scores_run"].caption) == (case == "running")


@pytest.mark.parametrize("preset", ["raises", "diverges", "always_raises", "walk_random_search"])
def test_real_runs_with_failures_are_drawn(preset: str, tmp_path: Path) -> None:
    """Some members or all lack a score or weights."""
    with contextlib.suppress(AllFailed):
        work(open_run(tmp_path / "run", f"tests.trainers:{preset}"), durable=False)

    assert _rendered(list(figures(read_runs([tmp_path / "run"]))))


def test_the_first_to_come_are_not_the_top_of_all(tmp_path: Path) -> None:
    """A step that fewer than five members have reached has no mean of the top five."""
    [run] = read_runs([write_run(tmp_path / "run", until=dict.fromkeys(range(4), 6))])

    best = top(run.columns, run.steps)

    assert not np.isnan(best[:, :6]).any()
    assert np.isnan(best[:, 6:]).all()


def test_hypers_are_drawn_as_they_hold(run: RunData) -> None:
    """They hold from the step of one decision to the next change."""
    with new_figure(3, 3) as figure:
        ax = figure.subplots()
        draw_hyper(ax, run, "rate")

    [lines] = ax.collections
    for id, path in enumerate(lines.get_paths()):
        left = {r.member.step: r.member.hypers["rate"] for r in run.history(id)}
        corners = np.asarray(path.vertices)
        for (x, y), (end, same) in zip(corners[::2], corners[1::2], strict=True):
            assert y == same
            assert all(left[step] == y for step in range(int(x), int(end)))
    assert ax.get_yscale() == "log"


def test_named_options_are_drawn_as_shares(run: RunData) -> None:
    """Each option is one area, and together they fill the panel."""
    with new_figure(3, 3) as figure:
        ax = figure.subplots()
        draw_hyper(ax, run, "optimiser")

    assert shown_options(run, "optimiser") == list(OPTIONS)
    assert not is_logarithmic(run, "optimiser")
    top_area = ax.collections[-1].get_paths()[0]
    assert np.asarray(top_area.vertices)[:, 1].max() == pytest.approx(1)
    held = [run.history(id)[0].member.hypers["optimiser"] for id in range(8)]
    first = np.asarray(ax.collections[0].get_paths()[0].vertices)
    assert first[first[:, 0] == 0][:, 1].max() == pytest.approx(held.count("adam") / 8)


def test_stairs_have_corners_where_values_change() -> None:
    """The last value holds to the end."""
    line = stairs(np.array([0, 2, 3]), np.array([5.0, 5.0, 7.0]), 4.0)

    assert line.tolist() == [[0, 5], [3, 5], [3, 7], [4, 7]]


def test_the_forest_branches_where_weights_were_copied(run: RunData) -> None:
    """Its edges are the paths of all ends to their starts, each once."""
    found = forest(run.columns)
    columns = run.columns

    assert found.extinct == 0
    assert columns.step[found.starts].tolist() == [0] * 8
    inside = np.concatenate([rows[1:] for rows in found.edges.values()])
    assert len(inside) == len(set(inside)) == len(columns.step) - 8  # all but the starts
    parents = {b: (a, rows) for (a, b), rows in found.edges.items()}
    for end in found.ends:
        way, at = [int(end)], int(end)
        while at in parents:
            at, rows = parents[at]
            way = [*rows[:-1].tolist(), *way]
        slow = _way(run, int(columns.member[end]), int(columns.n[end]))
        assert [(columns.member[r], columns.n[r]) for r in way] == _rows(slow)


def test_a_large_forest_leaves_out_what_died_out(run: RunData) -> None:
    """Every final member is still there, with every branching of its lineages."""
    whole, small = forest(run.columns), forest(run.columns, most=10)

    assert small.ends.tolist() == whole.ends.tolist()
    assert small.extinct > 0
    ways = run.columns.ancestries(run.columns.last())
    kept = {row for way in ways for row in way.tolist()}
    assert set(np.concatenate(list(small.edges.values())).tolist()) == kept
    assert set(small.starts.tolist()) == {int(way[0]) for way in ways}


def test_the_layout_is_the_same_each_time_and_no_two_nodes_are_in_one_place(run: RunData) -> None:
    """Trees do not overlap."""
    trees = forest(run.columns).trees()

    first, second = places(trees), places(trees)

    assert all((first[node] == second[node]).all() for node in first)
    assert len({tuple(place.round(6)) for place in first.values()}) == len(first)
    boxes = [np.array([first[node] for node in tree]) for tree in trees]
    for i, a in enumerate(boxes):
        for b in boxes[:i]:
            apart = (a.min(axis=0) > b.max(axis=0)) | (b.min(axis=0) > a.max(axis=0))
            assert apart.any()


def test_edges_are_coloured_by_score_and_ends_differ_in_shape(run: RunData) -> None:
    """Each piece has the mean of its scores as its colour."""
    with new_figure(4, 4) as figure:
        draw_forest(figure, run, forest(run.columns))

    edges, ends, starts = figure.axes[0].collections
    assert isinstance(edges, LineCollection)
    values = np.asarray(edges.get_array())
    finite = run.columns.score[np.isfinite(run.columns.score)]
    assert values[np.isfinite(values)].max() <= finite.max()
    assert [np.shape(dots.get_offsets()) for dots in (starts, ends)] == [(8, 2), (8, 2)]
    shapes = [np.asarray(dots.get_paths()[0].vertices).tolist() for dots in (starts, ends)]
    assert shapes[0] != shapes[1]


def test_lineages_are_those_of_the_members_at_each_share(
    pair: tuple[RunData, RunData],
) -> None:
    """Each member has a line of what its weights had been trained with by then."""
    run, baseline = pair
    with new_figure(7, 4) as figure:
        draw_lineages(figure, run, baseline)

    axes = np.array(figure.axes).reshape(len(varied(run)), len(SHARES))
    for column, share in enumerate(SHARES):
        step = round(share * 20)
        [lines] = [c for c in axes[0, column].collections if isinstance(c, LineCollection)]
        assert len(lines.get_paths()) == 8
        for id, path in enumerate(lines.get_paths()):
            at_step = [r.member.n for r in run.history(id) if r.member.step == step]
            slow = _way(run, id, at_step[-1])
            trained = {r.member.step: r.member.hypers["rate"] for r in slow}
            corners = np.asarray(path.vertices)
            assert corners[-1, 0] == step
            for (x, y), (end, _) in zip(corners[::2], corners[1::2], strict=True):
                assert all(trained[t] == y for t in range(int(x), int(end)))
        assert len(axes[0, column].get_lines()) == 1  # the baseline's


def test_the_winners_schedule_is_that_of_its_ancestry(pair: tuple[RunData, RunData]) -> None:
    """It includes steps that other members trained."""
    run, baseline = pair
    best = run.best().member
    slow = _way(run, best.id, best.n)

    way = trained_with(run.columns, run.columns.ancestry(run.columns.best()))
    with new_figure(7, 4) as figure:
        draw_winner(figure, run, baseline)

    trained = {r.member.step: r.member.hypers["rate"] for r in slow}
    assert way.end == 20
    assert way.ages.tolist() == list(range(20))
    assert run.columns.hypers["rate"][way.rows].tolist() == [trained[t] for t in range(20)]
    drawn = figure.axes[0].get_lines()[0]
    assert np.asarray(drawn.get_ydata())[-1] == best.score
    assert len({r.member.id for r in slow}) > 1


def test_every_copy_has_a_mark(run: RunData) -> None:
    """It is at its step and the member that copied; bars count the copies of each donor."""
    copies = [r.member for r in _records(run).values() if r.member.parent]
    with new_figure(7, 4) as figure:
        draw_copies(figure, run)

    main, side = figure.axes
    marks = [c for c in main.collections if not isinstance(c, LineCollection)]
    drawn = np.concatenate([np.asarray(dots.get_offsets()) for dots in marks])
    assert sorted(map(tuple, drawn.tolist())) == sorted((me.step, me.id) for me in copies)
    donors = [me.parent[0] for me in copies if me.parent]
    times = {round(bar.get_y() + bar.get_height() / 2): bar.get_width() for bar in _bars(side)}
    assert times == {id: donors.count(id) for id in set(donors)}


def test_improved_counts_each_copy(run: RunData) -> None:
    """A plain loop takes the score some steps later, or before the next copy."""
    records = _records(run)
    copies = [r.member for r in records.values() if r.member.parent]

    found = improved(run)

    for later, share in zip(found.later, found.copies, strict=True):
        better = []
        for me in copies:
            assert me.parent
            following = [c.step for c in copies if c.id == me.id and c.step > me.step]
            then = min([me.step + int(later), *following])
            if then <= 20:
                came = next(r.member for r in run.history(me.id) if r.member.step == then)
                better.append(came.score > records[me.parent].member.score)
        assert share == pytest.approx(np.mean(better))


def test_dominance_counts_founders(run: RunData) -> None:
    """It equals the slow walk, and random donors keep more founders on average."""
    found = dominance(run.columns, run.steps)
    drift, _ = neutral(run.columns, found.steps)

    for step, count, share in zip(found.steps, found.founders, found.largest, strict=True):
        of = []
        for id in range(8):
            last = [r.member.n for r in run.history(id) if r.member.step == step][-1]
            of.append(_way(run, id, last)[0].member.id)
        assert count == len(set(of))
        assert share == max(map(of.count, of)) / 8
    assert (drift[:, 0] == 8).all()
    assert (np.diff(drift, axis=1) <= 0).all()


def test_costs_are_the_seconds_of_the_records(run: RunData) -> None:
    """Only phases that do not overlap are summed."""
    spent = totals(run.columns)

    records = _records(run).values()
    assert spent["step"] == pytest.approx(sum(r.seconds.get("step", 0) for r in records))
    assert sum(spent.values()) == pytest.approx(sum(r.spent for r in records))
    with new_figure(7, 3) as figure:
        draw_costs(figure, [run])
    widths = [bar.get_width() for bar in _bars(figure.axes[1])]
    assert sum(widths) * 60 == pytest.approx(sum(spent.values()))  # in minutes


def test_a_bar_goes_from_the_baseline_to_ours() -> None:
    """It is grey and coloured; if ours is worse, grey and a frame."""
    better, worse = Bar("a", (3.0, 5.0), (2.0, 2.0)), Bar("b", (1.0, 1.0), (2.0, 2.0))
    ax = Figure().subplots()

    draw_bars(ax, Panel("score", [better, worse]))

    spans = [(bar.get_y(), bar.get_y() + bar.get_height()) for bar in _bars(ax)]
    assert spans == [(0, 2), (2, 4), (0, 1), (1, 2)]
    assert not ax.patches[3].get_fill()
    assert [text.get_text() for text in ax.texts] == ["2.0 → 4.0", "2.0 → 1.0"]
    errors = [bar for bar in ax.collections if isinstance(bar, LineCollection)]
    spread = [np.asarray(lines.get_segments()[0])[:, 1].tolist() for lines in errors]
    assert [3.0, 5.0] in spread  # the standard error of 3 and 5 is 1


def test_an_axis_begins_at_0_unless_the_difference_would_be_lost() -> None:
    """It does not begin at 0 for negative scores either."""
    assert bottom([Bar("a", (2.0,), (1.0,))]) == 0
    assert bottom([Bar("a", (100.1,), (100.0,))]) == pytest.approx(99.95)
    assert bottom([Bar("a", (-1.0,), (-2.0,))]) == -2.5
    assert means_as_text(Bar("a", (8.12,), (7.731,))) == "7.73 → 8.12"


def test_seeds_are_one_arm_and_have_one_bar(tmp_path: Path) -> None:
    """The order of the directories does not matter, nor one more seed in an arm."""
    names = [(preset, s) for s in (2, 1, 0) for preset in ("wide", "wide_random_search")]
    paths = [write_run(tmp_path / f"{p}-{s}", preset=p, seed=s, steps=5) for p, s in names[:-1]]
    runs = read_runs(paths)

    [bar] = bars(runs)

    assert [[run.seed for run in arm] for arm in by_arm(runs)] == [[0, 1, 2], [1, 2]]
    wide = sorted((r for r in runs if not r.is_baseline), key=lambda run: run.seed)
    assert bar.ours == tuple(run.best().member.score for run in wide)
    assert len(bar.theirs) == 2
    assert {"seeds_wide", "bars"} <= {drawing.name for drawing in figures(runs)}


def test_a_run_that_copies_no_weights_has_no_phylogeny(tmp_path: Path) -> None:
    """It has no founders that die out either; who copied whom is still drawn."""
    work(open_run(tmp_path / "run", "tests.analysis.synthetic:hypers_only"), durable=False)

    drawn = _rendered(list(figures(read_runs([tmp_path / "run"]))))

    assert "copies_run" in drawn
    assert not {"forest_run", "dominance_run", "improved_run"} & set(drawn)
    assert "A copy takes hypers." in drawn["copies_run"].caption


def test_numbers_that_are_none_have_no_bar(tmp_path: Path) -> None:
    """An arm whose best member has diverged has no number."""
    paths = [
        write_run(tmp_path / "a", steps=2, members=2, diverged={0: 1, 1: 1}),
        write_run(tmp_path / "b", steps=2, members=2, preset="wide_random_search"),
    ]

    [bar] = bars(read_runs(paths))

    assert bar.ours == ()
    assert all(math.isfinite(value) for value in bar.theirs)
    assert _rendered(list(figures(read_runs(paths))))
