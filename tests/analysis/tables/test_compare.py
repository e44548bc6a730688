"""One arm against another: right, complete, and refused where it would mislead."""

import csv
import json
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.__main__ import main
from analysis.data.runs import RunData, read_runs
from analysis.tables.arms import arm, common_step
from analysis.tables.compare import Comparison, compare, row_of
from analysis.tables.comparison_files import (
    comparison_as_csv,
    comparison_as_json,
    comparison_as_markdown,
)
from core.directory.run import open_run
from core.directory.settings_file import Settings
from core.workers.worker import work
from tests.analysis.runs import Written, run_of, with_copy, written

ROOT = Path(__file__).parents[3]
ENDS = st.lists(st.floats(-100, 100).map(lambda x: round(x, 2)), min_size=2, max_size=6)


def _ending(ends: Sequence[float], first: int = 0, **settings: object) -> list[Written]:
    """Return a run a seed, whose best member ends with these scores."""
    return [
        written([[0.0, end], [-1.0, end - 1]], seed=first + i, **settings)  # type: ignore[arg-type]
        for i, end in enumerate(ends)
    ]


def _compared(ours: Sequence[RunData], theirs: Sequence[RunData], **options: object) -> Comparison:
    return compare(arm(ours), arm(theirs), **options)  # type: ignore[arg-type]


def _row(found: Comparison, name: str) -> int:
    return [row.name for row in found.rows].index(name)


def test_a_comparison_is_as_by_hand_and_scipys() -> None:
    """Four pairs, 2, 1, 0 and 3 apart."""
    ours, theirs = [3.0, 5.0, 4.0, 8.0], [1.0, 4.0, 4.0, 5.0]

    found = _compared(_ending(ours), _ending(theirs))

    assert found.paired
    row = found.rows[_row(found, "selected")]
    assert (row.ours, row.theirs, row.means) == (tuple(ours), tuple(theirs), (5.0, 3.5))
    assert (row.difference, row.higher, row.comparisons) == (1.5, 3.5, 4)
    assert row.of is not None
    assert row.t is not None
    assert row.permutation is not None
    half = stats.t.ppf(0.975, 3) * np.std([2, 1, 0, 3], ddof=1) / 2
    assert (row.of.low, row.of.high) == pytest.approx((1.5 - half, 1.5 + half))
    assert row.t.p == pytest.approx(stats.ttest_rel(ours, theirs).pvalue)
    assert row.permutation.p == 0.25
    twice = found.rows[_row(found, "twice")]
    assert (twice.difference, twice.t) == (3.0, row.t)


def test_seeds_that_are_not_shared_are_compared_without_pairs() -> None:
    """By Welch's test and by dealing the seeds anew."""
    ours, theirs = [4.0, 5.0, 6.5], [1.0, 2.0, 3.0, 2.5]

    found = _compared(_ending(ours), _ending(theirs, first=10))

    row = found.rows[0]
    assert not found.paired
    assert row.t is not None
    assert row.permutation is not None
    assert row.t.name == "Welch's t"
    assert row.t.p == pytest.approx(stats.ttest_ind(ours, theirs, equal_var=False).pvalue)
    assert row.permutation.p == pytest.approx(2 / math.comb(7, 3))
    assert (row.higher, row.comparisons) == (12.0, 12)
    text = comparison_as_markdown(found)
    assert "3 seeds against 4 others" in text
    assert "p, Welch's t" in text
    assert "| 10 | – | 1 |" in text


def test_a_few_shared_seeds_do_not_throw_away_the_others() -> None:
    """Pairs are made where at least half of the seeds of the smaller arm are shared."""
    five = [1.0, 2.0, 3.0, 4.0, 6.0]
    few = _compared(_ending(five), _ending(five, first=3))
    half = _compared(_ending([1.0, 2.0, 3.0, 4.0]), _ending([1.0, 2.0, 3.0, 5.0], first=2))

    assert (few.paired, len(few.rows[0].ours)) == (False, 5)
    assert "Not paired: of the seeds, both arms have [3, 4] alone." in few.notes
    assert (half.paired, half.seeds[0]) == (True, (2, 3))
    assert "Left out, because only one arm has them: seeds [0, 1, 4, 5]." in half.notes


def test_a_low_number_is_timed_downwards() -> None:
    """The others are compared as before."""
    ours = [written([[-1.0, -3.0, 1.0]], seed=s) for s in range(2)]
    theirs = [written([[0.0, 0.0, -3.0]], seed=s) for s in range(2)]

    found = _compared(ours, theirs, lower=["twice"])

    assert found.rows[_row(found, "steps to target, twice")].ours == (2, 2)
    assert "The target of twice is at most -6." in comparison_as_markdown(found)


