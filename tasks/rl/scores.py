"""Scores as the paper reports them: human-normalised, (score - random) / (human - random)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.rl.environments.batch import choose

PAPER = Path(__file__).parents[2] / "paper"  # the numbers, each with its source


@dataclass(frozen=True, slots=True)
class Reference:
    """What a random policy and a human get: 0 and 1 of the normalised score."""

    random: float
    human: float

    def normalised(self, score: float) -> float:
        """Return the human-normalised score, 1 for the human's."""
        return (score - self.random) / (self.human - self.random)


def _references(name: str) -> dict[str, Reference]:
    body = json.loads((PAPER / "human_scores.json").read_text(encoding="utf-8"))
    return {game: Reference(**scores) for game, scores in body[name]["scores"].items()}


HUMAN_STARTS: Mapping[str, Reference] = _references("human_starts")
NO_OP_STARTS: Mapping[str, Reference] = _references("no_op_starts")
DMLAB_30: Mapping[str, Reference] = _references("dmlab_30")
STARCRAFT: Mapping[str, Reference] = _references("starcraft")  # human: a grandmaster


def normalised(scores: Mapping[str, float], table: Mapping[str, Reference]) -> dict[str, float]:
    """Return the human-normalised score of each game.

    Raises:
        ValueError: a game that the table does not have, with the nearest one.
    """
    return {
        game: table[choose(game, table, "game of this table")].normalised(score)
        for game, score in scores.items()
    }


def mean(values: Mapping[str, float], cap: float | None = None) -> float:
    """Return the mean over games; with a `cap`, none counts for more than that.

    Raises:
        ValueError: no game.
    """
    if not values:
        raise ValueError("a mean needs the score of at least one game")
    counted = [value if cap is None else min(value, cap) for value in values.values()]
    return sum(counted) / len(counted)


def _table(number: int) -> dict[str, dict[str, Any]]:
    """Return a table of the paper, by row and column."""
    body = json.loads((PAPER / "tables.json").read_text(encoding="utf-8"))
    return body[f"table_{number}"]["rows"]  # type: ignore[no-any-return]


def _table_1(arm: str) -> dict[int, dict[str, float]]:
    """Return the mean scores of an arm, by the number of members and the game."""
    rows = _table(1)
    sizes = [int(column.split()[1]) for column in rows["amidar"] if column.startswith(arm)]
    return {size: {game: row[f"{arm} {size}"][0] for game, row in rows.items()} for size in sizes}


def _pairs(number: int, search: str, pbt: str) -> dict[str, tuple[float, float]]:
    """Return the scores of random search and of PBT, by the rows of a table."""
    return {name: (row[search], row[pbt]) for name, row in _table(number).items()}


TABLE_1_FUN: Mapping[int, Mapping[str, float]] = _table_1("FuN")
TABLE_1_PBT: Mapping[int, Mapping[str, float]] = _table_1("PBT")
# in percent of a human's score, N = 40
TABLE_2: Mapping[str, tuple[float, float]] = _pairs(2, "UNREAL, N=40", "PBT, N=40")
TABLE_3: Mapping[str, tuple[float, float]] = _pairs(3, "A3C", "PBT")
