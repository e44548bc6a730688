"""Tables that fit: at 80 and at 55 columns nothing is cut, and what is left out is said."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from core.directory.run import open_run
from core.status.places import shown
from core.status.progress import View
from core.terminal.fitted_table import Column, Picture
from core.terminal.run_table import RunView
from core.workers.worker import work


def drawn(picture: object, width: int, height: int = 40, terminal: bool = False) -> str:
    """Return what is printed on a screen of so many columns."""
    out = io.StringIO()
    console = Console(
        file=out, width=width, height=height, force_terminal=terminal, color_system=None
    )
    console.print(picture)
    return out.getvalue()


def _wide(hypers: int) -> Picture:
    scores = [f"-0.0001234{i}" for i in range(9)]
    names = [f"a_rather_long_name_{i}" for i in range(hypers)]
    return Picture(
        "title",
        (
            Column("step", ["1000/1000"] * 9),
            Column("score", scores),
            *(
                Column(name, [f"0.{i}00{j}" for j in range(9)], kind="hyper")
                for i, name in enumerate(names)
            ),
            Column("copied", ["12 at step 100"] * 9, ["12 at 100"] * 9, kind="more"),
            Column("now", ["training 0:00:12"] * 9, side="left"),
        ),
    )


@pytest.mark.parametrize("width", [80, 55])
@pytest.mark.parametrize("hypers", [0, 3, 12])
def test_step_score_and_state_are_never_cut(width: int, hypers: int) -> None:
    """However many hypers there are; those that are not shown are counted."""
    text = drawn(_wide(hypers), width)

    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for i in range(9):
        assert f"-0.0001234{i}" in text
    assert text.count("1000/1000") == text.count("training 0:00:12") == 9
    shown_hypers = sum(f"0.{i}000" in text for i in range(hypers))
    hidden = hypers - shown_hypers
    assert (f"{hidden} hyperparameter" in text) == (hidden > 0)
    assert "12 at" in text


def test_where_there_is_room_all_is_shown() -> None:
    """With whole words."""
    text = drawn(_wide(4), 200)

    assert "a_rather_long_name_3" in text
    assert "12 at step 100" in text
    assert "not shown" not in text


def test_even_a_sliver_of_a_screen_cuts_nothing() -> None:
    """Cells go over several lines then."""
    assert "…" not in drawn(_wide(3), 20)


def test_on_a_screen_the_sentences_stay_and_rows_go() -> None:
    """And how many rows are hidden is said."""
    columns = (Column("member", [str(i) for i in range(100)]),)

    text = drawn(Picture("title", columns), 55, height=20, terminal=True)

    assert len(text.splitlines()) < 20
    assert "more members are not shown" in text


def test_fixed_hypers_have_no_column_and_names_like_ours_are_told_apart(tmp_path: Path) -> None:
    """A hyper named score beside the score; what is the same for all is said once."""
    run = open_run(tmp_path / "run", "tests.trainers:namesakes")
    work(run, durable=False)

    text = drawn(RunView(View(run.root, run.info)).draw(None), 150)

    assert "score (hyperparameter)" in text
    assert "step (hyperparameter)" in text
    assert "the same for all: batch 64" in text
    assert text.count("batch") == 1
    assert shown(run.root) in text.replace("\n", "")
