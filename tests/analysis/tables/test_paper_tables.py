"""The paper's tables: its numbers give what it says of them, and ours fill the right cells."""

import csv
import io
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from analysis.__main__ import main
from analysis.data.runs import RunData, read_runs
from analysis.tables.paper import GRANDMASTER, HUMAN_STARTS, TABLES, PaperTable, mean_normalised
from analysis.tables.paper_tables import by_preset, derive, fill, lay_out, sizes
from analysis.tables.tabular import Table, escape, fitting, latex, markdown, show
from core.directory.run import resolve
from tests.analysis.runs import run_of, written
from tests.run_files import rewrite

PDFLATEX = shutil.which("pdflatex") and all(
    subprocess.run(["kpsewhich", f"{package}.sty"], capture_output=True).returncode == 0
    for package in ("booktabs", "graphicx")
)
BY_NAME = {table.name: table for table in TABLES}


def _paper(table: PaperTable, derived: str, column: str) -> float:
    row = next(row for row in table.derived if row.name.startswith(derived))
    numbers = {at: cell.paper for at, cell in table.cells.items() if cell.paper is not None}
    found = derive(table, row, numbers, column)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("size", "fun", "pbt", "ratio"),
    [
        (10, 1.281, 1.290, 0.986),
        (20, 1.265, 1.533, 1.209),
        (40, 1.401, 1.650, 1.233),
        (80, 1.473, 1.806, 1.299),
    ],
)
def test_table_1_gives_figure_3_and_figure_5a(
    size: int, fun: float, pbt: float, ratio: float
) -> None:
    """147 and 181 % of a human with human starts, and 0.99, 1.21, 1.23, 1.30."""
    table = BY_NAME["table_1"]

    assert _paper(table, "normalised", f"FuN {size}") == pytest.approx(fun, abs=5e-4)
    assert _paper(table, "normalised", f"PBT {size}") == pytest.approx(pbt, abs=5e-4)
    assert _paper(table, "ratio", f"PBT {size}") == pytest.approx(ratio, abs=5e-4)


def test_table_2_gives_figure_5c() -> None:
    """Means, medians and mean ratios; 0.75 of figure 5c is the ratio of means instead."""
    table = BY_NAME["table_2"]

    assert _paper(table, "mean", "UNREAL, N=40") == pytest.approx(134.6, abs=0.05)
    assert _paper(table, "median", "UNREAL, N=40") == 92.7
    assert _paper(table, "median", "PBT, N=40") == 115.3
    columns = ("PBT, N=40", "hypers only, N=20", "weights only, N=20", "PBT, N=20")
    ratios = [_paper(table, "ratio", column) for column in columns]
    assert ratios == pytest.approx([1.151, 0.773, 1.046, 1.217], abs=5e-4)
    means = [table.derived[0].of(_column(table, c), {}) for c in (columns[1], "UNREAL, N=20")]
    assert means[0] / means[1] == pytest.approx(0.754, abs=5e-4)
    assert _paper(table, "mean", "PBT, N=40") == pytest.approx(149.9, abs=0.05)


def _column(table: PaperTable, column: str) -> dict[str, float]:
    return {
        row: cell.paper
        for (row, other), cell in table.cells.items()
        if other == column and cell.paper is not None
    }


def test_table_3_gives_nearly_what_the_paper_says() -> None:
    """0.388 and 0.421 of a grandmaster, where it has 0.36 and 0.39, of nearly the same ratio."""
    table = BY_NAME["table_3"]

    assert mean_normalised(_column(table, "A3C"), GRANDMASTER) == pytest.approx(0.388, abs=1e-3)
    assert _paper(table, "ratio", "PBT") == pytest.approx(0.39 / 0.36, abs=0.005)


def test_table_4_gives_figure_5b() -> None:
    """Tournament 1.05, truncation 1.08."""
    table = BY_NAME["table_4"]

    assert _paper(table, "ratio", "PBT-GAN (BT)") == pytest.approx(1.05, abs=5e-3)
    assert _paper(table, "ratio", "PBT-GAN (TS)") == pytest.approx(1.08, abs=5e-3)


def test_a_normalised_score_is_as_by_hand() -> None:
    """Amidar of N = 80: (3018 - 11.8) / (1540.4 - 11.8)."""
    assert mean_normalised({"amidar": 3018}, HUMAN_STARTS) == pytest.approx(1.9666, abs=1e-4)


def test_every_preset_has_one_place_and_is_of_its_size() -> None:
    """No run fills two cells of one number, and each cell has a preset."""
    for table in TABLES:
        places = [(cell.preset, cell.number) for cell in table.cells.values()]
        assert len(places) == len(set(places)), table.name
    sizes = {cell.preset: cell.members for table in TABLES for cell in table.cells.values()}
    assert {
        "tasks.rl.presets:table_1[amidar-10]",
        "tasks.rl.presets:figure_5c[lt_horse_shoe_color-hypers]",
        "tasks.gan.presets:digits_table_4[tournament]",
    } < set(sizes)
    for preset, members in sizes.items():
        assert resolve(preset).members == members, preset


