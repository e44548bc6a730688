"""Names of users beside ours: none replaces another, in any table, page, figure or folder."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from analysis.__main__ import main
from analysis.data.names import file_names, numbered, told_apart
from analysis.data.numbers import OWN as NUMBERS
from analysis.data.numbers import label, of_report
from analysis.figures import catalogue
from analysis.figures.ablation import draw_axes
from analysis.figures.bars import labels, panels
from analysis.figures.hypers import called
from analysis.report.evidence import Evidence
from analysis.report.lineage_data import packed_lineage
from analysis.report.page import page
from analysis.tables.ablation import Ablation, interaction, study_as_json
from analysis.tables.arms import Arm, arm
from analysis.tables.compare import compare
from analysis.tables.comparison_files import comparison_as_csv, comparison_as_markdown
from analysis.tables.members import OWN
from analysis.tables.members import members_as_csv as members
from analysis.tables.tabular import Table, markdown
from core.directory.settings_file import Settings
from core.member import Hypers, Value
from tests.analysis.runs import Written, run_of, written
from tests.analysis.synthetic import write_run

WORDS = st.sampled_from(["score", "peak", "area", "x", "(reported)", "“", "”", ", ", " "])
NAMES = st.lists(WORDS, min_size=1, max_size=5).map("".join)


def _saying(
    run: Written, report: dict[str, float], hypers: dict[str, Value] | None = None
) -> Written:
    """Return the run with another report, and other hypers, in each record."""
    found = run.having(
        [
            [
                replace(
                    record,
                    report=report if record.member.step else {},
                    member=replace(record.member, hypers=hypers or record.member.hypers),
                )
                for record in history
            ]
            for history in run.histories
        ]
    )
    space = {"priors": {name: {"is": "core:Uniform"} for name in hypers or {"rate": 0}}}
    task = dict(run.settings["task"]) | {"space": space}  # type: ignore[call-overload]
    return replace(found, settings=Settings(dict(run.settings) | {"task": task}))


@given(st.lists(NAMES, unique=True, max_size=8), st.lists(NAMES, max_size=4))
def test_names_are_told_apart(names: list[str], taken: list[str]) -> None:
    """They differ from each other and from those taken; a name that is unique stays as it is."""
    found = told_apart(names, taken, "reported")

    assert list(found) == names
    assert len({*found.values(), *taken}) == len(names) + len(set(taken))
    assert all(found[name] == name for name in names if name not in taken)


@given(st.lists(NAMES, max_size=8))
def test_columns_and_files_of_one_name_are_numbered(names: list[str]) -> None:
    """Files are numbered even if they differ only in capital letters."""
    found, files = numbered(names), file_names([*names, *map(str.upper, names)])

    assert len(set(found)) == len(names)
    assert all(a == b for a, b in zip(found, names, strict=True) if names.count(b) == 1)
    assert len({name.casefold() for name in files}) == 2 * len(names)


def test_a_name_that_is_too_long_for_a_file_is_cut() -> None:
    """It is cut by bytes, and names still differ."""
    found = file_names(["é" * 300 + "a", "é" * 300 + "b"])

    assert found[0] != found[1]
    assert all(len(name.encode()) < 200 for name in found)


def test_a_name_of_two_lines_does_not_end_a_row() -> None:
    """A table in Markdown keeps it in one cell."""
    text = markdown(Table("", ["a\nb", "c"], [["d", "e\r\nf"]]))

    assert text.splitlines() == ["| a b | c |", "| --- | ---: |", "| d | e f |"]


@given(st.lists(NAMES, unique=True, min_size=2, max_size=6))
def test_a_reported_number_is_never_called_as_one_of_ours(names: list[str]) -> None:
    """It is not called like another's top five, area or peak either."""
    found = [label(name) for name in names]
    found += [of_report(own, name) for own in NUMBERS for name in names]

    assert len({*found, *NUMBERS}) == len(found) + len(NUMBERS)


def test_members_keeps_the_score_of_a_run_whose_report_has_one() -> None:
    """It keeps hyperparameters of these names too."""
    odd: dict[str, float] = dict.fromkeys((*OWN, "rate", "score (reported)"), -1.0)
    run = _saying(written([[5.0], [7.0]]), odd, {"rate": 0.5, "seed": 0.25})

    rows = list(csv.DictReader(io.StringIO(members([run]))))

    assert [row["score"] for row in rows] == ["5.0", "7.0"]
    assert [row["step"] for row in rows] == ["1", "1"]
    assert [row["run"] for row in rows] == ["run-0", "run-0"]
    assert {row["seed"] for row in rows} == {"0"}
    assert {row["seed (hyperparameter)"] for row in rows} == {"0.25"}
    assert {row["rate"] for row in rows} == {"0.5"}
    assert {row["rate (reported)"] for row in rows} == {"-1.0"}
    assert {row["score (reported)"] for row in rows} == {"-1.0"}
    assert len(rows[0]) == len(OWN) + 2 + len(odd)


