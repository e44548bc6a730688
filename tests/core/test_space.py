"""Priors and domains: where values start, and where they may go."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from core.member import Hypers
from core.space import Choice, Fixed, Integer, LogUniform, Prior, Space, Uniform
from core.values import check_names

RNG = np.random.default_rng(0)
PRIORS: list[Prior] = [
    Uniform(-1, 2),
    Uniform(5, 50, domain=(1, math.inf)),
    LogUniform(1e-5, 1e-2),
    LogUniform(1e-5, 1e-2, domain=(1e-6, 1)),
    Integer(1, 8, domain=(1, 64)),
    Integer(-3, 3),
    Choice((1, 2, 4, 8), ordered=True),
    Choice(("relu", "tanh", "gelu")),
    Fixed(3.0),
    Fixed("adam"),
]


@pytest.mark.parametrize("prior", PRIORS, ids=repr)
@given(factors=st.lists(st.floats(0.01, 100), max_size=60), seed=st.integers(0, 2**32))
def test_no_walk_leaves_the_domain(prior: Prior, factors: list[float], seed: int) -> None:
    """However often a value is scaled and shifted, it is legal, and of the kind it was."""
    rng = np.random.default_rng(seed)
    value = prior.sample(rng)
    kind = type(value)

    for factor in factors:
        value = prior.shifted(prior.scaled(value, factor, rng), factor - 1)

        assert prior.legal(value) == value
        assert type(value) is kind
        assert isinstance(value, str) or math.isfinite(value)


@pytest.mark.parametrize("start", [-2, -1, 0, 1, 2, 5])
@pytest.mark.parametrize("factor", [0.5, 0.8, 1.2, 2.0])
def test_an_integer_never_gets_stuck(start: int, factor: float) -> None:
    """Not at 0, 1 or 2, where rounding undoes every small factor in the systems in use."""
    moved = Integer(-9, 9).scaled(start, factor, RNG)

    assert moved != start
    assert abs(float(moved) - start * factor) <= 1


def test_an_integer_can_go_back_from_where_it_came() -> None:
    """A lower bound is no trap: the next factor above 1 leads away from it."""
    prior = Integer(1, 8, domain=(1, 8))

    assert prior.scaled(1, 0.8, RNG) == 1
    assert prior.scaled(1, 1.2, RNG) == 2


def test_a_log_uniform_value_never_becomes_zero() -> None:
    """No number of halvings ends at 0, from which no factor leads away."""
    value: float | str = 1e-300
    for _ in range(200):
        value = LogUniform(1e-5, 1e-2).scaled(value, 0.5, RNG)

    assert float(value) > 0


def test_an_ordered_choice_moves_to_a_neighbour_and_an_unordered_one_anywhere_else() -> None:
    """An ordered list is not a number line, an unordered one not even a line."""
    sizes = Choice((16, 64, 128), ordered=True)
    names = Choice(("relu", "tanh", "gelu"))

    assert (sizes.scaled(64, 1.2, RNG), sizes.scaled(64, 0.5, RNG)) == (128, 16)
    assert (sizes.scaled(128, 1.2, RNG), sizes.scaled(16, 0.8, RNG)) == (128, 16)
    assert {names.scaled("relu", 1.2, RNG) for _ in range(50)} == {"tanh", "gelu"}


def test_first_values_follow_the_prior() -> None:
    """Uniform and log-uniform draws pass a Kolmogorov-Smirnov test against scipy's."""
    rng = np.random.default_rng(3)
    flat = [float(Uniform(2, 5).sample(rng)) for _ in range(2000)]
    logs = [float(LogUniform(1e-4, 1e-1).sample(rng)) for _ in range(2000)]

    assert stats.kstest(flat, stats.uniform(2, 3).cdf).pvalue > 0.01
    assert stats.kstest(logs, stats.loguniform(1e-4, 1e-1).cdf).pvalue > 0.01


def test_an_integer_draws_both_ends() -> None:
    """low and high are both included."""
    rng = np.random.default_rng(3)

    assert {Integer(1, 3).sample(rng) for _ in range(100)} == {1, 2, 3}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Uniform(2, 1), "empty"),
        (lambda: LogUniform(0, 1), "low > 0"),
        (lambda: Uniform(0, math.inf), "unbounded"),
        (lambda: Uniform(math.nan, 1), "empty"),
        (lambda: LogUniform(1e-5, 1, domain=(1e-4, 1)), "reaches out of its domain"),
        (lambda: Integer(0, 2.5), "not whole"),  # type: ignore[arg-type]
        (lambda: Choice(()), "at least one option"),
        (lambda: Choice((1, 1)), "none twice"),
        (lambda: Choice((True, False)), "neither a number nor a name"),
        (lambda: Fixed(7, domain=(0, 1)), "out of its domain"),
        (lambda: Space({}), "the space is empty"),
        (lambda: Space({"lr": 0.1}), "give it a Uniform"),  # type: ignore[dict-item]
    ],
)
def test_a_prior_that_makes_no_sense_is_refused(make, words) -> None:  # type: ignore[no-untyped-def]
    """Where it is written, with what is wrong."""
    with pytest.raises(ValueError, match=words):
        make()


def test_a_constraint_holds_for_the_start() -> None:
    """A start is drawn until the values go together; an impossible constraint is named."""
    space = Space({"a": Uniform(0, 1), "b": Uniform(0, 1)}, constraint=_a_below_b)

    for _ in range(50):
        hypers = space.sample(RNG)
        assert float(hypers["a"]) < float(hypers["b"])
    with pytest.raises(ValueError, match=r"none of 1000 draws .* '_never'"):
        Space({"a": Uniform(0, 1)}, constraint=_never).sample(RNG)


def _a_below_b(hypers: Hypers) -> bool:
    return float(hypers["a"]) < float(hypers["b"])


def _never(hypers: object) -> bool:
    return False


def test_a_wrong_name_is_answered_with_the_nearest() -> None:
    """And a missing one with what to do."""
    space = {"learning_rate": None, "entropy": None}

    with pytest.raises(ValueError, match="Did you mean 'learning_rate'"):
        check_names(["learning_rte", "entropy"], space)
    with pytest.raises(ValueError, match=r"no value for entropy; .* Fixed"):
        check_names(["learning_rate"], space)
