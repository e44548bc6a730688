"""Scores as the paper reports them: human-normalised, (score - random) / (human - random)."""

from collections.abc import Mapping
from dataclasses import dataclass

from tasks.rl.environments.batch import choose


@dataclass(frozen=True, slots=True)
class Reference:
    """What a random policy and a human get: 0 and 1 of the normalised score."""

    random: float
    human: float

    def normalised(self, score: float) -> float:
        """Return the human-normalised score, 1 for the human's."""
        return (score - self.random) / (self.human - self.random)


# Games begin where a human has played to ("human starts"). With these, not with the no-op starts,
# the paper's table 1 has the means of its figure 3: Wang et al. 2016 (arXiv:1511.06581), tables.
HUMAN_STARTS: Mapping[str, Reference] = {
    "amidar": Reference(11.8, 1540.4),
    "enduro": Reference(-81.8, 740.2),
    "gravitar": Reference(245.5, 3116.0),
    "ms_pacman": Reference(197.8, 15375.0),
}
NO_OP_STARTS: Mapping[str, Reference] = {
    "amidar": Reference(5.8, 1719.5),
    "enduro": Reference(0.0, 860.5),
    "gravitar": Reference(173.0, 3351.4),
    "ms_pacman": Reference(307.3, 6951.6),
}
# DMLab-30's, of Espeholt et al. 2018 (arXiv:1802.01561). Of the paper's own fifteen levels none is
# published: table 2 is in percent of them already.
DMLAB_30: Mapping[str, Reference] = {
    "rooms_watermaze": Reference(4.1, 54.0),
    "rooms_select_nonmatching_object": Reference(0.3, 65.9),
    "explore_goal_locations_small": Reference(7.7, 267.5),
    "explore_goal_locations_large": Reference(3.1, 194.5),
    "explore_object_locations_small": Reference(3.6, 74.5),
    "explore_obstructed_goals_small": Reference(6.8, 206.0),
    "natlab_fixed_large_map": Reference(2.2, 36.9),
    "lasertag_three_opponents_small": Reference(-0.1, 31.5),
}
# Human: the grandmaster of Vinyals et al. 2017. Random: not in the paper, and not checked.
STARCRAFT: Mapping[str, Reference] = {
    "CollectMineralShards": Reference(17, 177),
    "FindAndDefeatZerglings": Reference(4, 61),
    "DefeatRoaches": Reference(1, 215),
    "DefeatZerglingsAndBanelings": Reference(23, 727),
    "CollectMineralsAndGas": Reference(12, 7566),
    "BuildMarines": Reference(0, 133),
}


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


# The paper's table 1: mean over three replicas of the best member's score at the end, by N.
TABLE_1_FUN: Mapping[int, Mapping[str, float]] = {
    10: {"amidar": 1742, "gravitar": 3970, "ms_pacman": 5635, "enduro": 1838},
    20: {"amidar": 1645, "gravitar": 3884, "ms_pacman": 5280, "enduro": 1881},
    40: {"amidar": 1947, "gravitar": 4018, "ms_pacman": 6177, "enduro": 2079},
    80: {"amidar": 2055, "gravitar": 4279, "ms_pacman": 6506, "enduro": 2166},
}
TABLE_1_PBT: Mapping[int, Mapping[str, float]] = {
    10: {"amidar": 1511, "gravitar": 4110, "ms_pacman": 5509, "enduro": 1958},
    20: {"amidar": 2454, "gravitar": 4202, "ms_pacman": 5714, "enduro": 2213},
    40: {"amidar": 2752, "gravitar": 4481, "ms_pacman": 8124, "enduro": 2228},
    80: {"amidar": 3018, "gravitar": 5386, "ms_pacman": 9001, "enduro": 2292},
}
# Table 2, percent human-normalised: random search and PBT with N = 40.
TABLE_2: Mapping[str, tuple[float, float]] = {
    "emstm_non_match": (66.0, 66.0),
    "emstm_watermaze": (39.0, 36.7),
    "lt_horse_shoe_color": (75.4, 90.2),
    "nav_maze_random_goal_01": (114.2, 149.4),
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
# Table 3, the game's own scores: A3C with random search, and PBT, N = 30.
TABLE_3: Mapping[str, tuple[float, float]] = {
    "CollectMineralShards": (93.7, 100.5),
    "FindAndDefeatZerglings": (46.0, 49.9),
    "DefeatRoaches": (121.8, 131.5),
    "DefeatZerglingsAndBanelings": (94.6, 124.7),
    "CollectMineralsAndGas": (3345.8, 3345.3),
    "BuildMarines": (0.17, 0.37),
}