def test_a_number_of_one_arm_alone_is_named() -> None:
    """It is not compared, but the text names it."""
    ours = _ending([3.0, 4.0])
    theirs = [
        run.having([[replace(r, report={}) for r in h] for h in run.histories])
        for run in _ending([1.0, 2.0])
    ]

    assert "Only one arm has twice." in _compared(ours, theirs).notes


def test_the_committed_table_of_the_digits_is_found_again() -> None:
    """Means, t intervals and p of twelve pairs, as they were published, from their seeds."""
    folder = ROOT / "tasks/gan/results"
    with (folder / "digits_against_digits_random_search.csv").open() as file:
        rows = list(csv.DictReader(file))
    text = (folder / "digits_against_digits_random_search.md").read_text()
    for name in ("selected", "held_out", "fresh", "frechet", "top five"):
        ours, theirs = (
            tuple(float(row[f"{name} of {arm}"]) for row in rows)
            for arm in ("digits", "digits_random_search")
        )
        [line] = [line for line in text.splitlines() if line.startswith(f"| {name} |")]
        numbers = [float(n) for n in re.findall(r"[-+]?\d+(?:\.\d+)?(?:e-\d+)?", line)]

        row = row_of(name, ours, theirs, paired=True, method="t")

        spans = [*row.intervals, row.of]
        halves = [(span.high - span.low) / 2 for span in spans if span is not None]
        assert row.t is not None
        found = [row.means[0], halves[0], row.means[1], halves[1], row.difference, halves[2]]
        assert found == pytest.approx(numbers[:6], rel=1e-2)
        assert row.higher == numbers[6]
        assert row.t.p == pytest.approx(numbers[8], rel=0.06)


def test_times_to_the_baselines_end_are_compared() -> None:
    """The target is the baseline's median; runs that miss it are counted as a bound."""
    ours = [written([[0.0, 5.0, 6.0]], seed=s) for s in range(3)]
    theirs = [written([[0.0, 1.0, end]], seed=s) for s, end in enumerate((4.0, 5.0, 4.5))]

    found = _compared(ours, theirs)

    [target] = found.targets
    row = found.rows[_row(found, "steps to target")]
    assert target.value == 4.5
    assert (row.ours, row.theirs, row.never) == ((2, 2, 2), (3, 3, 3), (0, 1))
    assert row.t is None
    assert row.permutation is not None
    assert row.permutation.p == 0.25  # three log-rank scores of one sign
    text = comparison_as_markdown(found)
    assert "≥ 3" in text
    assert "0 of 3 runs of walk (first) and 1 of 3 of walk (second) never reached" in text
    assert _compared(ours, theirs, target=0.5).rows[-2].theirs == (2, 2, 2)


def test_a_held_out_number_is_timed_if_it_is_named() -> None:
    """Otherwise it is unknown whether it should be high."""
    ours, theirs = _ending([3.0, 4.0]), _ending([1.0, 2.0])

    names = [row.name for row in _compared(ours, theirs, held_out=["twice"]).rows]

    assert "steps to target, twice" in names
    assert "steps to target, twice" not in [row.name for row in _compared(ours, theirs).rows]


def test_holm_corrects_for_all_numbers_that_are_tested() -> None:
    """No corrected p is below its p."""
    rng = np.random.default_rng(0)

    found = _compared(_ending(rng.normal(1, 1, 6).tolist()), _ending(rng.normal(size=6).tolist()))

    ps = [(row.t or row.permutation, row.holm) for row in found.rows]
    assert all(test is not None and holm >= test.p for test, holm in ps)
    assert f"{len(ps)} numbers are tested" in comparison_as_markdown(found)


def test_unequal_budgets_are_said_aloud_and_first() -> None:
    """Steps, evaluations or seconds of the arms differ."""
    ours = [with_copy(run, 1, 0, 3.0) for run in _ending([3.0, 4.0])]
    theirs = [written([[0.0, 2.0]], seed=s) for s in range(2)]

    budgets = _compared(ours, theirs).budgets

    assert budgets[0].startswith("UNEQUAL BUDGETS: walk (first) trained 4 steps a run, walk (s")
    assert budgets[1].startswith("UNEQUAL EVALUATIONS: walk (first) 5 a run, walk (second) 2: +150")
    assert budgets[2].startswith("UNEQUAL SECONDS: walk (first) 4.5 a run, walk (second) 2: +125.0")
    back = _compared(_ending([3.0, 4.0]), ours).budgets  # the baseline has copied
    assert back[0].startswith("UNEQUAL EVALUATIONS: walk (first) 4 a run, walk (second) 5: -20.0%")
    assert back[1].startswith("UNEQUAL SECONDS: walk (first) 4 a run, walk (second) 4.5: -11.1%")
    assert back[2].startswith("Equal budgets: 4 steps a run")
    equal = _compared(_ending([3.0, 4.0]), _ending([3.0, 4.0]))
    assert [line[:30] for line in equal.budgets] == ["Equal budgets: 4 steps a run; "]
    lines = comparison_as_markdown(_compared(ours, theirs)).splitlines()
    assert lines[2].startswith("UNEQUAL BUDGETS")


