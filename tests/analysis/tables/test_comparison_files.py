"""What a comparison says of how it was made."""

from collections.abc import Sequence

import pytest

from analysis.tables.arms import arm
from analysis.tables.compare import Comparison, compare
from analysis.tables.comparison_files import comparison_as_json, comparison_as_markdown
from tests.analysis.runs import Written, written


def _ending(ends: Sequence[float], first: int = 0) -> list[Written]:
    """Return a run a seed, whose best member ends with these scores, and reports them twice."""
    return [written([[0.0, end], [-1.0, end - 1]], seed=first + i) for i, end in enumerate(ends)]


def _compared(n: int, first: int = 0, **options: object) -> Comparison:
    """Compare n seeds, as many of which as come after `first` are shared."""
    rises = [i * i % 7 + i / 10 for i in range(n)]
    ours, theirs = _ending([3.0 + rise for rise in rises]), _ending(rises[::-1], first)
    return compare(arm(ours), arm(theirs), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("n", "first", "options", "said"),
    [
        (4, 0, {}, "Intervals: t. "),
        (40, 0, {}, "Intervals: t. "),
        (6, 100, {}, "Intervals: t, of differences Welch's. "),
        (6, 0, {"method": "bootstrap"}, "Intervals: BCa bootstrap; too narrow for 6 seeds"),
        (40, 0, {"method": "bootstrap"}, "Intervals: BCa bootstrap. "),
        (4, 0, {"method": "bootstrap"}, "Intervals: t (the bootstrap needs 5 seeds). "),
    ],
)
def test_which_interval_it_is_is_said(
    n: int, first: int, options: dict[str, str], said: str
) -> None:
    """It is t, or the bootstrap on request, which is too narrow for few seeds."""
    found = _compared(n, first, **options)

    assert said in comparison_as_markdown(found)
    [method] = {row.of.method for row in found.rows if row.of and row.of.method != "all equal"}
    assert method.removesuffix(" t") in said
    assert f'"method": "{method}"' in comparison_as_json(found)
