"""The paper's tables 1 to 4 as data, and which of our presets fills which cell.

Source: Jaderberg et al. 2017, arXiv:1711.09846, tables 1 to 4. A run fills a cell by the name of
its preset alone, for an arm of a study `module:study[arm]`.

| table | preset | number |
| --- | --- | --- |
| 1 | `tasks.rl.presets:table_1[<game>-<members>]`, baseline `...-random_search]` | selected |
| 2 | `tasks.rl.presets:table_2[<level>]`, baseline `...-random_search]` | selected |
| 2, N = 20 | `tasks.rl.presets:figure_5c[<level>-both]`, `...-random_search]`, `...-hypers]`, `...-weights]` | selected |
| 3 | `tasks.rl.presets:table_3[<mini-game>]`, baseline `...-random_search]` | selected |
| 4 | `tasks.gan.presets:table_4_truncation`, `table_4_tournament`, `table_4_baseline` | selected; held_out; the greatest held_out |
| 4 in small | `tasks.gan.presets:digits_table_4[truncation]`, `[tournament]`, `[fixed_linear]`, `[fixed]`, `[random_search]` | the same |

Scores are in the unit of the table: of the game (1, 3), Inception (4). The paper's table 2 is in
percent of a human's score, which nobody has published for these levels: ours are of the game, and
nothing is computed from them. Nor from ours of table 1: the paper's normalised scores are of
episodes that begin where a human has played to, and ours begin with the game.
"""  # noqa: E501

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