def test_steps_that_failed_members_did_not_train_are_counted(tmp_path: Path) -> None:
    """A baseline with dead members has spent less than it seems."""
    runs = read_runs([run_of(tmp_path / "run", "tests.trainers:raises_random_search")])

    found = arm(runs)

    assert found.untrained_steps > 0
    assert found.numbers["steps"] == (found.budget - found.untrained_steps,)
    said = f"{found.untrained_steps} steps of failed members were not trained"
    assert any(said in line for line in compare(found, found).budgets)


def test_one_pair_has_no_interval_and_no_test() -> None:
    """The text says that no interval is claimed."""
    text = comparison_as_markdown(_compared(_ending([3.0]), _ending([1.0])))

    assert "1 seed" in text
    assert "no interval is claimed, and nothing can be tested" in text
    assert "±" not in text
    assert "p, " not in text
    assert "nan" not in text


def test_files_hold_all_numbers_of_all_seeds(
    tmp_path: Path, arms: tuple[list[Path], list[Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    """As Markdown, CSV and JSON, whatever the order of the directories."""
    ours, theirs = map(str, reversed(arms[0])), map(str, arms[1][:3])

    assert main(["compare", *ours, "--against", *theirs, "--out", str(tmp_path)]) == 0

    said = capsys.readouterr().out
    path = tmp_path / "walk_against_walk_random_search.md"
    assert path.read_text() in said
    for seed in range(3):
        assert f"| {seed} |" in said
    assert "Equal budgets: 60 steps a run" in said
    assert "Left out, because only one arm has them: seeds [3]" in said
    with path.with_suffix(".csv").open() as file:
        rows = list(csv.DictReader(file))
    [run] = read_runs(arms[0][1:2])
    assert float(rows[1]["selected of walk"]) == pytest.approx(run.best().member.score, rel=1e-5)
    assert float(rows[1]["twice of walk"]) == pytest.approx(2 * run.best().member.score, rel=1e-5)
    held = json.loads(path.with_suffix(".json").read_text())
    assert [row["name"] for row in held["rows"]][:3] == ["selected", "twice", "top five"]
    assert held["rows"][0]["t"]["name"] == "paired t"
    assert held["seeds"] == [[0, 1, 2], [0, 1, 2]]


def test_what_is_no_number_is_null_or_empty_in_the_files() -> None:
    """Any program can read them."""
    ours, theirs = _ending([3.0]), _ending([1.0])
    found = _compared(ours, theirs)

    assert "NaN" not in comparison_as_json(found)
    assert json.loads(comparison_as_json(found))["rows"][0]["holm"] is None
    assert "nan" not in comparison_as_csv(arm(ours), arm(theirs), found)


def test_arms_of_one_name_are_told_apart() -> None:
    """No two columns have the same name."""
    found = _compared(_ending([3.0, 4.0]), _ending([1.0, 2.0]))

    assert found.names == ("walk (first)", "walk (second)")
    assert "| 0 | 3 | 1 | 6 | 2 |" in comparison_as_markdown(found)


def test_a_run_with_unreadable_records_is_said_first() -> None:
    """It is compared as far as it is readable."""
    whole, torn = _ending([3.0, 4.0])

    text = comparison_as_markdown(
        _compared([whole, replace(torn, problems=["x"])], _ending([1.0, 2.0]))
    )

    said = "NOT COMPLETE: run-1 is without what is unreadable (1 records or files)."
    assert text.splitlines()[2] == said


def test_a_diverged_arm_is_said_and_not_averaged() -> None:
    """The other numbers are still compared."""
    nothing = written([[0.0, math.nan], [1.0, math.nan]], seed=1)

    found = _compared([*_ending([3.0]), nothing], _ending([1.0, 2.0]))

    row = found.rows[0]
    assert math.isnan(row.means[0])
    assert math.isnan(row.difference)
    assert "selected is not compared: a seed has no such number." in found.notes
    assert found.rows[_row(found, "peak")].means == (2.0, 1.5)
    assert "nan" not in comparison_as_markdown(found)


def test_a_number_that_a_best_member_did_not_report_is_left_out_and_said() -> None:
    """It is not averaged over the other seeds."""
    runs = _ending([3.0, 4.0])
    last = runs[1].histories[0][-1]
    bare = [*runs[1].histories[0][:-1], replace(last, report={})]
    runs[1] = runs[1].having([bare, runs[1].histories[1]])

    found = _compared(runs, _ending([1.0, 2.0]))

    assert "twice" not in [row.name for row in found.rows]
    assert found.notes[0] == (
        "twice is left out: the best member of run-1 did not report it at its last step."
    )


def test_unfinished_runs_are_compared_so_far(
    tmp_path: Path, arms: tuple[list[Path], list[Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    """They are compared at the last step that all have done, and the text says so first."""
    run = open_run(tmp_path / "run", "tests.trainers:walk", {"seed": 1})
    work(run, durable=False, turns=35)
    runs, against = [str(arms[0][0]), str(tmp_path / "run")], map(str, arms[1][:2])
    step = common_step(read_runs([tmp_path / "run"]))
    command = ["compare", *runs, "--against", *against, "--out", str(tmp_path / "out")]

    assert main(command) == 2
    assert "give --so-far" in capsys.readouterr().err
    assert main([*command, "--so-far"]) == 0

    said = capsys.readouterr().out
    assert 0 < step < 12
    assert f"NOT DONE: runs are compared at step {step}," in said
    assert f"Equal budgets: {5 * step} steps a run" in said
    [whole] = read_runs(arms[0][:1])
    ends = [
        record.member.score
        for id in range(whole.members)
        for record in whole.history(id)
        if record.member.step == step and not record.member.waiting
    ]
    assert f"| 0 | {max(ends):.5g} |" in said


BAD = {
    "mixed": "differ in more: preset: .*walk.* ready: ",
    "twice": "a seed is given twice: .*run-0 and run-0 both have 0",
    "unfinished": r"is not done: members \[1\] have steps to go; let it finish, or give --so-far",
    "nothing in common": "no seed in common to be paired, and a single run has no spread",
    "task": "are of different tasks, and cannot be compared: trainer: ",
    "held out": "no held-out number 'thrice' .* there are: twice",
    "silent": r"members \[1\] have published nothing",
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_compared_is_refused(case: str) -> None:
    """The message gives the reason."""
    ours, theirs = _ending([3.0, 4.0]), _ending([1.0, 2.0])
    options: dict[str, object] = {}
    if case == "mixed":
        other = replace(
            ours[1], preset="x:y", settings=Settings({**ours[1].settings, "ready": "often"})
        )
        ours = [ours[0], other]
    elif case == "twice":
        ours = [ours[0], ours[0]]
    elif case == "unfinished":
        ours = [written([[1.0, 2.0], [1.0]])]
    elif case == "nothing in common":
        theirs = _ending([1.0], first=7)
    elif case == "task":
        theirs = _ending([1.0, 2.0], trainer="tests.trainers:Other")
    elif case == "held out":
        options = {"held_out": ["thrice"]}
    elif case == "silent":
        ours = [run.having([run.histories[0], []]) for run in ours]

    with pytest.raises(ValueError, match=BAD[case]):
        _compared(ours, theirs, **options)


def test_runs_without_a_common_step_have_nothing_to_compare_so_far() -> None:
    """A member has done no step yet."""
    with pytest.raises(ValueError, match="has a member that has done no step yet"):
        common_step([written([[1.0, 2.0], []], steps=2)])


@settings(max_examples=30, deadline=None)
@given(ENDS, st.integers(-50, 50))
def test_a_constant_shift_is_found_in_every_seed(ends: list[float], shift: int) -> None:
    """The difference is exact, and ours is higher in all seeds or in none."""
    found = _compared(_ending([end + shift for end in ends]), _ending(ends)).rows[0]

    assert found.of is not None
    assert found.difference == pytest.approx(shift, abs=1e-9)
    assert found.of.low == found.of.high == pytest.approx(shift, abs=1e-9)
    if shift:
        assert found.higher == (len(ends) if shift > 0 else 0)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=2, max_size=5))
def test_swapped_arms_say_the_opposite(pairs: list[tuple[int, int]]) -> None:
    """This holds for every number that is tested."""
    ours, theirs = (_ending([float(p[i]) for p in pairs]) for i in (0, 1))

    there = _compared(ours, theirs, target=1.0)
    back = _compared(theirs, ours, target=1.0)

    for one, other in zip(there.rows, back.rows, strict=True):
        assert one.difference == -other.difference
        assert one.higher == other.comparisons - other.higher
        assert one.of is not None
        assert other.of is not None
        assert (one.of.low, one.of.high) == pytest.approx((-other.of.high, -other.of.low))
        assert one.holm == pytest.approx(other.holm)


def test_the_order_of_the_runs_is_no_matter() -> None:
    """The texts are the same."""
    rng = np.random.default_rng(1)
    ours, theirs = (_ending(rng.normal(size=7).tolist()) for _ in range(2))

    assert comparison_as_json(_compared(ours, theirs)) == comparison_as_json(
        _compared(ours[::-1], theirs[::-1])
    )
