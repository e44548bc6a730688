"""The rules: what the paper says of them, and what no score may make them do."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from core.member import Hypers, Member
from core.peers import Peers
from core.rules import name
from core.space import Choice, Fixed, Integer, LogUniform, Space, Uniform
from core.strategies.exploit import Among, Exploit, Truncation, TTest, binary_tournament
from core.strategies.explore import Chain, Explore, Noise, Perturb, Resample, SymmetricPerturb, keep
from core.strategies.ready import Every, SinceLastReady, never

EXPLOITS: list[Exploit] = [
    Truncation(),
    Truncation(0.5),
    TTest(),
    binary_tournament,
    Among(Truncation(), within=2, quorum=3),
]


def population(scores: Sequence[float]) -> list[Member]:
    """Return members with these scores."""
    return [Member(id=i, score=score, scores=(score,) * 3) for i, score in enumerate(scores)]


def ask(
    exploit: Exploit, me: Member, members: Sequence[Member], rng: np.random.Generator
) -> Member:
    """Return whom `me` copies among these."""
    donor = exploit(me, Peers.of(me, members), rng)
    assert isinstance(donor, Member), "no rule of the paper begins anew"
    return donor


# ------------------------------------------------------------------------------- every rule


@pytest.mark.parametrize("exploit", EXPLOITS, ids=name)
@given(scores=st.lists(st.floats(), min_size=1, max_size=50), seed=st.integers(0, 2**32))
def test_nobody_copies_anybody_worse(exploit: Exploit, scores: list[float], seed: int) -> None:
    """Whatever the scores, NaN, infinity and ties included, the answer is as fit as who asks."""
    everybody = population(scores)
    rng = np.random.default_rng(seed)

    for me in everybody:
        answer = ask(exploit, me, everybody, rng)
        assert answer.fitness >= me.fitness
        assert answer.id == me.id or answer.healthy


@pytest.mark.parametrize("exploit", EXPLOITS, ids=name)
def test_a_population_of_one_stays(exploit: Exploit) -> None:
    """There is nobody else to copy, diverged or not."""
    for score in (1.0, math.nan):
        [me] = population([score])
        assert ask(exploit, me, [me], np.random.default_rng(0)) is me


@pytest.mark.parametrize("exploit", EXPLOITS[:4], ids=name)
@pytest.mark.parametrize("bad", [math.nan, -math.inf, math.inf])
def test_a_nan_member_is_rescued_and_never_a_donor(exploit: Exploit, bad: float) -> None:
    """Caught in Ray, IsaacLab and Syne Tune."""
    everybody = population([bad, 1.0, 2.0])
    rng = np.random.default_rng(0)

    rescued = [ask(exploit, everybody[0], everybody, rng).id for _ in range(50)]
    copied = [ask(exploit, me, everybody, rng).id for me in everybody[1:] for _ in range(50)]

    assert set(rescued) <= {1, 2}
    assert 0 not in copied


@pytest.mark.parametrize("exploit", EXPLOITS, ids=name)
def test_a_decision_is_a_function_of_what_was_seen_and_of_the_key(exploit: Exploit) -> None:
    """The same population and the same random numbers give the same answer."""
    everybody = population([3.0, 1.0, 2.0, 0.0, 5.0, 4.0])

    for me in everybody:
        answers = {ask(exploit, me, everybody, np.random.default_rng(5)).id for _ in range(3)}
        assert len(answers) == 1


# ------------------------------------------------------------------------------- truncation


@pytest.mark.parametrize(("n", "tail"), [(10, 2), (30, 6), (40, 8), (45, 9), (80, 16)])
def test_truncation_takes_the_papers_counts(n: int, tail: int) -> None:
    """20 % of the paper's populations, at either end."""
    everybody = population([float(i) for i in range(n)])
    rng = np.random.default_rng(0)

    answers = {
        me.id: [ask(Truncation(), me, everybody, rng) for _ in range(400)] for me in everybody
    }
    copying = {id for id, found in answers.items() if any(m.id != id for m in found)}
    donors = {m.id for id in copying for m in answers[id]}

    assert copying == set(range(tail))
    assert donors == set(range(n - tail, n))


