"""The paper's numbers stand once, in paper/, for the task and for analysis alike."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from analysis.tables import paper
from tasks.rl import scores

ROOT = Path(__file__).parents[3]
TABLES = json.loads((ROOT / "paper" / "tables.json").read_text(encoding="utf-8"))
HUMAN = json.loads((ROOT / "paper" / "human_scores.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("table", paper.TABLES[:4], ids=lambda table: table.name)
def test_the_tables_of_analysis_are_those_of_the_file(table: paper.PaperTable) -> None:
    """Each number with its ±, in the row and the column where the paper has it."""
    found: dict[str, dict[str, Any]] = {}
    for (row, column), cell in table.cells.items():
        number = cell.paper if cell.spread is None else [cell.paper, cell.spread]
        found.setdefault(row, {})[column] = number

    assert found == TABLES[table.name]["rows"]
    assert list(table.rows) == list(TABLES[table.name]["rows"])


@pytest.mark.parametrize(("arm", "table"), [("FuN", "TABLE_1_FUN"), ("PBT", "TABLE_1_PBT")])
def test_table_1_of_the_task_is_that_of_the_file(arm: str, table: str) -> None:
    """The means, by the number of members and the game."""
    found = {
        f"{game} {arm} {size}": score
        for size, games in getattr(scores, table).items()
        for game, score in games.items()
    }

    rows = TABLES["table_1"]["rows"]
    assert found == {
        f"{game} {column}": cell[0]
        for game, row in rows.items()
        for column, cell in row.items()
        if column.startswith(arm)
    }


@pytest.mark.parametrize(
    ("number", "search", "pbt"), [(2, "UNREAL, N=40", "PBT, N=40"), (3, "A3C", "PBT")]
)
def test_tables_2_and_3_of_the_task_are_those_of_the_file(
    number: int, search: str, pbt: str
) -> None:
    """Random search, then PBT."""
    rows = TABLES[f"table_{number}"]["rows"]

    assert getattr(scores, f"TABLE_{number}") == {
        name: (row[search], row[pbt]) for name, row in rows.items()
    }


def test_scores_of_humans_are_those_of_the_file() -> None:
    """For the task all of them, for analysis those that the paper's tables need."""
    of_task = {
        name: {
            game: {"random": it.random, "human": it.human}
            for game, it in getattr(scores, name.upper()).items()
        }
        for name in HUMAN
    }

    assert of_task == {name: body["scores"] for name, body in HUMAN.items()}
    for name, ours in (("human_starts", paper.HUMAN_STARTS), ("starcraft", paper.GRANDMASTER)):
        assert ours == {
            game: (it["random"], it["human"]) for game, it in HUMAN[name]["scores"].items()
        }


def test_each_number_of_the_paper_has_its_source() -> None:
    """The publication, and what of it."""
    for name, body in (TABLES | HUMAN).items():
        assert "et al. 20" in body["source"], name
        assert body["what"].endswith("."), name


@pytest.mark.parametrize("file", ["analysis/tables/paper.py", "tasks/rl/scores.py"])
def test_no_number_of_the_paper_is_typed_again(file: str) -> None:
    """A decimal number or one of four digits in the code would be a second copy."""
    numbers = [
        node.value
        for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float)
    ]

    assert [number for number in numbers if number != int(number) or number >= 1000] == []
