"""Figures and tables: drawn from directories alone, and right in what they say."""

from dataclasses import replace
from itertools import islice
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from analysis.__main__ import main
from analysis.data.made import Output
from analysis.data.runs import folders, read_runs
from analysis.figures.catalogue import figures, saved
from analysis.figures.drawing import Drawing
from analysis.figures.samples import pixels
from analysis.figures.scores import draw_run, draw_scores, limits
from analysis.figures.style import new_figure, save
from analysis.figures.toy import PANELS, path
from core.directory.run import RunError, open_run
from tests.analysis.runs import run_of


def test_figures_are_drawn_from_run_directories(
    tmp_path: Path, arms: tuple[list[Path], list[Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    """They are PNG and PDF, with the baseline behind its run."""
    toy = [run_of(tmp_path / name, f"tasks.toy.presets:{name}") for name in PANELS]
    runs = map(str, [*toy, arms[0][0], arms[1][0]])

    assert main(["figures", *runs, "--out", str(tmp_path / "figures")]) == 0

    drawn = {path.name for path in (tmp_path / "figures").iterdir()}
    kinds = ("scores", "forest", "lineages", "schedule", "copies", "dominance", "improved", "costs")
    names = ["figure_2", "bars"]
    names += [f"{kind}_walk-0" for kind in kinds]
    assert drawn == {f"{name}.{kind}" for name in names for kind in ("png", "pdf")} | {
        "captions.md",
        "made-from.json",
    }
    assert all(path.stat().st_size > 3000 for path in (tmp_path / "figures").glob("*.p*"))
    assert capsys.readouterr().out.count("figures/") == 2 * len(names)


def test_the_pdf_keeps_its_text_as_text(
    tmp_path: Path, arms: tuple[list[Path], list[Path]]
) -> None:
    """It embeds TrueType fonts, and has the same bytes each time."""
    runs = read_runs(arms[0][:1])
    first, second = (
        [save(drawn.figure, tmp_path / out, drawn.name)[1] for drawn in islice(figures(runs), 2)]
        for out in ("a", "b")
    )

    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
        assert b"/FontFile2" in one.read_bytes()


def test_the_thick_line_is_the_mean_of_the_five_best_at_each_step(
    arms: tuple[list[Path], list[Path]],
) -> None:
    """It equals a plain loop over the records; each member has a thin line."""
    [run] = read_runs(arms[0][:1])
    with new_figure(4, 3) as figure:
        ax = figure.subplots()
        draw_scores(ax, run, "blue", "run")

    [thick], [thin, band] = ax.get_lines(), ax.collections
    scores: dict[int, list[float]] = {}
    for id in range(5):
        seen: set[int] = set()
        for record in run.history(id):
            me = record.member
            if me.step > 0 and me.step not in seen:
                scores.setdefault(me.step, []).append(me.score)
                seen.add(me.step)
    expected = [np.mean(sorted(scores[step])[-5:]) for step in range(1, 13)]
    assert len(thin.get_paths()) == 5
    assert np.asarray(thick.get_ydata()) == pytest.approx(expected)
    [edge] = band.get_paths()
    assert np.asarray(edge.vertices)[:, 1].max() == pytest.approx(
        max(max(s) for s in scores.values())
    )


def test_a_step_is_reached_before_and_left_after_its_decision(
    arms: tuple[list[Path], list[Path]],
) -> None:
    """Scores are drawn as trained, hypers as decided."""
    [run] = read_runs(arms[0][:1])
    columns = run.columns

    for id in range(5):
        assert columns.step[columns.first_of_step(id)].tolist() == list(range(1, 13))
        assert columns.step[columns.last_of_step(id)].tolist() == list(range(13))
    assert (columns.parent[columns.first_of_step()] < 0).all()
    assert (columns.parent[columns.last_of_step()] >= 0).any()


def test_hypers_are_drawn_where_they_vary(arms: tuple[list[Path], list[Path]]) -> None:
    """Each has a panel beside the scores."""
    ours, theirs = read_runs(arms[0][:1])[0], read_runs(arms[1][:1])[0]
    with new_figure(6, 3) as figure:
        draw_run(figure, ours, theirs)

    assert [ax.get_ylabel() for ax in figure.axes] == ["height (m)", "rate"]


def test_a_baseline_is_known_by_its_settings(arms: tuple[list[Path], list[Path]]) -> None:
    """Task, size and seed are the same, and no member is ever ready."""
    ours, theirs = read_runs(arms[0]), read_runs(arms[1])

    assert theirs[0].is_baseline_of(ours[0])
    assert not theirs[1].is_baseline_of(ours[0])
    assert not ours[0].is_baseline_of(theirs[0])


def test_the_way_of_theta_has_every_update(tmp_path: Path) -> None:
    """These are the start, and eight steps of four updates."""
    [run] = read_runs([run_of(tmp_path / "grid", "tasks.toy.presets:figure_2_grid")])

    way = path(run, 0)

    assert way.shape == (33, 2)
    assert way[-1] == pytest.approx([0.9 * 0.9**32, 0.9])


def test_how_each_member_ended_is_a_csv_file(
    tmp_path: Path, arms: tuple[list[Path], list[Path]]
) -> None:
    """Each member has a row, with hypers and reports."""
    assert main(["members", *map(str, arms[0]), "--out", str(tmp_path)]) == 0

    header, *rows = (tmp_path / "members.csv").read_text().splitlines()
    assert header == "run,seed,member,step,score,rate,twice"
    assert len(rows) == 4 * 5


def test_one_bad_member_does_not_press_all_others_into_a_line(
    arms: tuple[list[Path], list[Path]],
) -> None:
    """The axis leaves out what lies far below."""
    [run] = read_runs(arms[0][:1])
    low, high = limits([run])
    score = run.columns.score.copy()
    score[3] = -1e6
    worse = replace(run, columns=replace(run.columns, score=score))

    assert limits([worse])[0] > low - 2 * (high - low)
    assert limits([worse])[1] == pytest.approx(high, rel=0.5)


def test_figures_of_runs_in_folders_of_one_name_are_told_apart(
    tmp_path: Path, arms: tuple[list[Path], list[Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    """The folder above is in the name; a run that is given twice is refused."""
    runs = read_runs([arms[0][0], run_of(tmp_path / "b" / "walk-0", "tests.trainers:walk", seed=9)])

    assert folders(runs) == [f"{arms[0][0].parent.name}-walk-0", "b-walk-0"]
    assert next(iter(figures(runs))).name.endswith(f"{arms[0][0].parent.name}-walk-0")
    twice = ["figures", str(arms[0][0]), f"{arms[0][0]}/../walk-0", "--out", str(tmp_path)]
    assert main(twice) == 2
    assert "walk-0 is given twice" in capsys.readouterr().err


def test_a_directory_that_is_no_run_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a sentence."""
    assert main(["figures", str(tmp_path), "--out", str(tmp_path)]) == 2
    assert "is not a run directory" in capsys.readouterr().err
    open_run(tmp_path / "empty", "tests.trainers:walk")
    with pytest.raises(RunError, match="no member has published anything yet"):
        read_runs([tmp_path / "empty"])


def test_a_reported_picture_is_read_back() -> None:
    """The grid of samples that the GAN reports: 64 digits of 8x8 pixels, ink on paper."""
    import torch

    from tasks.gan.pictures import grid

    black = torch.ones(64, 1, 8, 8)
    black[9] = -1.0  # the second digit of the second row is blank

    found = pixels(grid(black))

    assert found.shape == (80, 80)
    assert (found[10:20, 10:20] == 255).all()
    assert (found == 0).sum() == 63 * 64


def test_drawing_changes_no_global_style(
    arms: tuple[list[Path], list[Path]], tmp_path: Path
) -> None:
    """A user's own matplotlib settings stay."""
    before = dict(mpl.rcParams)

    drawn = next(iter(figures(read_runs(arms[0][:1]))))
    save(drawn.figure, tmp_path, drawn.name)

    assert dict(mpl.rcParams) == before


def test_a_report_writes_its_figures_as_files_too(
    arms: tuple[list[Path], list[Path]], tmp_path: Path
) -> None:
    """Both commands write the same files."""
    runs = [str(path) for path in (*arms[0][:1], *arms[1][:1])]
    assert main(["figures", *runs, "--out", str(tmp_path / "alone")]) == 0

    page = str(tmp_path / "report.html")
    assert main(["report", *runs, "--out", page, "--figures", str(tmp_path / "both")]) == 0

    alone, both = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("alone", "both")
    )
    assert both.keys() == alone.keys()
    pictures = [name for name in alone if not name.endswith(".pdf")]  # which carry their time
    assert {name: both[name] for name in pictures} == {name: alone[name] for name in pictures}


def test_a_figure_that_cannot_be_written_takes_no_other_with_it(tmp_path: Path) -> None:
    """The figure is named, and captions.md says why."""

    def bad(figure: Figure) -> None:
        raise ValueError("no such projection")

    drawings = [
        Drawing("bad", "bad", "As it is.", (2, 2), bad),
        Drawing("good", "good", "As it is.", (2, 2), lambda figure: None),
    ]

    written = {drawn.name: paths for drawn, paths in saved(drawings, Output(tmp_path))}

    assert written["bad"] == []
    assert [path.name for path in written["good"]] == ["good.png", "good.pdf"]
    captions = (tmp_path / "captions.md").read_text()
    assert "**bad** (bad). It could not be drawn: no such projection" in captions
    assert "**good** (good). As it is." in captions