def test_truncation_rescues_all_who_diverged() -> None:
    """Also when they are more than the bottom holds."""
    everybody = population([math.nan] * 5 + [1.0, 2.0, 3.0, 4.0, 5.0])
    rng = np.random.default_rng(0)

    donors = {ask(Truncation(), me, everybody, rng).id for me in everybody[:5] for _ in range(50)}

    assert donors == {8, 9}
    assert ask(Truncation(), everybody[5], everybody, rng).id == 5


@given(fraction=st.floats(0.001, 0.5), n=st.integers(2, 200))
def test_the_two_tails_never_overlap(fraction: float, n: int) -> None:
    """Whoever is in the top stays."""
    everybody = population([float(i) for i in range(n)])

    assert ask(Truncation(fraction), everybody[-1], everybody, np.random.default_rng(0)).id == n - 1


def test_a_tail_is_not_short_by_rounding() -> None:
    """0.29 of 100 is 29, although 0.29 * 100 is a little less in floating point."""
    everybody = population([float(i) for i in range(100)])
    rng = np.random.default_rng(0)

    copying = [me.id for me in everybody if ask(Truncation(0.29), me, everybody, rng).id != me.id]

    assert len(copying) == 29


def test_donors_are_drawn_uniformly() -> None:
    """A chi-square test over the top 20 % of 40."""
    everybody = population([float(i) for i in range(40)])
    rng = np.random.default_rng(1)

    drawn = [ask(Truncation(), everybody[0], everybody, rng).id for _ in range(4000)]

    counts = np.bincount(drawn, minlength=40)[32:]
    assert counts.sum() == 4000
    assert stats.chisquare(counts).pvalue > 0.01


# ----------------------------------------------------------------------------------- t-test


@given(
    mine=st.lists(st.floats(-5, 5), min_size=2, max_size=10),
    theirs=st.lists(st.floats(-5, 5), min_size=2, max_size=10),
    level=st.sampled_from([0.01, 0.05, 0.2]),
)
def test_the_t_test_is_scipys_with_unequal_variances(
    mine: list[float], theirs: list[float], level: float
) -> None:
    """Two-sided, and only upwards."""
    me = Member(id=0, score=float(np.mean(mine)), scores=tuple(mine))
    rival = Member(id=1, score=float(np.mean(theirs)), scores=tuple(theirs))
    if min(np.std(mine), np.std(theirs)) < 1e-3:
        return  # scipy itself warns of lost precision there
    test = stats.ttest_ind(theirs, mine, equal_var=False)
    if abs(test.pvalue - level) < 1e-9 or abs(np.mean(theirs) - np.mean(mine)) < 1e-9:
        return

    answer = ask(TTest(level), me, [me, rival], np.random.default_rng(0))

    assert (answer.id == 1) == (test.pvalue < level and test.statistic > 0)


@pytest.mark.parametrize(
    ("mine", "theirs", "copies"),
    [
        ((1.0, 1.0, 1.0), (2.0, 2.0, 2.0), True),  # constant, and certainly different
        ((1.0, 1.0, 1.0), (1.0, 1.0, 1.0), False),
        ((1.0,), (2.0, 2.0), False),  # nothing to test yet
        ((), (2.0, 2.0), False),
        ((1.0, 1.0, 1.0), (2.0, 2.1, 2.2), True),  # one of them constant
        ((1.0, 9.0), (5.0, 6.0), False),  # higher, but not significantly
    ],
)
def test_constant_and_short_samples_have_an_answer(
    mine: tuple[float, ...], theirs: tuple[float, ...], copies: bool
) -> None:
    """And it is the one that a person would give."""
    me, rival = Member(id=0, score=1.0, scores=mine), Member(id=1, score=2.0, scores=theirs)

    assert (ask(TTest(), me, [me, rival], np.random.default_rng(0)).id == 1) is copies


