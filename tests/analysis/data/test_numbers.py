"""What a run comes to: cases by hand."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.data.numbers import (
    Target,
    costs,
    highest,
    last_step,
    report_steps,
    reported,
    results,
    score_grid,
    times,
    until,
)
from analysis.data.runs import read_runs
from tests.analysis.runs import Written, run_of, with_copy, written

LINES = [[1.0, 2.0, 3.0], [2.0, 5.0, 4.0], [0.0, 1.0, 9.0], [1.0, 1.0, 1.0]]
SIX = [*LINES, [0.0, 0.0, 8.0], [0.0, 0.0, 2.0]]


def _reporting(run: Written, says: dict[tuple[int, int], float]) -> Written:
    """Return the run with reports at these members and steps alone."""
    histories = [
        [
            replace(record, report={"other": says[i, step]} if (i, step) in says else {})
            for step, record in enumerate(history)
        ]
        for i, history in enumerate(run.histories)
    ]
    return run.having(histories)


def test_the_numbers_are_as_by_hand() -> None:
    """Six members train three steps; the best scores are 2, 5 and 9."""
    found = results(written(SIX).columns)

    assert found["selected"] == 9.0
    assert found["twice"] == 18.0
    assert found["top five"] == np.mean([9, 8, 4, 3, 2])
    assert found["top five, twice"] == 2 * found["top five"]
    assert found["area"] == pytest.approx((2 + 5 + 9) / 3)
    assert found["area, twice"] == pytest.approx(2 * found["area"])
    assert found["peak"] == 9.0
    assert found["peak, twice"] == 18.0


def test_members_are_chosen_by_the_selected_score_alone() -> None:
    """A better reported number of another member does not count."""
    run = _reporting(written(LINES), {(i, 3): value for i, value in enumerate((50, 60, 7, 80))})

    found = results(run.columns)

    assert found["other"] == 7.0  # of member 2, whose score is 9
    assert found["peak, other"] == 7.0
    assert found["area, other"] == 7.0  # at the one step with reports
    assert highest(run.columns, "other") == 80.0


def test_a_number_that_the_best_member_did_not_report_is_none() -> None:
    """Another member's and an older number do not count."""
    run = _reporting(written(LINES), {(0, 3): 1.0, (2, 2): 5.0})

    found = results(run.columns)

    assert math.isnan(found["other"])
    assert report_steps(run.columns, "other") == (2, 3)


def test_diverged_members_are_worst() -> None:
    """NaN and infinity are no scores."""
    found = results(written([[math.nan, math.inf], [1.0, 2.0], [-math.inf, 1.0]]).columns)

    assert (found["selected"], found["top five"], found["area"]) == (2.0, 1.5, 1.5)
    assert found["peak"] == 2.0
    alone = results(written([[math.nan, math.inf]]).columns)
    assert all(math.isnan(alone[name]) for name in ("selected", "top five", "area", "peak"))


def test_a_copy_counts_as_what_it_was_until_it_came() -> None:
    """The curve has its old score, the end its new one; it costs an evaluation."""
    before = written(LINES)
    run = with_copy(before, 3, 2, 9.5)

    data = run.columns

    assert data.score_before_copy[-1] == 1.0
    assert score_grid(data)[3].tolist() == [1.0, 1.0, 1.0]
    assert (results(data)["selected"], results(data)["peak"]) == (9.5, 9.5)
    assert results(data)["area"] == results(before.columns)["area"]
    assert costs(before.columns) == {"steps": 12.0, "evaluations": 12.0, "seconds": 12.0}
    assert costs(data) == {"steps": 12.0, "evaluations": 13.0, "seconds": 12.5}


def test_an_asynchronous_copy_has_no_record_of_its_own_training() -> None:
    """Its record has the donor's score, and the score that it dropped."""
    run = with_copy(written(LINES), 3, 2, 9.5)
    history = [*run.histories[3][:-2], replace(run.histories[3][-1])]
    data = run.having([*run.histories[:3], history]).columns

    assert score_grid(data)[3].tolist() == [1.0, 1.0, 1.0]
    assert costs(data)["evaluations"] == 13.0
    said = reported(data, "twice")
    assert said[3, :2].tolist() == [2.0, 2.0]
    assert math.isnan(said[3, 2])  # what it reported then is of the donor's weights


def test_times_to_a_target_are_as_by_hand() -> None:
    """It is the first step at which a member has it, with the seconds of all up to that step."""
    data = written(LINES).columns

    assert times(data, Target(5.0), 3) == (2.0, 8.0, True)
    assert times(data, Target(0.0), 3) == (1.0, 4.0, True)
    assert times(data, Target(9.5), 3) == (3.0, 12.0, False)
    assert times(data, Target(9.0), 2) == (2.0, 8.0, False)  # later than the shorter runs are long
    assert times(data, Target(10.0, "twice"), 3) == (2.0, 8.0, True)
    assert times(data, Target(4.0, "twice", lower=True), 3) == (1.0, 4.0, True)


def test_a_run_is_cut_where_all_have_been() -> None:
    """It reads as if it had ended there."""
    run = written([[1.0, 2.0, 3.0], [4.0, 5.0]])

    data = run.columns
    *before, last = run.histories[1]
    waits = replace(last, member=replace(last.member, waiting=True))

    assert last_step(data) == 2
    assert last_step(run.having([run.histories[0], [*before, waits]]).columns) == 1
    cut = until(data, 2)
    other = written([[1.0, 2.0], [4.0, 5.0]]).columns
    for name in ("first", "member", "step", "score", "parent"):
        assert np.array_equal(getattr(cut, name), getattr(other, name), equal_nan=True)
    assert results(cut) == results(other)


def test_copies_stay_copies_in_a_cut_run(tmp_path: Path) -> None:
    """Each points to the same record as before."""
    [run] = read_runs([run_of(tmp_path / "run", "tests.trainers:walk")])
    data = run.columns

    cut = until(data, 6)

    kept = np.flatnonzero(data.step <= 6)
    copies = np.flatnonzero(cut.parent >= 0)
    assert len(copies) > 3
    for row in copies:
        donor = data.parent[kept[row]]
        assert (cut.member[cut.parent[row]], cut.n[cut.parent[row]]) == (
            data.member[donor],
            data.n[donor],
        )


def test_the_costs_of_a_real_run_are_those_of_its_records(tmp_path: Path) -> None:
    """A loop over the records counts the same; failed steps cost nothing."""
    paths = [
        run_of(tmp_path / name, f"tests.trainers:{name}")
        for name in ("walk", "raises_random_search")
    ]
    for run in read_runs(paths):
        data = run.columns
        records = [record for id in range(run.members) for record in run.history(id)]
        trained = {(r.member.id, r.member.step) for r in records if r.member.step and r.weights}
        copies = sum(r.member.parent is not None for r in records)

        found = costs(data)

        assert (found["steps"], found["evaluations"]) == (len(trained), len(trained) + copies)
        assert found["seconds"] == pytest.approx(
            sum(r.spent + r.seconds.get("claim", 0.0) for r in records)
        )
