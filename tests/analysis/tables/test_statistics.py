"""Intervals and tests: against cases by hand, against scipy, and as often right as they claim."""

import itertools
import math
from random import Random

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.tables.statistics import (
    EXACT,
    LEVEL,
    difference_interval,
    hedges_g,
    holm,
    interval,
    least_p,
    logrank_scores,
    permutation_p,
    permutation_test,
    rearrangements,
    t_p,
    t_test,
)
from benchmarks.bench_intervals import coverage

NUMBERS = st.floats(-1e3, 1e3).map(lambda x: round(x, 3))
SAMPLES = st.lists(NUMBERS, min_size=2, max_size=9)
PAIRS = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=9)
COMPARISONS = 2_000


def test_the_t_interval_is_as_by_hand() -> None:
    """Mean 2.5, standard error 0.6455, t of 3 degrees of freedom 3.1824."""
    found = interval([1.0, 2.0, 3.0, 4.0])

    assert found is not None
    assert found.method == "t"
    assert (found.low, found.high) == pytest.approx((2.5 - 2.0543, 2.5 + 2.0543), abs=1e-4)


def test_from_five_values_on_a_bootstrap_interval_is_scipys() -> None:
    """Nearly the same, whatever the random numbers; exactly the same each time."""
    values = [0.3, 2.1, 1.4, 5.0, 0.9, 1.1, 2.2]

    found = interval(values, "bootstrap")
    other = stats.bootstrap(
        (values,), np.mean, n_resamples=99_999, random_state=np.random.default_rng(9)
    ).confidence_interval

    assert found is not None
    assert found.method == "BCa bootstrap"
    assert (found.low, found.high) == pytest.approx((other.low, other.high), rel=0.03)
    assert interval(values[::-1], "bootstrap") == found
    assert interval(values) == interval(values, "t") != found


def test_one_value_has_no_interval_and_no_test() -> None:
    """All of them return None."""
    assert interval([1.0]) is None
    assert difference_interval([1.0], [2.0], paired=True) is None
    assert difference_interval([1.0], [2.0, 3.0], paired=False) is None
    assert t_test([1.0], [2.0], paired=True) is None
    assert permutation_test([1.0], [2.0, 4.0], paired=False) is None
    assert math.isnan(hedges_g([1.0], [2.0, 3.0]))


def test_paired_tests_are_as_by_hand_and_scipys() -> None:
    """Differences 2, 1, 0, 3: of the 16 ways to flip signs, 4 are as extreme."""
    ours, theirs = [3.0, 5.0, 4.0, 8.0], [1.0, 4.0, 4.0, 5.0]

    t, flips = t_test(ours, theirs, paired=True), permutation_test(ours, theirs, paired=True)

    assert t is not None
    assert flips is not None
    assert (t.name, flips.name) == ("paired t", "16 sign flips, all")
    assert t.p == pytest.approx(stats.ttest_rel(ours, theirs).pvalue)
    sums = [np.dot(signs, [2, 1, 0, 3]) for signs in itertools.product((-1, 1), repeat=4)]
    assert flips.p == np.mean(np.abs(sums) >= 6) == 0.25


def test_unpaired_tests_are_as_by_hand_and_scipys() -> None:
    """The three highest of six: 2 of the 20 ways to deal them are as extreme."""
    ours, theirs = [4.0, 5.0, 6.5], [1.0, 2.0, 3.0]

    t, dealt = t_test(ours, theirs, paired=False), permutation_test(ours, theirs, paired=False)

    assert t is not None
    assert dealt is not None
    assert (t.name, dealt.name) == ("Welch's t", "20 permutations, all")
    assert t.p == pytest.approx(stats.ttest_ind(ours, theirs, equal_var=False).pvalue)
    assert dealt.p == pytest.approx(2 / 20)
    found = difference_interval(ours, theirs, paired=False)
    assert found is not None
    welch = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(LEVEL)
    assert (found.low, found.high, found.method) == (welch.low, welch.high, "Welch's t")


