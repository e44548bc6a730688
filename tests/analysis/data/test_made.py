"""No result replaces one of other runs, unless it is told to."""

import json
import shutil
from pathlib import Path

import pytest

from analysis.__main__ import main
from analysis.data.made import RECORD
from analysis.figures import catalogue, costs, scores
from core.directory.sealed import seal, unseal
from tests.analysis.runs import run_of
from tests.analysis.synthetic import write_run

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _fewer_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each run its scores and costs: enough to see whether they stay."""
    monkeypatch.setattr(catalogue, "OF_A_RUN", (scores.figure, costs.figure))


def _all(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def same(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Path], dict[str, Path]]:
    """Two sets of runs of the same names and seeds in two folders, which are not the same runs."""
    roots = [tmp_path_factory.mktemp(name) for name in ("first", "second")]
    presets = {"walk": "tests.trainers:walk", "search": "tests.trainers:walk_random_search"}
    first, second = (
        {name: run_of(root / name, preset) for name, preset in presets.items()} for root in roots
    )
    return first, second


def _typed(command: str, runs: dict[str, Path], out: Path) -> list[str]:
    walk, search = map(str, runs.values())
    typed = {
        "compare": ["compare", walk, "--against", search],
        "figures": ["figures", walk, search],
        "members": ["members", walk, search],
        "tables": ["tables", walk, search],
        "report": ["report", walk, search],
    }[command]
    return [*typed, "--out", str(out / "a.html" if command == "report" else out)]


@pytest.mark.parametrize("command", ["compare", "figures", "members", "tables", "report"])
def test_results_of_other_runs_of_the_same_names_stay(
    command: str,
    same: tuple[dict[str, Path], dict[str, Path]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Only the same runs or --overwrite replace them."""
    first, second = (_typed(command, runs, tmp_path / "out") for runs in same)
    assert main(first) == 0
    before = _all(tmp_path)

    assert main(second) == 2

    said = capsys.readouterr().err
    assert _all(tmp_path) == before
    assert f"was made by `{command}` from {same[0]['walk']}" in said
    assert str(same[1]["walk"]) in said
    assert "--overwrite" in said
    assert main(first) == 0
    assert _all(tmp_path).keys() == before.keys()
    assert main([*second, "--overwrite"]) == 0
    assert main(first) == 2


def test_a_run_that_was_moved_is_the_same_run(
    same: tuple[dict[str, Path], dict[str, Path]], tmp_path: Path
) -> None:
    """A copy of its directory makes its results anew."""
    walk = same[0]["walk"]
    shutil.copytree(walk, copy := tmp_path / "elsewhere" / walk.name)

    assert main(["members", str(walk), "--out", str(tmp_path / "out")]) == 0

    assert main(["members", str(copy), "--out", str(tmp_path / "out")]) == 0


def test_more_of_the_same_runs_make_a_result_anew_and_fewer_do_not(
    same: tuple[dict[str, Path], dict[str, Path]], tmp_path: Path
) -> None:
    """A study may grow; a result of more runs is not replaced by one of fewer."""
    walk, search = map(str, same[0].values())
    out = ["--out", str(tmp_path / "out")]
    assert main(["members", walk, *out]) == 0

    assert main(["members", walk, search, *out]) == 0

    assert main(["members", walk, *out]) == 2


def test_the_sides_of_a_comparison_are_not_interchanged(
    same: tuple[dict[str, Path], dict[str, Path]], tmp_path: Path
) -> None:
    """A result with both sides swapped does not replace the first."""
    one, other = (str(runs["walk"]) for runs in same)
    out = ["--out", str(tmp_path / "out")]
    assert main(["compare", one, "--against", other, *out]) == 0

    assert main(["compare", other, "--against", one, *out]) == 2


@pytest.mark.parametrize("command", ["compare", "figures", "members", "tables", "report"])
def test_a_file_that_is_not_ours_stays(
    command: str, same: tuple[dict[str, Path], dict[str, Path]], tmp_path: Path
) -> None:
    """Its runs are unknown, so it stays, and nothing is written beside it."""
    out = tmp_path / "out"
    name = {
        "compare": "walk_against_walk_random_search.csv",
        "figures": "scores_walk.pdf",
        "members": "members.csv",
        "tables": "table_3.tex",
        "report": "a.html",
    }[command]
    out.mkdir()
    (out / name).write_text("mine")

    assert main(_typed(command, same[0], out)) == 2

    assert _all(out) == {name: b"mine"}
    assert main([*_typed(command, same[0], out), "--overwrite"]) == 0
    assert (out / name).read_bytes() != b"mine"