def test_what_means_nothing_for_ours_is_left_empty() -> None:
    """The paper's table 2 is in percent of humans, which ours cannot be."""
    table = BY_NAME["table_2"]
    presets = [cell.preset for cell in table.cells.values()]
    runs = [
        written([[3.0 if "-random_search" in preset else 6.0]], preset=preset) for preset in presets
    ]

    laid = lay_out(table, fill(table, by_preset(runs)[0]))

    below = {row[0]: laid.rows[i + 1][2:] for i, row in enumerate(laid.rows) if row[0]}
    assert "–" not in below["seekavoid_arena_01"][:2]
    for name in ("mean", "median", "ratio (figure 5c)"):
        assert set(below[name]) == {"–"}


def _gan(preset: str, scores: list[float], held_out: list[float], seed: int = 0) -> RunData:
    """Return a run of one step, whose members have these scores and held-out numbers."""
    run = written([[score] for score in scores], seed=seed, preset=f"tasks.gan.presets:{preset}")
    histories = [
        [history[0], replace(history[1], report={"held_out": number})]
        for history, number in zip(run.histories, held_out, strict=True)
    ]
    return run.having(histories)


def test_ours_fill_the_cells_of_their_presets() -> None:
    """Mean, deviation and number of seeds; the last row is the greatest of all that reported."""
    runs = [
        _gan("table_4_truncation", [6.0, 7.0], [9.0, 5.0], seed=0),
        _gan("table_4_truncation", [8.0, 7.0], [6.0, 5.0], seed=1),
        _gan("table_4_baseline", [6.0, 5.0], [5.0, 5.0]),
    ]
    table = BY_NAME["table_4"]

    arms, notes = by_preset(runs)
    filled = fill(table, arms)
    laid = lay_out(table, filled)

    assert not notes
    assert {column for _, column in filled} == {"GAN", "PBT-GAN (TS)"}
    by_name = {row[0] or f"ours of {laid.rows[i - 1][0]}": row for i, row in enumerate(laid.rows)}
    assert by_name["CIFAR Inception"][2:] == ["6.38 ± 0.03", "6.80 ± 0.01", "6.77 ± 0.02"]
    assert by_name["ours of CIFAR Inception"][2:] == ["6 (1)", "7.5 ± 0.71 (2)", "–"]
    name = "ours of ImageNet Inception (by CIFAR)"
    assert by_name[name][2:] == ["5 (1)", "5.5 ± 0.71 (2)", "–"]
    name = "ours of ImageNet Inception (peak)"
    assert by_name[name][2:] == ["5 (1)", "7.5 ± 2.1 (2)", "–"]
    assert by_name["ours of ratio of peaks (figure 5b)"][2:] == ["–", "1.5", "–"]
    assert sizes(table, filled)[0].endswith("has 2 members, where 45 belong.")


def test_a_number_that_the_cell_needs_and_the_run_has_not_is_named() -> None:
    """The error comes before any table is written."""
    run = written([[1.0]], preset="tasks.gan.presets:table_4_baseline")

    with pytest.raises(ValueError, match=r"have no 'held_out' for the table; .*: twice"):
        fill(BY_NAME["table_4"], by_preset([run])[0])


def test_without_runs_our_cells_are_dashes() -> None:
    """No cell of ours has a number."""
    for table in TABLES:
        laid = lay_out(table, {})

        for row in laid.rows:
            assert row[1] == "paper" or set(row[2:]) == {"–"}


