"""The paper's numbers stand with the task and with analysis, which may not import each other."""

from analysis.tables import paper
from tasks.rl import scores


def test_the_papers_tables_are_the_same_in_both_places() -> None:
    """Tables 1 to 3, and what scores are normalised by."""
    columns = (scores.TABLE_1_FUN, scores.TABLE_1_PBT)
    for game, row in paper.ATARI.items():
        assert [score for score, _ in row] == [
            table[members][game] for members in paper.SIZES for table in columns
        ]
    assert {level: row[:2] for level, row in paper.LABYRINTH.items()} == scores.TABLE_2
    assert paper.STARCRAFT == scores.TABLE_3
    for theirs, ours in (
        (paper.HUMAN_STARTS, scores.HUMAN_STARTS),
        (paper.GRANDMASTER, scores.STARCRAFT),
    ):
        assert theirs == {name: (it.random, it.human) for name, it in ours.items()}