def test_a_report_is_refused_before_its_figures_and_its_figures_before_it(
    same: tuple[dict[str, Path], dict[str, Path]], tmp_path: Path
) -> None:
    """Either both places are written, or neither."""
    first, second = (str(runs["walk"]) for runs in same)
    figures = ["--figures", str(tmp_path / "figures")]
    assert main(["report", first, "--out", str(tmp_path / "a.html"), *figures]) == 0
    before = _all(tmp_path)

    page = main(["report", second, "--out", str(tmp_path / "a.html"), "--figures", f"{tmp_path}/b"])
    drawn = main(["report", second, "--out", str(tmp_path / "b.html"), *figures])

    assert (page, drawn) == (2, 2)
    assert _all(tmp_path) == before


def test_captions_of_other_figures_stay(tmp_path: Path) -> None:
    """What a user wrote there stays too; captions of the same figure are replaced."""
    runs = [write_run(tmp_path / name, members=3, steps=4) for name in ("a", "b")]
    out = tmp_path / "out"
    assert main(["figures", str(runs[0]), "--out", str(out)]) == 0
    captions = out / "captions.md"
    captions.write_text("Mine.\n\n" + captions.read_text().replace("A thin line", "A hair"))

    assert main(["figures", str(runs[1]), "--out", str(out)]) == 0
    other = captions.read_text()
    assert main(["figures", str(runs[0]), "--out", str(out)]) == 0
    again = captions.read_text()

    assert all(text in other for text in ("Mine.", "(scores_a). A hair", "(scores_b). A thin"))
    assert all(text in again for text in ("Mine.", "(scores_a). A thin", "(scores_b). A thin"))
    assert again.count("(scores_a)") == again.count("(scores_b)") == 1


def test_an_ablation_of_another_number_stays_beside_the_first(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its files would have the same names, so it is refused."""
    command = ["ablation", str(study), "--out", str(tmp_path / "out")]
    assert main(command) == 0
    before = _all(tmp_path / "out")

    assert main([*command, "--number", "twice"]) == 2

    assert "was made by `ablation` from" in capsys.readouterr().err
    assert _all(tmp_path / "out") == before
    assert main(command) == 0


def test_an_ablation_of_another_study_stays(study: Path, tmp_path: Path) -> None:
    """It is refused even with the same arms, seeds and numbers."""
    shutil.copytree(study, other := tmp_path / "study")
    for info in other.rglob("run.json"):
        known = unseal(info.read_bytes())
        info.write_bytes(seal(known | {"id": f"another {known['id']}"}))
    out = ["--out", str(tmp_path / "out")]
    assert main(["ablation", str(study), *out]) == 0
    before = _all(tmp_path / "out")

    assert main(["ablation", str(other), *out]) == 2

    assert _all(tmp_path / "out") == before


def test_a_record_that_cannot_be_read_is_as_none(
    same: tuple[dict[str, Path], dict[str, Path]], tmp_path: Path
) -> None:
    """Then the runs of a file are unknown, and it stays."""
    command = ["members", str(same[0]["walk"]), "--out", str(tmp_path)]
    assert main(command) == 0
    for text in ("{", "[]", json.dumps({"members.csv": {"by": "members"}}), "null"):
        (tmp_path / RECORD).write_text(text)

        assert main(command) == 2


@pytest.mark.parametrize("command", ["compare", "figures", "members", "tables", "report"])
def test_a_folder_that_cannot_be_made_is_refused_in_a_sentence(
    command: str,
    same: tuple[dict[str, Path], dict[str, Path]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A file is in its way."""
    (tmp_path / "file").write_text("mine")

    assert main(_typed(command, same[0], tmp_path / "file" / "out")) == 2

    assert "cannot be made" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("name", ["a.pdf", "a", "a.html.gz", ".html"])
def test_a_report_is_html(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another ending is refused before anything is read."""
    assert main(["report", str(tmp_path / "no run"), "--out", str(tmp_path / name)]) == 2

    assert "does not end in .html" in capsys.readouterr().err