def test_the_t_test_draws_its_rival_uniformly() -> None:
    """Among all others, once."""
    everybody = population([0.0, 1.0, 2.0, 3.0])
    rng = np.random.default_rng(2)

    counts = np.bincount([ask(TTest(), everybody[0], everybody, rng).id for _ in range(3000)])

    assert stats.chisquare(counts[1:]).pvalue > 0.01


def test_the_tournament_copies_the_better_of_two() -> None:
    """And stays at a tie."""
    better = population([1.0, 2.0])
    equal = population([1.0, 1.0])
    rng = np.random.default_rng(0)

    assert ask(binary_tournament, better[0], better, rng).id == 1
    assert ask(binary_tournament, better[1], better, rng).id == 1
    assert ask(binary_tournament, equal[0], equal, rng).id == 0


# ------------------------------------------------------------------------------------ among


def test_the_first_round_does_not_depend_on_who_reported_first() -> None:
    """Caught in Syne Tune: with a quorum nobody is judged before enough have reported."""
    rule = Among(Truncation(), quorum=4)
    everybody = population([0.0, 1.0, 2.0, 3.0])

    assert ask(rule, everybody[0], everybody[:2], np.random.default_rng(0)).id == 0
    assert ask(rule, everybody[0], everybody, np.random.default_rng(0)).id == 3


def test_members_of_another_age_can_be_left_out() -> None:
    """A member is not beaten by one that has trained ten times as long."""
    me, old = Member(id=0, step=3, score=1.0), Member(id=1, step=30, score=9.0)

    assert ask(Among(Truncation(0.5), within=5), me, [me, old], np.random.default_rng(0)).id == 0


# ------------------------------------------------------------------------------------ ready


def test_every_and_never() -> None:
    """At the multiples; at none."""
    assert [step for step in range(1, 13) if Every(4)(Member(id=0, step=step))] == [4, 8, 12]
    assert not never(Member(id=0, step=4))


def test_a_fresh_copy_is_not_judged_before_it_had_time() -> None:
    """Caught in Syne Tune: `settle` holds a member back after its last copy."""
    copied = Member(id=0, step=8, last_copy=7, last_ready=7)

    assert Every(4)(copied)
    assert not Every(4, settle=2)(copied)
    assert not Every(4, start=9)(copied)


def test_since_last_ready_counts_from_the_last_time() -> None:
    """Every k steps as long as nothing holds a member back, else k steps after that."""
    me, at = Member(id=0), []
    rule = SinceLastReady(3, start=5)
    for _ in range(12):
        me = me.trained((0.0,))
        if rule(me):
            at.append(me.step)
            me = me.decided({})

    assert at == [5, 8, 11]


# ---------------------------------------------------------------------------------- explore

SPACE = Space(
    {
        "lr": LogUniform(1e-4, 1e-2),
        "entropy": Uniform(0, 1, domain=(0, 1)),
        "layers": Integer(1, 4, domain=(1, 64)),
        "width": Choice((16, 32, 64), ordered=True),
        "activation": Choice(("relu", "tanh")),
        "batch": Fixed(32),
    }
)
EXPLORES: list[Explore] = [
    Perturb(),
    Perturb((0.5, 2.0)),
    SymmetricPerturb(1.2),
    Noise(0.1),
    Resample(0.5),
    Chain((Perturb(), Resample(0.1))),
    keep,
]


@pytest.mark.parametrize("explore", EXPLORES, ids=name)
@given(seed=st.integers(0, 2**32))
def test_exploring_stays_in_the_space(explore: Explore, seed: int) -> None:
    """After forty moves all names are there, all values legal, and the fixed one is as it was."""
    rng = np.random.default_rng(seed)
    hypers = SPACE.sample(rng)

    for _ in range(40):
        before = dict(hypers)
        hypers = explore(hypers, SPACE, rng)

        assert SPACE.legal(hypers) == hypers
        assert hypers["batch"] == 32
        assert before.keys() == hypers.keys()


