"""The paper's tables 1 to 4, and which of our presets fills which cell.

The paper's numbers, with their sources, are in paper/tables.json and paper/human_scores.json. A run
fills a cell by the name of its preset alone; for an arm of a study this is `module:study[arm]`.

| table | preset | number |
| --- | --- | --- |
| 1 | `tasks.rl.presets:table_1[<game>-<members>]`, baseline `...-random_search]` | selected |
| 2 | `tasks.rl.presets:table_2[<level>]`, baseline `...-random_search]` | selected |
| 2, N = 20 | `tasks.rl.presets:figure_5c[<level>-both]`, `...-random_search]`, `...-hypers]`, `...-weights]` | selected |
| 3 | `tasks.rl.presets:table_3[<mini-game>]`, baseline `...-random_search]` | selected |
| 4 | `tasks.gan.presets:table_4_truncation`, `table_4_tournament`, `table_4_baseline` | selected; held_out; the greatest held_out |
| 4 in small | `tasks.gan.presets:digits_table_4[truncation]`, `[tournament]`, `[fixed_linear]`, `[fixed]`, `[random_search]` | the same |

Scores are in the unit of the table: the game's (1, 3), Inception (4). The paper's table 2 is in
percent of a human's score, which was never published for these levels: our scores are in the game's
unit, and nothing is computed from them. Nothing is computed from ours of table 1 either: the
paper's episodes begin where a human has played to, and ours begin with the game.
"""  # noqa: E501

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

PAPER = Path(__file__).parents[2] / "paper"  # the numbers, which tasks/rl/scores.py reads too
Scores = Mapping[str, float]  # a column: its scores by row
HIGHEST = "highest "  # before a reported number: its greatest value of all members and times


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cell: the paper's number, and the preset that fills ours.

    preset: as run.json has it.
    number: "selected", or a reported number.
    paper: the paper's number; None if it has none.
    spread: the paper's ±; None if it has none.
    members: the size of the population.
    """

    preset: str
    number: str = "selected"
    paper: float | None = None
    spread: float | None = None
    members: int


@dataclass(frozen=True, slots=True)
class Derived:
    """A row that is computed from a column, and from the column of its baseline.

    name: of the row.
    of: computes it from both columns.
    compared: whether it needs a baseline, so that the baselines themselves have none.
    ours: whether it is meaningful for our scores too.
    """

    name: str
    of: Callable[[Scores, Scores], float]
    compared: bool = False
    ours: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperTable:
    """A table in the paper's layout.

    name: for files.
    title: for people.
    columns: by title, the title of the baseline's column; "" for a baseline itself.
    rows: by title.
    cells: by row and column; none where the paper has none.
    digits: the least number of decimals that the paper prints.
    derived: the rows below the cells.
    """

    name: str
    title: str
    columns: Mapping[str, str]
    rows: Sequence[str]
    cells: Mapping[tuple[str, str], Cell]
    digits: int
    derived: Sequence[Derived] = ()


def normalised(score: float, bounds: tuple[float, float]) -> float:
    """Return a score on a scale where a random player has 0 and the other player 1."""
    random, other = bounds
    return (score - random) / (other - random)


def mean_normalised(scores: Scores, bounds: Mapping[str, tuple[float, float]]) -> float:
    """Return the mean over games of the normalised scores."""
    return fmean(normalised(score, bounds[game]) for game, score in scores.items())


def mean_ratio(scores: Scores, baseline: Scores) -> float:
    """Return the mean over rows of the ratio to the baseline: figure 5c, from table 2."""
    return fmean(score / baseline[row] for row, score in scores.items())


def ratio_normalised(scores: Scores, baseline: Scores) -> float:
    """Return the mean over games of the ratio of normalised scores: figure 5a, from table 1."""
    return fmean(
        normalised(score, HUMAN_STARTS[game]) / normalised(baseline[game], HUMAN_STARTS[game])
        for game, score in scores.items()
    )


def ratio_grandmaster(scores: Scores, baseline: Scores) -> float:
    """Return the ratio of the means of table 3, normalised; the paper's: 0.39 / 0.36."""
    return mean_normalised(scores, GRANDMASTER) / mean_normalised(baseline, GRANDMASTER)