def test_the_bootstrap_of_two_arms_is_scipys() -> None:
    """Of the difference of their means."""
    rng = np.random.default_rng(3)
    ours, theirs = rng.normal(1, 1, 8), rng.normal(0, 2, 6)

    found = difference_interval(ours.tolist(), theirs.tolist(), paired=False, how="bootstrap")
    other = stats.bootstrap(
        (ours, theirs),
        lambda x, y, axis=-1: x.mean(axis) - y.mean(axis),
        n_resamples=99_999,
        random_state=np.random.default_rng(9),
    ).confidence_interval

    assert found is not None
    assert (found.low, found.high) == pytest.approx((other.low, other.high), abs=0.05)


def test_many_rearrangements_are_drawn_instead_of_all_tried() -> None:
    """The name of the test says so."""
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(1, 1, 15).tolist(), rng.normal(0, 1, 15).tolist()

    found = permutation_test(ours, theirs, paired=True)

    assert found is not None
    assert found.name == "9,999 random sign flips"
    assert rearrangements(14, 14, paired=True) <= EXACT < rearrangements(15, 15, paired=True)
    exact = stats.ttest_rel(ours, theirs).pvalue
    assert found.p == pytest.approx(exact, rel=0.5)


def test_so_few_values_cannot_give_a_smaller_p() -> None:
    """Three pairs: 2 of 8."""
    found = permutation_test([9.0, 8.0, 7.0], [1.0, 1.0, 1.0], paired=True)

    assert found is not None
    assert found.p == least_p(3, 3, paired=True) == 0.25


def test_the_effect_is_as_by_hand() -> None:
    """Means 2 apart, pooled deviation 1, four degrees of freedom: 2 x (1 - 3/15)."""
    assert hedges_g([3.0, 4.0, 5.0], [1.0, 2.0, 3.0]) == pytest.approx(1.6)
    assert math.isnan(hedges_g([1.0, 1.0], [2.0, 2.0]))


def test_holm_is_as_by_hand() -> None:
    """The least times four, the next times three, never below the one before; NaN is no test."""
    assert holm([0.01, 0.04, math.nan, 0.03, 0.5])[:2] == pytest.approx([0.04, 0.09])
    assert holm([0.01, 0.04, math.nan, 0.03, 0.5])[3:] == pytest.approx([0.09, 0.5])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_logrank_scores_sum_to_the_numerator_of_scipys_test() -> None:
    """By hand: the first two of four reached the target; and O - E of scipy's statistic."""
    assert logrank_scores([1, 2, 3, 4], [True, True, False, False]) == pytest.approx(
        [3 / 4, 1 - 7 / 12, -7 / 12, -7 / 12]
    )
    times, came = [3, 5, 5, 8, 2, 8, 8, 7], [True, True, False, False, True, False, False, True]
    scores = np.array(logrank_scores(times, came))
    x, y = [
        stats.CensoredData.right_censored(times[part], np.invert(came[part]))
        for part in (slice(0, 4), slice(4, 8))
    ]
    variance = sum(  # hypergeometric, at each time with events
        (d := sum(t == at and c for t, c in zip(times, came, strict=True)))
        * (n1 := sum(t >= at for t in times[:4]))
        * (n2 := sum(t >= at for t in times[4:]))
        * (n1 + n2 - d)
        / ((n1 + n2) ** 2 * max(n1 + n2 - 1, 1))
        for at in sorted({t for t, c in zip(times, came, strict=True) if c})
    )
    assert scores.sum() == pytest.approx(0)
    assert scores[:4].sum() / math.sqrt(variance) == pytest.approx(stats.logrank(x, y).statistic)


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("shape", ["normal", "skewed"])
@pytest.mark.parametrize("test", ["t", "permutation"])
def test_identical_arms_differ_as_often_as_is_claimed(test: str, shape: str, paired: bool) -> None:
    """Of 2,000 comparisons of ten seeds 5 %, within what chance does in 999 of 1,000 cases."""
    rng = np.random.default_rng(20171127)
    size = (2, COMPARISONS, 10)
    ours, theirs = rng.normal(size=size) if shape == "normal" else rng.exponential(size=size)

    if test == "t":
        ps = t_p(ours, theirs, paired=paired)
    else:
        ps = permutation_p(ours, theirs, paired=paired, drawn=999)

    low, high = stats.binom.interval(0.999, COMPARISONS, 0.05)
    found = int((ps <= 0.05).sum())
    if (test, shape, paired) == ("t", "skewed", False):
        low = 0.5 * low  # Welch's test of skewed samples is known to be cautious
    assert low <= found <= high


