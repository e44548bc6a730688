"""Runs on the toy: the paper's figure 2, and a population of twenty that takes a second."""

from dataclasses import replace

from core import (
    PBT,
    Every,
    Fixed,
    Noise,
    Perturb,
    Replay,
    Resample,
    Space,
    Study,
    Task,
    Truncation,
    TTest,
    Uniform,
    binary_tournament,
    grid,
    keep,
    never,
)
from tasks.toy.quadratic import Quadratic

UNIT = Uniform(0, 1, domain=(0, 1))
TASK = Task(Quadratic, Space({"h0": UNIT, "h1": UNIT, "updates": Fixed(1)}), score="Q(θ)")

COEFFICIENT = Uniform(0, 1, domain=(0, float("inf")))
FIGURE_2 = Task(
    Quadratic,
    Space({"h0": COEFFICIENT, "h1": COEFFICIENT, "updates": Fixed(4, domain=(1, 5))}),
    score="Q(θ)",
)
NOISE = 0.3  # of h; not stated in the paper: with it PBT ends, in the median of 40 seeds, as there


def pbt() -> PBT:
    """Twenty members, 40 steps each; a second on a laptop."""
    return PBT(
        task=TASK,
        members=20,
        steps=40,
        ready=Every(4),
        exploit=Truncation(0.2),
        explore=Perturb((0.8, 1.2)),
    )


def random_search() -> PBT:
    """Baseline: as many members with as many steps, and none ever looks at another."""
    return replace(pbt(), ready=never)


def toy_study() -> Study:
    """Exploiters x explorers x population sizes, and one axis at a time: what is inherited, when.

    Figure 5 on the toy (section 4.4): 27 arms; a seed of all takes ten seconds on one core.
    Coefficients may leave their prior and twelve steps are few, so that even the best start can be
    improved on.
    """
    task = Task(
        Quadratic, Space({"h0": COEFFICIENT, "h1": COEFFICIENT, "updates": Fixed(1)}), "Q(θ)"
    )
    base = replace(pbt(), task=task, steps=12, ready=Every(2), mode="lockstep")
    exploits = {
        "truncation": Truncation(0.2),
        "t-test": TTest(0.05),
        "tournament": binary_tournament,
    }
    explores = {"perturb": Perturb((0.8, 1.2)), "resample": Resample(), "keep": keep}
    sizes = {"5": 5, "20": 20}
    arms, levels = grid(base, exploit=exploits, explore=explores, members=sizes)
    searches, theirs = grid(replace(base, ready=never), members=sizes)
    inherits = {"weights": ("weights",), "hypers": ("hypers",), "nothing": ()}
    passing, inherited = grid(base, inherit=inherits)
    base_name = "truncation-perturb-20"
    times, intervals = grid(base, ready={"every-1": Every(1), "every-4": Every(4)})
    return Study(
        arms=arms
        | {f"random_search-{name}": search for name, search in searches.items()}
        | {f"inherit-{name}": arm for name, arm in passing.items()}
        | times
        | {
            "replay": Replay(of=base_name),
            "final": Replay(of=base_name, use="final"),
        },
        seeds=tuple(range(1, 11)),
        baseline="random_search-20",
        levels=levels
        | {base_name: levels[base_name] | {"inherit": "both", "ready": "every-2"}}
        | {f"random_search-{name}": level for name, level in theirs.items()}
        | {f"inherit-{name}": level for name, level in inherited.items()}
        | intervals,
    )


def figure_2_pbt() -> PBT:
    """Figure 2, first panel: the weaker of two copies the other's weights and varies its own h.

    A step is one plotted point: four updates of the first worker, five of the second, which the
    paper's curves show to have been that much faster.
    """
    return PBT(
        task=FIGURE_2,
        members=2,
        steps=8,
        start=(
            {"h0": 1.0, "h1": 0.0, "updates": 4},
            {"h0": 0.0, "h1": 1.0, "updates": 5},
        ),
        ready=Every(1),
        exploit=Truncation(0.5),
        explore=Noise(NOISE, names=("h0", "h1")),
        inherit=("weights",),
        mode="lockstep",
    )


def figure_2_explore_only() -> PBT:
    """Figure 2, second panel: the weaker one varies its h, and keeps its weights."""
    return replace(figure_2_pbt(), inherit=())


def figure_2_exploit_only() -> PBT:
    """Figure 2, third panel: the weaker one copies the other's weights, and keeps its h."""
    return replace(figure_2_pbt(), explore=keep)


def figure_2_grid() -> PBT:
    """Figure 2, fourth panel: both go on with what they began with."""
    return replace(figure_2_pbt(), ready=never)