SIZES = (10, 20, 40, 80)  # members, in table 1
LABYRINTH_ARMS = {  # column of the paper: baseline, study and arm, members
    "UNREAL, N=40": ("", "table_2[{}-random_search]", 40),
    "PBT, N=40": ("UNREAL, N=40", "table_2[{}]", 40),
    "UNREAL, N=20": ("", "figure_5c[{}-random_search]", 20),
    "hypers only, N=20": ("UNREAL, N=20", "figure_5c[{}-hypers]", 20),
    "weights only, N=20": ("UNREAL, N=20", "figure_5c[{}-weights]", 20),
    "PBT, N=20": ("UNREAL, N=20", "figure_5c[{}-both]", 20),
}
STARCRAFT_ARMS = {"A3C": "-random_search", "PBT": ""}  # column of the paper: end of our preset
INCEPTION_ARMS = {"GAN": "baseline", "PBT-GAN (TS)": "truncation", "PBT-GAN (BT)": "tournament"}
INCEPTION_NUMBERS = {  # row of the paper: the number of ours
    "CIFAR Inception": "selected",
    "ImageNet Inception (by CIFAR)": "held_out",
    "ImageNet Inception (peak)": HIGHEST + "held_out",
}
DIGITS = {  # column: baseline, arm of digits_table_4, the paper's column (its GAN is annealed, too)
    "random search": ("", "random_search", ""),
    "fixed": ("", "fixed", ""),
    "annealed": ("", "fixed_linear", "GAN"),
    "PBT (TS)": ("annealed", "truncation", "PBT-GAN (TS)"),
    "PBT (BT)": ("annealed", "tournament", "PBT-GAN (BT)"),
}


def _mean_by_human_starts(scores: Scores, _: Scores) -> float:
    return mean_normalised(scores, HUMAN_STARTS)


def _rows(table: str) -> dict[str, dict[str, tuple[float, float | None]]]:
    """Return the paper's score and spread (None if it has none) by row and column of a table."""
    body = json.loads((PAPER / "tables.json").read_text(encoding="utf-8"))
    return {
        row: {c: tuple(x) if isinstance(x, list) else (x, None) for c, x in cells.items()}
        for row, cells in body[table]["rows"].items()
    }


def _references(name: str) -> dict[str, tuple[float, float]]:
    """Return the scores of a random player and of a human, by game."""
    body = json.loads((PAPER / "human_scores.json").read_text(encoding="utf-8"))
    return {game: (it["random"], it["human"]) for game, it in body[name]["scores"].items()}


HUMAN_STARTS = _references("human_starts")
GRANDMASTER = _references("starcraft")


def _table_1() -> PaperTable:
    columns, cells, rows = {}, {}, _rows("table_1")
    for size in SIZES:
        columns[f"FuN {size}"], columns[f"PBT {size}"] = "", f"FuN {size}"
        for game, numbers in rows.items():
            for arm, end in (("FuN", "-random_search"), ("PBT", "")):
                score, spread = numbers[f"{arm} {size}"]
                cells[game, f"{arm} {size}"] = Cell(
                    preset=f"tasks.rl.presets:table_1[{game}-{size}{end}]",
                    paper=score,
                    spread=spread,
                    members=size,
                )
    return PaperTable(
        name="table_1",
        title=(
            "Table 1 of the paper. Atari, FuN: score of the best member; N = 10 to 80. Normalised: "
            "of a human, with human starts; ratio: the mean of the games' ratios, normalised."
        ),
        columns=columns,
        rows=list(rows),
        cells=cells,
        digits=0,
        derived=(
            Derived("normalised mean", _mean_by_human_starts, ours=False),
            Derived("ratio (figure 5a)", ratio_normalised, compared=True, ours=False),
        ),
    )