def test_a_run_directory_fills_its_cell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The preset in its run.json decides; other runs are reported as left out."""
    root = run_of(tmp_path / "run", "tests.trainers:walk")
    rewrite(root, {"preset": "tasks.rl.presets:table_3[BuildMarines]"})
    other = run_of(tmp_path / "other", "tests.trainers:walk")
    [run] = read_runs([root])

    assert main(["tables", str(root), str(other), "--out", str(tmp_path / "out")]) == 0

    said = capsys.readouterr().out
    assert f"Left out: {other}; no cell is of the preset tests.trainers:walk." in said
    assert "NOT OF THIS SIZE: ours of tasks.rl.presets:table_3[BuildMarines] has 5 members" in said
    with (tmp_path / "out/table_3.csv").open() as file:
        rows = list(csv.DictReader(file))
    filled = [row for row in rows if row["ours"]]
    assert [(row["row"], row["column"], row["seeds"]) for row in filled] == [
        ("BuildMarines", "PBT", "1")
    ]
    assert float(filled[0]["ours"]) == pytest.approx(run.best().member.score, rel=1e-5)
    assert filled[0]["paper"] == "0.37"
    for table in TABLES:
        for kind in ("md", "csv", "tex"):
            assert (tmp_path / f"out/{table.name}.{kind}").stat().st_size > 300


def test_unfinished_runs_are_left_out_and_said() -> None:
    """Only finished runs fill a cell."""
    run = written([[1.0, 2.0], [1.0]], preset="tasks.gan.presets:digits_table_4[fixed]")

    arms, notes = by_preset([run])

    assert not arms
    assert notes == ["Left out: run-0 is not done: 3 of 4 steps."]


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_a_terminal_shows_every_number(width: int) -> None:
    """A narrow one shows several parts, with nothing cut and no line too long."""
    for paper in TABLES:
        text = io.StringIO()
        table = lay_out(paper, {})

        show([table], Console(file=text, width=width))

        said = text.getvalue()
        assert all(len(line) <= width for line in said.splitlines())
        lines = [line.split() for line in said.splitlines()]
        shown = [word for line in lines for word in line]
        for row in table.rows:
            for word in " ".join(row).split():
                assert word in shown
        for part in fitting(table, width):
            ends = [" ".join(row[place] for place in part).split() for row in table.rows]
            assert all(end in lines for end in ends)
    sizes = {60: [2, 2, 2, 2], 80: [4, 4], 120: [4, 4], 200: [8]}
    parts = fitting(lay_out(BY_NAME["table_1"], {}), width)
    assert [len(part) - 2 for part in parts] == sizes[width]


def test_special_characters_are_escaped() -> None:
    """These are LaTeX's, and the bar of Markdown."""
    assert escape("50 % of a_b & c") == r"50 \% of a\_b \& c"
    assert escape(r"\ ~ ^ # $ { }") == (
        r"\textbackslash{} \textasciitilde{} \textasciicircum{} \# \$ \{ \}"
    )
    assert escape("1 ± 2 – 3") == r"1 $\pm$ 2 -- 3"
    assert r"a\|b" in markdown(Table("", ["a|b"], [["c"]]))


ODD = Table(
    r"50% of a_b & {c}, #1: \ ~ ^ $ | < > ± → ≥ θ − –",
    ["an_arm of more words than a line holds", "x & y", "#1 [2]"],
    [["a_b", "50%", "x & y"], ["[1, 2]", "#1", "1 ± 2"], ["*", "{", "}"], ["\\", "$", "|"]],
    groups=[1],
)


def test_the_latex_is_well_formed() -> None:
    """Every brace closed, every environment ended, as many cells as columns, nothing unescaped."""
    for table, label in [(ODD, "tab:odd")] + [(lay_out(t, {}), f"tab:{t.name}") for t in TABLES]:
        text = latex(table, label).partition("\n")[2]  # what it needs is said in a comment

        head = text.replace("{!}{%", "{!}{").replace(r"[r]{", "{")
        bare = re.sub(r"\\[\\{}%&#_$]", lambda m: "\\\\" if m[0] == r"\\" else "", head)
        open_ends = []
        for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", bare):
            if kind == "begin":
                open_ends.append(name)
            else:
                assert open_ends.pop() == name
        assert not open_ends
        assert bare.count("{") == bare.count("}")
        assert not re.search(r"[%#^~]", bare)
        assert bare.count("$") % 2 == 0
        assert bare.replace("tab:" + label[4:], "").count("_") == 0
        assert text.isascii()
        columns = re.search(r"\\begin\{tabular\}\{([lr]+)\}", text)
        assert columns is not None
        body = bare.partition("\\toprule")[2].partition("\\bottomrule")[0]
        lines = [line for line in body.splitlines() if line and not line.startswith("\\midrule")]
        assert len(lines) == len(table.rows) + 1
        for line in lines:
            assert line.endswith("\\\\")
            assert line.count("&") == len(columns[1]) - 1
            assert not line.startswith(("[", "*"))  # which the \\ before it would take as its own


@pytest.mark.skipif(not PDFLATEX, reason="there is no pdflatex with booktabs and graphicx")
def test_the_latex_compiles_and_keeps_to_the_width_of_the_page(tmp_path: Path) -> None:
    """Each table with all cells filled, and one of nothing but special characters."""
    tables = [lay_out(paper, {}) for paper in TABLES]
    for number, table in enumerate([*tables, ODD]):
        rows = [["12345 ± 6789 (10)" if c == "–" else c for c in row] for row in table.rows]
        text = latex(replace(table, rows=rows), f"tab:{number}")
        (tmp_path / f"{number}.tex").write_text(text)
    inputs = "".join(rf"\input{{{number}}}" for number in range(len(tables) + 1))
    packages = r"\documentclass{article}\usepackage{booktabs, graphicx}"
    (tmp_path / "all.tex").write_text(rf"{packages}\begin{{document}}{inputs}\end{{document}}")

    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)

    assert done.returncode == 0, done.stdout
    assert "Overfull" not in done.stdout
    assert "Missing character" not in (tmp_path / "all.log").read_text(errors="replace")
