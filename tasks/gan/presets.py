"""Runs of the GAN task: the paper's on CIFAR-10, and in small on real handwritten digits."""

from dataclasses import replace
from functools import partial
from typing import Literal

from core import (
    PBT,
    Anneal,
    Every,
    Fixed,
    LogUniform,
    Perturb,
    Replay,
    Resample,
    Space,
    Study,
    Task,
    Truncation,
    TTest,
    binary_tournament,
    grid,
    never,
)
from tasks.gan.problems import CIFAR10, DIGITS, DIGITS_CONVOLUTIONAL
from tasks.gan.trainer import WGANGP, Problem

RATES = ("d_rate", "g_rate")
SCORE = "Inception score (digits)"
WIDE = Space({name: LogUniform(1e-5, 1e-2) for name in RATES})
NARROW = Space({name: LogUniform(3e-4, 1e-2) for name in RATES})


def _task(problem: Problem, space: Space) -> Task:
    return Task(partial(WGANGP, problem), space, SCORE)


# ------------------------------------------------------------- the paper's, on CIFAR-10

PAPER_RATES = (1e-4, 2e-4, 5e-4)  # of either network: nine settings
PAPER_SEEDS = 5  # of each setting
INTERVAL = CIFAR10.updates  # updates of the generator in a step: members are ready after each
PAPER_SPACE = Space({name: LogUniform(1e-4, 5e-4) for name in RATES})


def table_4_truncation() -> PBT:
    """Table 4 and figures 4, 6, 7 and 8: 45 members, a million steps, ready every 5,000.

    The paper's numbers: 6.80 ± 0.01 (CIFAR Inception), 6.89 ± 0.04 (ImageNet Inception of the model
    that it selects), 7.02 ± 0.07 (peak). Its starts are nine settings, five seeds each; rates may
    go anywhere from there, as in its figure 7.
    """
    starts = tuple(
        {"d_rate": d, "g_rate": g}
        for d in PAPER_RATES
        for g in PAPER_RATES
        for _ in range(PAPER_SEEDS)
    )
    return PBT(
        task=Task(partial(WGANGP, CIFAR10), PAPER_SPACE, "Inception score (CIFAR classifier)"),
        members=len(starts),
        start=starts,
        steps=1_000_000 // INTERVAL,
        ready=Every(1),
        exploit=Truncation(0.2),
        explore=Perturb((0.5, 2.0)),
        report=Every(10),
    )


def table_4_rehearsal() -> PBT:
    """The same with two updates in a step and 1,000 samples: to see that all it needs is there.

    What remains is to look at all training images once, for the report: use a GPU.
    """
    run = table_4_truncation()
    few = replace(CIFAR10, updates=2, to_select=1000, to_report=1000)
    return replace(run, task=replace(run.task, trainer=partial(WGANGP, few)), steps=2)


def table_4_tournament() -> PBT:
    """The same with a binary tournament: 6.77 ± 0.02, 6.74 ± 0.05, 6.81 ± 0.04."""
    return replace(table_4_truncation(), exploit=binary_tournament)


def table_4_baseline() -> PBT:
    """What the paper's search for a baseline found best: 6.38 ± 0.03, 6.45 ± 0.05, 6.48 ± 0.05.

    Fixed for 1e5 steps, falling exponentially to a hundredth over 1e5 more, then kept.
    """
    return _annealed(100_000, "exponential")