HUMAN_STARTS = {  # random, human; source: Wang et al. 2016 (dueling networks), human starts
    "amidar": (11.8, 1540.4),
    "enduro": (-81.8, 740.2),
    "gravitar": (245.5, 3116.0),
    "ms_pacman": (197.8, 15375.0),
}
GRANDMASTER = {  # random, grandmaster; source: Vinyals et al. 2017 (SC2LE), table 1
    # the random policy's are as they are remembered, not looked up
    "CollectMineralShards": (17.0, 177.0),
    "FindAndDefeatZerglings": (4.0, 61.0),
    "DefeatRoaches": (1.0, 215.0),
    "DefeatZerglingsAndBanelings": (23.0, 727.0),
    "CollectMineralsAndGas": (12.0, 7566.0),
    "BuildMarines": (0.0, 133.0),
}
Scores = Mapping[str, float]  # a column: by row
HIGHEST = "highest "  # before a number of the report: the greatest of all members and times


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What the paper has in a cell (None: nothing), and what fills ours.

    paper, spread: the number and what stands behind its ±.
    members: the paper's population.
    """

    preset: str
    number: str = "selected"
    paper: float | None = None
    spread: float | None = None
    members: int


@dataclass(frozen=True, slots=True)
class Derived:
    """A row that is computed from a column, and from that of its baseline if it has one.

    compared: whether it is of a column beside its baseline's, so that baselines have none.
    ours: whether it means something for our scores, too.
    """

    name: str
    of: Callable[[Scores, Scores], float]
    compared: bool = False
    ours: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperTable:
    """A table in the paper's layout.

    columns: by title, that of its baseline ("" for a baseline itself).
    digits: as many decimals the paper prints, at least.
    cells: by row and column; no cell where the paper has none.
    """

    name: str
    title: str
    columns: Mapping[str, str]
    rows: Sequence[str]
    cells: Mapping[tuple[str, str], Cell]
    digits: int
    derived: Sequence[Derived] = ()


def normalised(score: float, bounds: tuple[float, float]) -> float:
    """Return a score on the scale of 0 for a random player, 1 for the other."""
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


ATARI: Mapping[str, tuple[tuple[float, float], ...]] = {  # FuN, PBT of 10, 20, 40, 80 workers
    "amidar": (
        (1742, 174), (1511, 400), (1645, 158), (2454, 160),
        (1947, 80), (2752, 81), (2055, 113), (3018, 269),
    ),
    "gravitar": (
        (3970, 145), (4110, 225), (3884, 362), (4202, 113),
        (4018, 180), (4481, 540), (4279, 161), (5386, 306),
    ),
    "ms_pacman": (
        (5635, 656), (5509, 589), (5280, 349), (5714, 347),
        (6177, 402), (8124, 392), (6506, 354), (9001, 711),
    ),
    "enduro": (
        (1838, 37), (1958, 81), (1881, 63), (2213, 6),
        (2079, 9), (2228, 77), (2166, 34), (2292, 16),
    ),
}  # fmt: skip
SIZES = (10, 20, 40, 80)

LABYRINTH: Mapping[str, tuple[float, ...]] = {  # UNREAL, PBT of 40; of 20: UNREAL, three of PBT
    "emstm_non_match": (66.0, 66.0, 42.6, 14.5, 56.0, 53.2),
    "emstm_watermaze": (39.0, 36.7, 27.9, 33.2, 34.6, 36.8),
    "lt_horse_shoe_color": (75.4, 90.2, 77.4, 44.2, 56.3, 87.5),
    "nav_maze_random_goal_01": (114.2, 149.4, 82.2, 81.5, 74.2, 96.1),
    "lt_hallway_slope": (90.5, 109.7),
    "nav_maze_all_random_01": (59.6, 78.1),
    "nav_maze_all_random_02": (62.0, 92.4),
    "nav_maze_all_random_03": (92.7, 115.3),
    "nav_maze_random_goal_02": (145.4, 173.3),
    "nav_maze_random_goal_03": (127.3, 153.5),
    "nav_maze_static_01": (131.5, 133.5),
    "nav_maze_static_02": (194.5, 220.2),
    "nav_maze_static_03": (588.9, 594.8),
    "seekavoid_arena_01": (42.5, 42.3),
    "stairway_to_melon_01": (189.7, 192.4),
}
LABYRINTH_COLUMNS = {  # title: baseline, study and arm, members
    "UNREAL, N=40": ("", "table_2[{}-random_search]", 40),
    "PBT, N=40": ("UNREAL, N=40", "table_2[{}]", 40),
    "UNREAL, N=20": ("", "figure_5c[{}-random_search]", 20),
    "hypers only, N=20": ("UNREAL, N=20", "figure_5c[{}-hypers]", 20),
    "weights only, N=20": ("UNREAL, N=20", "figure_5c[{}-weights]", 20),
    "PBT, N=20": ("UNREAL, N=20", "figure_5c[{}-both]", 20),
}

STARCRAFT: Mapping[str, tuple[float, float]] = {  # A3C, PBT
    "CollectMineralShards": (93.7, 100.5),
    "FindAndDefeatZerglings": (46.0, 49.9),
    "DefeatRoaches": (121.8, 131.5),
    "DefeatZerglingsAndBanelings": (94.6, 124.7),
    "CollectMineralsAndGas": (3345.8, 3345.3),
    "BuildMarines": (0.17, 0.37),
}

INCEPTION: Mapping[str, tuple[str, Mapping[str, tuple[float, float]]]] = {  # number, by arm
    "CIFAR Inception": (
        "selected",
        {"baseline": (6.38, 0.03), "truncation": (6.80, 0.01), "tournament": (6.77, 0.02)},
    ),
    "ImageNet Inception (by CIFAR)": (
        "held_out",
        {"baseline": (6.45, 0.05), "truncation": (6.89, 0.04), "tournament": (6.74, 0.05)},
    ),
    "ImageNet Inception (peak)": (
        HIGHEST + "held_out",
        {"baseline": (6.48, 0.05), "truncation": (7.02, 0.07), "tournament": (6.81, 0.04)},
    ),
}
INCEPTION_COLUMNS = {"baseline": "GAN", "truncation": "PBT-GAN (TS)", "tournament": "PBT-GAN (BT)"}
DIGITS = {  # title: baseline, arm of digits_table_4, the paper's arm: its baseline is annealed, too
    "random search": ("", "random_search", ""),
    "fixed": ("", "fixed", ""),
    "annealed": ("", "fixed_linear", "baseline"),
    "PBT (TS)": ("annealed", "truncation", "truncation"),
    "PBT (BT)": ("annealed", "tournament", "tournament"),
}


def _mean_by_human_starts(scores: Scores, _: Scores) -> float:
    return mean_normalised(scores, HUMAN_STARTS)


def _table_1() -> PaperTable:
    columns, cells = {}, {}
    for place, size in enumerate(SIZES):
        columns[f"FuN {size}"], columns[f"PBT {size}"] = "", f"FuN {size}"
        for game, numbers in ATARI.items():
            for arm, end, at in (("FuN", "-random_search", 0), ("PBT", "", 1)):
                score, spread = numbers[2 * place + at]
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
        rows=list(ATARI),
        cells=cells,
        digits=0,
        derived=(
            Derived("normalised mean", _mean_by_human_starts, ours=False),
            Derived("ratio (figure 5a)", ratio_normalised, compared=True, ours=False),
        ),
    )


def _table_2() -> PaperTable:
    cells = {}
    for level, numbers in LABYRINTH.items():
        columns = zip(LABYRINTH_COLUMNS.items(), numbers, strict=False)
        for (column, (_, arm, members)), score in columns:
            preset = f"tasks.rl.presets:{arm.format(level)}"
            cells[level, column] = Cell(preset=preset, paper=score, members=members)
    return PaperTable(
        name="table_2",
        title=(
            "Table 2 of the paper. DeepMind Lab, UNREAL, best member: the paper's in percent of a "
            "human's score, ours in the game's own, as the human's were never published. Ratio: "
            "the mean of the levels' ratios to UNREAL."
        ),
        columns={column: baseline for column, (baseline, _, _) in LABYRINTH_COLUMNS.items()},
        rows=list(LABYRINTH),
        cells=cells,
        digits=1,
        derived=(
            Derived("mean", lambda own, _: fmean(own.values()), ours=False),
            Derived("median", lambda own, _: median(own.values()), ours=False),
            Derived("ratio (figure 5c)", mean_ratio, compared=True, ours=False),
        ),
    )


def _table_3() -> PaperTable:
    cells = {}
    for game, numbers in STARCRAFT.items():
        ends = (("A3C", "-random_search"), ("PBT", ""))
        for (column, end), score in zip(ends, numbers, strict=True):
            preset = f"tasks.rl.presets:table_3[{game}{end}]"
            cells[game, column] = Cell(preset=preset, paper=score, members=30)
    return PaperTable(
        name="table_3",
        title=(
            "Table 3 of the paper. StarCraft II, A3C: score of the game, best member. "
            "Normalised: of a grandmaster."
        ),
        columns={"A3C": "", "PBT": "A3C"},
        rows=list(STARCRAFT),
        cells=cells,
        digits=1,
        derived=(
            Derived("normalised mean", lambda own, _: mean_normalised(own, GRANDMASTER)),
            Derived("ratio of the means", ratio_grandmaster, compared=True),
        ),
    )


def _peak_ratio(scores: Scores, baseline: Scores) -> float:
    """Return the ratio of the last row: figure 5b, from table 4."""
    peak = list(INCEPTION)[-1]
    return scores[peak] / baseline[peak]


FIGURE_5B = (Derived("ratio of peaks (figure 5b)", _peak_ratio, compared=True),)


def _table_4() -> PaperTable:
    cells = {}
    for row, (number, by_arm) in INCEPTION.items():
        for arm, (score, spread) in by_arm.items():
            cells[row, INCEPTION_COLUMNS[arm]] = Cell(
                preset=f"tasks.gan.presets:table_4_{arm}",
                number=number,
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
        rows=list(INCEPTION),
        cells=cells,
        digits=2,
        derived=FIGURE_5B,
    )


def _table_4_in_small() -> PaperTable:
    cells = {}
    for row, (number, by_arm) in INCEPTION.items():
        for column, (_, ours, arm) in DIGITS.items():
            score, spread = by_arm.get(arm, (None, None))
            cells[row, column] = Cell(
                preset=f"tasks.gan.presets:digits_table_4[{ours}]",
                number=number,
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
        rows=list(INCEPTION),
        cells=cells,
        digits=2,
        derived=FIGURE_5B,
    )


TABLES = (_table_1(), _table_2(), _table_3(), _table_4(), _table_4_in_small())