def _table_2() -> PaperTable:
    cells, rows = {}, _rows("table_2")
    for level, numbers in rows.items():
        for column, (score, _) in numbers.items():
            _, arm, members = LABYRINTH_ARMS[column]
            preset = f"tasks.rl.presets:{arm.format(level)}"
            cells[level, column] = Cell(preset=preset, paper=score, members=members)
    return PaperTable(
        name="table_2",
        title=(
            "Table 2 of the paper. DeepMind Lab, UNREAL, best member: the paper's in percent of a "
            "human's score, ours in the game's own, as the human's were never published. Ratio: "
            "the mean of the levels' ratios to UNREAL."
        ),
        columns={column: baseline for column, (baseline, _, _) in LABYRINTH_ARMS.items()},
        rows=list(rows),
        cells=cells,
        digits=1,
        derived=(
            Derived("mean", lambda own, _: fmean(own.values()), ours=False),
            Derived("median", lambda own, _: median(own.values()), ours=False),
            Derived("ratio (figure 5c)", mean_ratio, compared=True, ours=False),
        ),
    )


def _table_3() -> PaperTable:
    cells, rows = {}, _rows("table_3")
    for game, numbers in rows.items():
        for column, (score, _) in numbers.items():
            preset = f"tasks.rl.presets:table_3[{game}{STARCRAFT_ARMS[column]}]"
            cells[game, column] = Cell(preset=preset, paper=score, members=30)
    return PaperTable(
        name="table_3",
        title=(
            "Table 3 of the paper. StarCraft II, A3C: score of the game, best member. "
            "Normalised: of a grandmaster."
        ),
        columns={"A3C": "", "PBT": "A3C"},
        rows=list(rows),
        cells=cells,
        digits=1,
        derived=(
            Derived("normalised mean", lambda own, _: mean_normalised(own, GRANDMASTER)),
            Derived("ratio of the means", ratio_grandmaster, compared=True),
        ),
    )


def _peak_ratio(scores: Scores, baseline: Scores) -> float:
    """Return the ratio of the last row: figure 5b, from table 4."""
    peak = list(INCEPTION_NUMBERS)[-1]
    return scores[peak] / baseline[peak]


FIGURE_5B = (Derived("ratio of peaks (figure 5b)", _peak_ratio, compared=True),)


def _table_4() -> PaperTable:
    cells, rows = {}, _rows("table_4")
    for row, numbers in rows.items():
        for column, (score, spread) in numbers.items():
            cells[row, column] = Cell(
                preset=f"tasks.gan.presets:table_4_{INCEPTION_ARMS[column]}",
                number=INCEPTION_NUMBERS[row],
                paper=score,
                spread=spread,
                members=45,
            )
    return PaperTable(
        name="table_4",
        title=(
            "Table 4 of the paper. CIFAR-10 GAN: Inception scores; TS truncation, BT binary "
            "tournament."
        ),
        columns={"GAN": "", "PBT-GAN (TS)": "GAN", "PBT-GAN (BT)": "GAN"},
        rows=list(rows),
        cells=cells,
        digits=2,
        derived=FIGURE_5B,
    )


def _table_4_in_small() -> PaperTable:
    cells, rows = {}, _rows("table_4")
    for row, numbers in rows.items():
        for column, (_, ours, theirs) in DIGITS.items():
            score, spread = numbers.get(theirs, (None, None))
            cells[row, column] = Cell(
                preset=f"tasks.gan.presets:digits_table_4[{ours}]",
                number=INCEPTION_NUMBERS[row],
                paper=score,
                spread=spread,
                members=8,
            )
    return PaperTable(
        name="table_4_in_small",
        title=(
            "Table 4 in small. Digits of 8x8 pixels, under the classifier that selection sees and "
            "under another one, beside CIFAR-10: only the ratios can be compared."
        ),
        columns={column: baseline for column, (baseline, _, _) in DIGITS.items()},
        rows=list(rows),
        cells=cells,
        digits=2,
        derived=FIGURE_5B,
    )


TABLES = (_table_1(), _table_2(), _table_3(), _table_4(), _table_4_in_small())