def _arms(report: dict[str, float], names: tuple[str, str] = ("a", "b")) -> tuple[Arm, Arm]:
    return tuple(  # type: ignore[return-value]
        replace(arm([_saying(written([[1.0, end]], seed=s), report) for s in (1, 2)]), name=name)
        for end, name in zip((3.0, 2.0), names, strict=True)
    )


def test_a_comparison_keeps_its_own_numbers_beside_a_report_of_the_same_names() -> None:
    """Each row has a name of its own, and the numbers that belong to it."""
    report = {"selected": 100.0, "top five": 3.0, "x": 4.0, "area, x": 5.0, "a,b": 6.0}
    ours, theirs = _arms(report)

    found = compare(ours, theirs, held_out=list(report))

    rows = {row.name: row.means[0] for row in found.rows}
    assert len(rows) == len(found.rows)
    assert rows["selected"] == 3.0
    assert rows["selected (reported)"] == 100.0
    assert rows["top five"] == 3.0
    assert rows["area, x"] == 4.0
    assert rows["“area, x” (reported)"] == 5.0
    assert rows["top five, “area, x” (reported)"] == 5.0
    assert "| selected (reported), a |" in comparison_as_markdown(found)


def test_the_columns_of_a_comparison_have_names_of_their_own() -> None:
    """They differ even if number and arm together read like another pair."""
    ours, theirs = _arms({"x": 1.0, "x of b": 2.0}, ("c", "b of c"))

    header, *_ = csv.reader(io.StringIO(comparison_as_csv(ours, theirs, compare(ours, theirs))))

    assert len(set(header)) == len(header)


def test_a_number_with_a_comma_is_missed_where_one_arm_lacks_it() -> None:
    """The text names it like any other number."""
    ours, theirs = _arms({"a, b": 1.0})[0], _arms({})[1]

    assert "Only one arm has a, b." in compare(ours, theirs).notes


def test_a_hyperparameter_and_a_report_named_as_the_score_have_axes_of_their_own() -> None:
    """This holds in the figures of a run and in the bars."""
    runs = [
        _saying(written([[1.0]], seed=0), {"height (m)": 1.0}, {"height (m)": 0.5, "rate": 0.1}),
    ]
    rules = dict(runs[0].settings) | {"ready": "mine:rule"}
    pbt = replace(runs[0], settings=Settings(rules), path=Path("pbt"))

    assert called(runs[0], "height (m)") == "height (m) (hyperparameter)"
    assert called(runs[0], "rate") == "rate"
    drawn = [panel.label for panel in panels([pbt, *runs])]
    assert drawn == ["height (m)", "height (m) (reported)"]


def test_arms_whose_names_are_the_same_have_labels_of_their_own(tmp_path: Path) -> None:
    """They differ even if the folder of one run has the name of another's preset."""
    runs = [
        replace(written([[1.0]], preset=preset, steps=n), path=Path(path))
        for preset, path, n in (("m:a", "x/b", 1), ("m:a", "x/c", 2), ("m:b", "x/d", 3))
    ]

    assert len(set(labels([[run] for run in runs]))) == 3


def _study(levels: dict[str, dict[str, Any]]) -> Ablation:
    values = {arm: np.array([1.0 + i, 2.0]) for i, arm in enumerate(levels)}
    return Ablation((1, 2), values, dict.fromkeys(levels, "search"), levels, False, "selected")


def test_axes_of_a_study_may_have_any_name() -> None:
    """It may be `self`, or the title of the panel for other arms."""
    levels = {f"{a}{b}": {"self": a, "other arms": b} for a in ("x", "y") for b in (1.0, 2.0)} | {
        "alone": {}
    }
    study = _study(levels)

    draw_axes(figure := Figure(), study)

    assert study.having({"self": "x"}) == ["x1.0", "x2.0"]
    assert np.isfinite(interaction(study, "self", "other arms")[0]).all()
    titles = [ax.get_title("left") for ax in figure.axes]
    assert titles == ["(a) self", "(b) other arms", "(c) other arms"]
    assert [len(ax.patches) for ax in figure.axes] == [2, 2, 1]


def test_levels_that_read_the_same_are_bars_of_their_own() -> None:
    """A text is no number, and two numbers may differ in the seventh digit."""
    study = _study({"a": {"x": 1.0}, "b": {"x": "1"}, "c": {"y": 0.1234567}, "d": {"y": 0.1234568}})

    draw_axes(figure := Figure(), study)

    names = [[text.get_text() for text in ax.get_xticklabels()] for ax in figure.axes]
    assert names == [["1.0", "'1'"], ["0.1234567", "0.1234568"]]