def table_4_baseline_search() -> Study:
    """The search itself: two ways to fall, after and within N in {0.5, 1, 2}e5 steps."""
    arms = {
        f"{shape}_{steps}": replace(_annealed(steps, shape), steps=2 * steps // INTERVAL)
        for shape in ("exponential", "linear")
        for steps in (50_000, 100_000, 200_000)
    }
    return Study(arms=arms, seeds=(1,))


def _annealed(steps: int, shape: Literal["exponential", "linear"]) -> PBT:
    count = steps // INTERVAL
    to = 0.01 if shape == "exponential" else 0.0
    rule = Anneal(RATES, hold=count, fall=count, to=to, shape=shape)
    return replace(table_4_truncation(), ready=never, schedule=rule)


def figure_5b() -> Study:
    """Figure 5 b: 1.08 (truncation) and 1.05 (tournament) times the baseline, peaks of table 4."""
    arms = {
        "truncation": table_4_truncation(),
        "tournament": table_4_tournament(),
        "baseline": table_4_baseline(),
    }
    return Study(arms=arms, seeds=(1,), baseline="baseline")


# ------------------------------------------------------------- one run, and its baselines


def digits() -> PBT:
    """Eight members, 25 rounds of 240 updates: about half a minute with two workers.

    Factors of 2 and 0.5 as in the paper's GAN experiment (section 4.3.1): in 25 rounds, 1.2 and 0.8
    could not cross the three decades of the prior.
    """
    return PBT(
        task=_task(DIGITS, WIDE),
        members=8,
        steps=25,
        ready=Every(1),
        exploit=Truncation(0.25),
        explore=Perturb((0.5, 2.0)),
        report=Every(5),
        mode="lockstep",
    )


def digits_random_search() -> PBT:
    """Baseline: the same starts with the same budget, and none ever looks at another."""
    return replace(digits(), ready=never)


def digits_narrow() -> PBT:
    """A prior of one and a half decades about the good region, instead of three."""
    return replace(digits(), task=_task(DIGITS, NARROW))


def digits_narrow_random_search() -> PBT:
    """Baseline of `digits_narrow`."""
    return replace(digits_narrow(), ready=never)


def digits_convolutional() -> PBT:
    """The networks of the paper in small, half as many updates: they cost three times as much."""
    return replace(digits(), task=_task(DIGITS_CONVOLUTIONAL, WIDE))


def digits_long() -> PBT:
    """Three times as many updates, in as many rounds."""
    return replace(digits(), task=_task(replace(DIGITS, updates=3 * DIGITS.updates), WIDE))


# ----------------------------------------------- hand-made settings, chosen with more budget

GRID = (1e-4, 4e-4, 1.6e-3, 6.4e-3)  # of either rate: four times apart
# as in the paper's baseline, half fixed and half falling; of 25 rounds the last one has the end
EXPONENTIAL = Anneal(RATES, hold=12, fall=12)
LINEAR = Anneal(RATES, hold=12, fall=12, to=0.0, shape="linear")


def digits_sweep() -> PBT:
    """A hand-made search: every pair of four rates each, with twice the budget of `digits`."""
    return _sweep(digits())


def digits_sweep_exponential() -> PBT:
    """The same, both rates falling to a hundredth in the second half."""
    return replace(_sweep(digits()), schedule=EXPONENTIAL)


def digits_sweep_linear() -> PBT:
    """The same, both rates falling to nothing in the second half."""
    return replace(_sweep(digits()), schedule=LINEAR)


def digits_long_sweep() -> PBT:
    """`digits_sweep`, three times longer."""
    return _sweep(digits_long())


def digits_long_sweep_linear() -> PBT:
    """`digits_sweep_linear`, three times longer."""
    return replace(_sweep(digits_long()), schedule=LINEAR)


def _sweep(run: PBT) -> PBT:
    starts = tuple({"d_rate": d, "g_rate": g} for d in GRID for g in GRID)
    return replace(run, members=len(starts), start=starts, ready=never)


def _all_with(run: PBT, d_rate: float, g_rate: float) -> PBT:
    """Return a run whose members all train with this pair: the best of eight initial weights."""
    space = Space({"d_rate": Fixed(d_rate), "g_rate": Fixed(g_rate)})
    return replace(run, task=replace(run.task, space=space), ready=never)


def digits_fixed() -> PBT:
    """Eight members that all train with the best pair of `digits_sweep`, to the end."""
    return _all_with(digits(), 6.4e-3, 4e-4)


def digits_fixed_linear() -> PBT:
    """The same with the best annealed pair, that of `digits_sweep_linear`."""
    return replace(_all_with(digits(), 6.4e-3, 1.6e-3), schedule=LINEAR)


# ------------------------------------------------------------------------------ studies

TABLE_SEEDS = tuple(range(1, 13))


def digits_table_4() -> Study:
    """Table 4 in small: both exploiters and every baseline, twelve seeds each."""
    run = digits()
    arms = _exploiters(run) | {
        "random_search": replace(run, ready=never),
        "random_search_linear": replace(run, ready=never, schedule=LINEAR),
        "fixed": digits_fixed(),
        "fixed_linear": digits_fixed_linear(),
    }
    return Study(arms=arms, seeds=TABLE_SEEDS, baseline="random_search")


def digits_table_4_narrow() -> Study:
    """Its prior a decade and a half wide, in place of three."""
    run = digits_narrow()
    arms = _exploiters(run) | {
        "random_search": replace(run, ready=never),
        "random_search_linear": replace(run, ready=never, schedule=LINEAR),
    }
    return Study(arms=arms, seeds=TABLE_SEEDS, baseline="random_search")


def digits_table_4_long() -> Study:
    """Three times as many updates; the best pairs of `digits_long_sweep` and of the linear one."""
    run = digits_long()
    arms = {
        "truncation": run,
        "random_search": replace(run, ready=never),
        "fixed": _all_with(run, 1.6e-3, 4e-4),
        "fixed_linear": replace(_all_with(run, 1.6e-3, 6.4e-3), schedule=LINEAR),
    }
    return Study(arms=arms, seeds=TABLE_SEEDS, baseline="random_search")


def digits_table_4_convolutional() -> Study:
    """Convolutional networks, as the paper's."""
    run = digits_convolutional()
    arms = {"truncation": run, "random_search": replace(run, ready=never)}
    return Study(arms=arms, seeds=TABLE_SEEDS, baseline="random_search")


def digits_figure_5b() -> Study:
    """Figure 5 b in small: three of the arms of `digits_table_4`, which has them already."""
    arms = _exploiters(digits()) | {"random_search": digits_random_search()}
    return Study(arms=arms, seeds=TABLE_SEEDS, baseline="random_search")


def _exploiters(run: PBT) -> dict[str, PBT]:
    return {"truncation": run, "tournament": replace(run, exploit=binary_tournament)}


def digits_study() -> Study:
    """Exploiters x explorers x population sizes, each size with its random search; and 5 d.

    Figure 5 in small (section 4.4): 16 arms; a seed of all takes about six minutes on two cores.
    """
    exploits = {
        "truncation": Truncation(0.25),
        "t-test": TTest(0.05),
        "tournament": binary_tournament,
    }
    explores = {"perturb": Perturb((0.5, 2.0)), "resample": Resample()}
    sizes = {"4": 4, "8": 8}
    arms, levels = grid(digits(), exploit=exploits, explore=explores, members=sizes)
    searches, theirs = grid(digits_random_search(), members=sizes)
    return Study(
        arms=arms
        | {f"random_search-{name}": search for name, search in searches.items()}
        | {
            "replay": Replay(of="truncation-perturb-8"),
            "final": Replay(of="truncation-perturb-8", use="final"),
        },
        seeds=tuple(range(1, 11)),
        baseline="random_search-8",
        levels=levels | {f"random_search-{name}": level for name, level in theirs.items()},
    )
