"""Every figure stands once in the catalogue, with its caption, its size and its condition."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import analysis.figures
from analysis.data.runs import RunData, read_runs
from analysis.figures import catalogue
from analysis.figures.drawing import Drawing
from analysis.figures.toy import PANELS
from analysis.tables.ablation import read_ablation
from tests.analysis.runs import run_of
from tests.analysis.synthetic import write_run

pytestmark = pytest.mark.slow
ENTRIES = (
    *catalogue.INSTEAD,
    *catalogue.OF_A_RUN,
    *catalogue.OF_AN_ARM,
    *catalogue.OF_ALL,
    *catalogue.OF_A_STUDY,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, study: Path) -> dict[Callable[..., Any], Any]:
    """What each entry of the catalogue returns for runs of which there is something to draw."""
    root = tmp_path_factory.mktemp("catalogue")
    toy = [run_of(root / name, f"tasks.toy.presets:{name}") for name in PANELS]
    names = [(preset, seed) for seed in (0, 1) for preset in ("wide", "wide_random_search")]
    paths = [write_run(root / f"{p}-{s}", preset=p, seed=s) for p, s in names]
    pictured = run_of(root / "pictured", "tests.analysis.odd:pictured")
    runs = read_runs([*toy, *paths, pictured])
    ours, theirs = ([r for r in runs if r.name == name] for name in ("wide", "wide_random_search"))
    ablation = read_ablation(study)
    return {
        **{figure: figure(runs, ()) for figure in catalogue.INSTEAD + catalogue.OF_ALL},
        **{figure: figure(ours[0], "it", theirs[0]) for figure in catalogue.OF_A_RUN},
        **{figure: figure(ours, "it", theirs) for figure in catalogue.OF_AN_ARM},
        **{figure: figure(ablation) for figure in catalogue.OF_A_STUDY},
    }


def _name(figure: Any) -> str:
    return f"{figure.__module__.rpartition('.')[2]}.{figure.__name__}"


@pytest.mark.parametrize("figure", ENTRIES, ids=_name)
def test_each_figure_has_a_caption_a_size_and_a_condition(
    figure: Callable[..., Any], made: dict[Callable[..., Any], Any]
) -> None:
    """Its docstring says when it is drawn, and its file says in a sentence what it holds."""
    found: Iterable[Drawing] = [made[figure]] if isinstance(made[figure], Drawing) else made[figure]

    drawings = list(found)

    assert drawings
    for drawing in drawings:
        assert drawing.title
        assert drawing.caption.endswith((".", ").")), drawing.caption
        assert all(2 <= inches <= 10 for inches in drawing.size)
    assert " Drawn " in (figure.__doc__ or ""), "say when it is drawn, and when it is not"
    assert import_module(figure.__module__).__doc__, "say what the file draws"


def test_no_figure_is_listed_twice_or_forgotten(made: dict[Callable[..., Any], Any]) -> None:
    """The catalogue has every function of the folder that returns drawings, and each once."""
    [folder] = analysis.figures.__path__
    functions = [
        (path.stem, name)
        for path in Path(folder).glob("*.py")
        if path.stem not in ("catalogue", "drawing")
        for name, function in vars(import_module(f"analysis.figures.{path.stem}")).items()
        if inspect.isfunction(function)
        and function.__module__ == f"analysis.figures.{path.stem}"
        and "Drawing" in str(function.__annotations__.get("return"))
        and not name.startswith("_")
    ]

    listed = [tuple(_name(figure).split(".")) for figure in ENTRIES]

    assert sorted(listed) == sorted(functions)
    names = [
        drawing.name
        for found in made.values()
        for drawing in ([found] if isinstance(found, Drawing) else found)
    ]
    assert len(names) == len(set(names))


def test_a_run_that_a_figure_shows_instead_has_no_other(tmp_path: Path) -> None:
    """The toy's panels are figure 2; a run beside them has its own figures."""
    toy = [run_of(tmp_path / name, f"tasks.toy.presets:{name}") for name in PANELS]
    runs = read_runs([*toy, write_run(tmp_path / "wide")])

    drawn = list(catalogue.figures(runs))

    first, *rest = drawn
    assert (first.name, _names(first.runs)) == ("figure_2", list(PANELS))
    assert rest
    assert all(_names(drawing.runs) == ["wide"] for drawing in rest)


def _names(runs: Sequence[RunData]) -> list[str]:
    return [run.name for run in runs]