def test_censored_times_of_identical_arms_differ_no_more_often_than_claimed() -> None:
    """By log-rank scores; ties make the exact test cautious, never bold."""
    rng = np.random.default_rng(5)
    found, trials = 0, 400
    for _ in range(trials):
        times = np.minimum(rng.geometric(0.1, size=12), 10)
        scores = logrank_scores(times.tolist(), (times < 10).tolist())
        test = permutation_test(scores[:6], scores[6:], paired=False)
        assert test is not None
        found += test.p <= 0.05

    assert found <= stats.binom.ppf(0.999, trials, 0.05)
    assert found > 0


@pytest.mark.parametrize(
    ("n", "method", "claimed"), [(5, "BCa", 0.837), (10, "BCa", 0.900), (10, "t", 0.950)]
)
def test_intervals_cover_the_mean_as_often_as_is_written_down(
    n: int, method: str, claimed: float
) -> None:
    """BCa of few normal values covers less than it says: the table of statistics.py."""
    values = np.random.default_rng(11).normal(size=(1000, n))

    covered = coverage(values, method, resamples=1999)

    low, high = stats.binom.interval(0.999, 1000, claimed)
    assert low <= 1000 * covered <= high


@settings(max_examples=40, deadline=None)
@given(SAMPLES, st.integers(-1000, 1000))
def test_a_constant_shift_is_found_exactly(theirs: list[float], shift: int) -> None:
    """The interval has no width, and p is 0."""
    ours = [value + shift for value in theirs]

    found = difference_interval(ours, theirs, paired=True)
    test = t_test(ours, theirs, paired=True)

    assert found is not None
    assert test is not None
    assert found.low == found.high == pytest.approx(shift, abs=1e-9)
    assert test.p == (1.0 if shift == 0 else 0.0)


@settings(max_examples=40, deadline=None)
@given(PAIRS, st.booleans(), st.sampled_from(["bootstrap", "t"]))
def test_swapping_the_arms_flips_the_signs(
    pairs: list[tuple[float, float]], paired: bool, how: str
) -> None:
    """Interval and effect change sign, and every p stays."""
    ours, theirs = map(list, zip(*pairs, strict=True))
    assume(not math.isclose(np.mean(ours), np.mean(theirs), abs_tol=1e-9))

    there = difference_interval(ours, theirs, paired=paired, how=how)  # type: ignore[arg-type]
    back = difference_interval(theirs, ours, paired=paired, how=how)  # type: ignore[arg-type]

    assert there is not None
    assert back is not None
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    for test in (t_test, permutation_test):
        one, other = test(ours, theirs, paired=paired), test(theirs, ours, paired=paired)
        assert one is not None
        assert other is not None
        assert one.p == pytest.approx(other.p)
    if not math.isnan(hedges_g(ours, theirs)):
        assert hedges_g(ours, theirs) == pytest.approx(-hedges_g(theirs, ours))


@settings(max_examples=40, deadline=None)
@given(PAIRS, st.booleans(), st.sampled_from(["bootstrap", "t"]), st.randoms(use_true_random=False))
def test_the_order_of_the_seeds_is_no_matter(
    pairs: list[tuple[float, float]], paired: bool, how: str, random: Random
) -> None:
    """This holds for pairs and for each side."""
    shuffled = random.sample(pairs, len(pairs))
    ours, theirs = map(list, zip(*pairs, strict=True))
    mine, other = map(list, zip(*shuffled, strict=True))
    if not paired:
        other = random.sample(other, len(other))

    one = difference_interval(ours, theirs, paired=paired, how=how)  # type: ignore[arg-type]
    two = difference_interval(mine, other, paired=paired, how=how)  # type: ignore[arg-type]

    assert one is not None
    assert two is not None
    assert (one.low, one.high) == pytest.approx((two.low, two.high))
    for test in (t_test, permutation_test):
        first, second = test(ours, theirs, paired=paired), test(mine, other, paired=paired)
        assert first is not None
        assert second is not None
        assert first.p == pytest.approx(second.p)