@pytest.mark.parametrize("factors", [(0.8, 1.2), (0.5, 2.0), (0.9, 1.0, 1.3)])
def test_perturb_multiplies_each_by_a_factor_of_its_own(factors: tuple[float, ...]) -> None:
    """Exactly, without clipping to the prior, and in all combinations."""
    space = Space({"a": LogUniform(1, 2), "b": LogUniform(1, 2)})
    rng = np.random.default_rng(0)

    found = {tuple(Perturb(factors)({"a": 2.0, "b": 1.0}, space, rng).values()) for _ in range(300)}

    assert found == {(2 * x, y) for x in factors for y in factors}


def _drift(explore: Explore, moves: int, seeds: int) -> float:
    """Return the mean change of the logarithm of a value in so many moves."""
    space = Space({"lr": LogUniform(1e-3, 1e-1)})
    logs = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        hypers: Hypers = {"lr": 1.0}
        for _ in range(moves):
            hypers = explore(hypers, space, rng)
        logs.append(math.log(float(hypers["lr"])))
    return float(np.mean(logs))


def test_the_symmetric_operator_does_not_drift() -> None:
    """Caught in Ray: {1.2, 0.8} loses 2 % a move; this one loses nothing."""
    sd = math.sqrt(50) * math.log(1.2) / math.sqrt(400)

    assert abs(_drift(SymmetricPerturb(1.2), 50, 400)) < 4 * sd
    assert _drift(Perturb(), 50, 400) == pytest.approx(50 * math.log(0.96) / 2, abs=4 * sd)


def test_symmetric_perturb_frees_a_value_that_is_zero() -> None:
    """No factor leads away from 0, so it is drawn anew."""
    space = Space({"cost": Uniform(0, 1)})
    rng = np.random.default_rng(0)

    assert Perturb()({"cost": 0.0}, space, rng)["cost"] == 0
    assert float(SymmetricPerturb()({"cost": 0.0}, space, rng)["cost"]) > 0


def test_noise_moves_a_value_that_is_zero_and_only_the_named_ones() -> None:
    """The toy of the paper needs the one, its fixed update counts the other."""
    space = Space({"h0": Uniform(-9, 9), "h1": Uniform(-9, 9)})

    moved = Noise(0.5, names=("h0",))({"h0": 0.0, "h1": 0.0}, space, np.random.default_rng(0))

    assert moved["h0"] != 0
    assert moved["h1"] == 0


def test_resample_draws_with_its_probability() -> None:
    """A quarter of the values, of a thousand, is new."""
    space = Space({"lr": LogUniform(1e-4, 1e-2)})
    rng = np.random.default_rng(0)

    new = sum(Resample(0.25)({"lr": 1.0}, space, rng)["lr"] != 1.0 for _ in range(1000))

    assert stats.binomtest(new, 1000, 0.25).pvalue > 0.01


@pytest.mark.parametrize(
    "make",
    [
        lambda: Truncation(0),
        lambda: Truncation(0.6),
        lambda: TTest(0),
        lambda: Every(0),
        lambda: Every(2, settle=-1),
        lambda: SinceLastReady(0),
        lambda: Among(keep, within=-1),  # type: ignore[arg-type]
        lambda: Perturb(()),
        lambda: Perturb((1.2, -1)),
        lambda: SymmetricPerturb(0.8),
        lambda: Noise(0),
        lambda: Resample(1.5),
    ],
)
def test_a_rule_of_no_use_is_refused(make) -> None:  # type: ignore[no-untyped-def]
    """Where it is written."""
    with pytest.raises(ValueError, match=r"got|must"):
        make()
