"""Runs of the GAN task on real handwritten digits; of eight members, each a minute of one core."""

from dataclasses import replace

from core.pbt import PBT
from core.space import Fixed, LogUniform, Space
from core.strategies import (
    Every,
    Perturb,
    Resample,
    Truncation,
    TTest,
    binary_tournament,
    never,
)
from core.study import Replay, Study, grid
from core.task import Task
from tasks.gan.trainer import DigitsGAN

SCORE = "Inception score (digits)"
WIDE = Task(
    DigitsGAN,
    Space({"d_rate": LogUniform(1e-5, 1e-2), "g_rate": LogUniform(1e-5, 1e-2)}),
    SCORE,
)
NARROW = Task(
    DigitsGAN,
    Space({"d_rate": LogUniform(3e-4, 1e-2), "g_rate": LogUniform(3e-4, 1e-2)}),
    SCORE,
)


def digits() -> PBT:
    """Eight members, 25 rounds of 240 updates: about half a minute with two workers.

    Factors of 2 and 0.5 as in the paper's GAN experiment (section 4.3.1): in 25 rounds, 1.2 and 0.8
    could not cross the three decades of the prior.
    """
    return PBT(
        task=WIDE,
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
    return replace(digits(), task=NARROW)


def digits_narrow_random_search() -> PBT:
    """Baseline of `digits_narrow`."""
    return replace(digits_narrow(), ready=never)


GRID = (1e-4, 4e-4, 1.6e-3, 6.4e-3)  # of either rate: four times apart


def digits_sweep() -> PBT:
    """A hand-made search: every pair of four rates each, with twice the budget of `digits`."""
    starts = tuple({"d_rate": d, "g_rate": g} for d in GRID for g in GRID)
    return replace(digits_random_search(), members=len(starts), start=starts)


def digits_fixed() -> PBT:
    """Eight members that all train with the best pair of `digits_sweep`, to the end."""
    rates = Space({"d_rate": Fixed(6.4e-3), "g_rate": Fixed(4e-4)})
    return replace(digits_random_search(), task=Task(DigitsGAN, rates, SCORE))


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
