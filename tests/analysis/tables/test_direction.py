"""Higher or lower is better: known for the score, and for numbers whose direction is given."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from analysis.__main__ import main
from analysis.data.runs import read_runs
from analysis.figures.bars import Bar, Panel, draw_bars, panels
from analysis.figures.style import PBT
from analysis.tables.ablation import Ablation, ranking
from analysis.tables.arms import arm
from analysis.tables.compare import compare
from analysis.tables.comparison_files import comparison_as_markdown
from tests.analysis.runs import written


def _gaps(panel: Panel) -> list[Rectangle]:
    """Return the upper part of each bar."""
    ax = Figure().subplots()
    draw_bars(ax, panel)
    return [bar for bar in ax.patches if isinstance(bar, Rectangle)][1::2]


@pytest.mark.parametrize(("way", "better"), [(1, 0), (-1, 1)])
def test_a_gap_is_coloured_where_ours_is_better(way: int, better: int) -> None:
    """It is a frame if ours is worse; for lower numbers it is reversed."""
    found = _gaps(
        Panel("", [Bar("a", (2.0, 2.0), (1.0, 1.0)), Bar("b", (1.0, 1.0), (2.0, 2.0))], way)
    )

    assert [gap.get_fill() for gap in found] == [better == 0, better == 1]
    assert to_hex(found[better].get_facecolor()) == PBT
    assert [gap.get_hatch() for gap in found] == [None, None]


def test_a_gap_is_hatched_if_it_is_unknown_what_is_better() -> None:
    """It is hatched whichever is higher."""
    found = _gaps(
        Panel("", [Bar("a", (2.0, 2.0), (1.0, 1.0)), Bar("b", (1.0, 1.0), (2.0, 2.0))], 0)
    )

    looks = {(gap.get_hatch(), to_hex(gap.get_facecolor()), gap.get_fill()) for gap in found}
    assert looks == {("///", "#ffffff", True)}


def test_panels_know_of_the_score_and_of_what_is_named(
    arms: tuple[list[Path], list[Path]],
) -> None:
    """A reported number has no direction until the command line gives one."""
    runs = read_runs([arms[0][0], arms[1][0]])
    [score, *reported] = runs[0].score, *runs[0].columns.report
    last = reported[-1]

    plain, named = panels(runs), panels(runs, [last])

    assert [(panel.label, panel.way) for panel in plain] == [
        (score, 1),
        *((n, 0) for n in reported),
    ]
    assert (named[-1].label, named[-1].way) == (f"{last} (lower is better)", -1)
    assert [panel.bars for panel in named] == [panel.bars for panel in plain]


def _ablation(number: str, *, lower: bool = False) -> Ablation:
    improvements = {
        "high": np.array([3.0, 0.9]),
        "none": np.array([np.nan]),
        "low": np.array([0.5]),
    }
    against = dict.fromkeys(improvements, "search")
    return Ablation((1,), improvements, against, {}, True, number, lower)


def _order(text: str) -> Sequence[str]:
    return [
        line.split("|")[2].strip() for line in text.splitlines() if line[:3].strip("| ").isdigit()
    ]


def test_the_lowest_is_first_where_lower_is_better() -> None:
    """It is counted in how many seeds it is lower; no number is last. Else: the highest first."""
    score, number = ranking(_ablation("selected")), ranking(_ablation("frechet"))
    lower = ranking(_ablation("frechet", lower=True))

    assert _order(score) == _order(number) == ["high", "low", "none"]
    assert _order(lower) == ["low", "high", "none"]
    assert "no run says" not in score + lower
    assert "no run says whether a higher frechet is better" in number
    assert "frechet, lower is better" in lower
    assert "lower in" in lower
    [line] = (line for line in lower.splitlines() if "high |" in line)
    assert " 1 of 1 " in line  # 0.9 is, 3.0 is not


def test_a_comparison_says_of_which_numbers_it_does_not_know() -> None:
    """--lower changes that, and the target is then at most its value."""
    ours, theirs = (arm([written([[1.0, end]], seed=s) for s in (1, 2)]) for end in (2.0, 3.0))

    plain, named = compare(ours, theirs), compare(ours, theirs, lower=["twice"])

    assert "No run says whether a higher twice is better" in comparison_as_markdown(plain)
    assert "The target is at least 3." in comparison_as_markdown(plain)
    said = comparison_as_markdown(named)
    assert "Of twice, lower is better." in said
    assert "The target of twice is at most 6." in said
    assert "No run says" not in said


@pytest.mark.parametrize("command", ["figures", "report"])
def test_a_number_that_no_run_reports_is_refused(
    command: str,
    arms: tuple[list[Path], list[Path]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The message names those that are reported."""
    out = str(tmp_path / "out.html")

    assert main([command, str(arms[0][0]), "--out", out, "--lower", "frechett"]) == 2

    assert "no run reports a number 'frechett'; they report " in capsys.readouterr().err