def test_two_pairs_of_axes_do_not_share_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`a_b` with `c`, and `a` with `b_c`, have two files."""
    axes = ("a_b", "c", "a", "b_c")
    arms = [dict(zip(axes, (i, j, i, j), strict=True)) for i in "xy" for j in "xy"]
    study = _study({str(i): at for i, at in enumerate(arms)})
    monkeypatch.setattr("analysis.tables.ablation.read_ablation", lambda *_, **__: study)
    monkeypatch.setattr(catalogue, "save", lambda figure, out, name: [out / name])

    assert main(["ablation", str(tmp_path), "--out", str(tmp_path / "out")]) == 0

    made = json.loads((tmp_path / "out" / "made-from.json").read_text())
    assert {"interaction_a_b_c.png", "interaction_a_b_c_2.png"} < made.keys()
    assert len([name for name in made if name.endswith(".png")]) == 1 + 6


def test_an_ablation_of_a_report_named_selected_says_so() -> None:
    """The score of that name is another number."""
    study = replace(_study({"a": {}}), number=label("selected"), asked="selected")

    assert study.said == "selected (reported)"
    assert json.loads(study_as_json(study))["number"] == "selected (reported)"


def _evidence(run: Written, path: str = "run") -> Evidence:
    return Evidence(replace(run, path=Path(path), origin={"began": ""}), [], [])


ODD = ("score", "copied", "dropped", "before", "decision", "height (m)", "state", "step", "10")


def test_a_page_tells_hyperparameters_from_its_own_columns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """This holds in the table of members and in the lineage."""
    monkeypatch.setattr("analysis.report.page.figures", lambda runs, lower: iter(()))
    hypers: dict[str, Value] = dict.fromkeys(ODD, 0.5)
    run = _saying(written([[1.0], [2.0]], steps=1), {}, hypers)

    text = page([_evidence(run)])

    for name in ("score", "state", "step"):
        assert text.count(f">{name} (hyperparameter)</button>") == 1
    assert text.count(">copied (hyperparameter)</button>") == 1
    said = [hyper["name"] for hyper in packed_lineage(run)["hypers"]]  # type: ignore[attr-defined]
    ours = {"height (m)", "copied", "dropped", "before", "decision"}
    assert not ours & set(said)
    assert len(set(said)) == len(ODD)


def test_runs_of_one_preset_and_seed_are_told_apart_on_a_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The page names their folders."""
    monkeypatch.setattr("analysis.report.page.figures", lambda runs, lower: iter(()))
    runs = [written([[1.0]], steps=steps) for steps in (1, 2)]

    text = page([_evidence(run, f"at/{name}") for run, name in zip(runs, "xy", strict=True)])

    assert ">walk, seed 0 (x)</option>" in text
    assert ">walk, seed 0 (y)</option>" in text


def test_an_arm_without_baseline_is_missed_though_another_begins_with_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`walk` has none, `walk_2` has."""
    monkeypatch.setattr("analysis.report.page.figures", lambda runs, lower: iter(()))

    def pbt(name: str, trainer: str) -> Written:
        run = written([[1.0]], preset=f"tests.trainers:{name}", trainer=trainer)
        rules = {"ready": {"is": "core:Every", "steps": 1}}
        return replace(run, settings=Settings(dict(run.settings) | rules))

    search = written([[1.0]], preset="tests.trainers:search", trainer="b")

    text = page(
        [
            _evidence(pbt("walk", "a"), "1"),
            _evidence(pbt("walk_2", "b"), "2"),
            _evidence(search, "3"),
        ]
    )

    assert "walk has no baseline here" in text
    assert "walk_2 has no baseline here" not in text


def _draw(rng: np.random.Generator) -> Hypers:
    return {"rate": float(rng.uniform()), "10": float(rng.uniform()), "constructor": 1.0}


@pytest.mark.browser
def test_a_page_shows_hypers_with_names_of_digits_and_of_javascript(
    opened: Any, tmp_path: Path
) -> None:
    """Each name stands beside its own values."""
    root = write_run(tmp_path / "run", preset="m:odd", draw=_draw)
    assert main(["report", str(root), "--out", str(tmp_path / "a.html")]) == 0
    shown = opened(tmp_path / "a.html")

    row = shown.evaluate("Number(report.run.copies[0])")
    shown.evaluate("row => report.select(row)", row)

    panel = shown.locator(".panel")
    names = panel.locator("dl").first.locator("dt").all_text_contents()
    assert names[1:4] == ["rate", "10", "constructor"]
    values = panel.locator("dl").first.locator("dd").all_text_contents()
    hypers = shown.evaluate("row => report.describe(row).hypers", row)
    assert values[1].startswith(f"{hypers['rate']:.3g}"[:4])
    assert values[2].startswith(f"{hypers['10']:.3g}"[:4])
    assert "constructor" not in panel.locator("ol").text_content()
    assert "native code" not in panel.text_content()


def test_a_run_whose_report_is_named_as_our_columns_keeps_them(tmp_path: Path) -> None:
    """This holds for every command that makes a table."""
    root = run_of(tmp_path / "run", "tests.analysis.odd:says")

    assert main(["members", str(root), "--out", str(tmp_path / "out")]) == 0

    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "members.csv").read_text())))
    assert all(float(row["score"]) < 100 < float(row["score (reported)"]) for row in rows)
