"""UNREAL's auxiliary losses against the same agent without them, on a small game of pixels."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from analysis.tables.statistics import interval
from tasks.rl.agents.unreal import UNREAL
from tasks.rl.problems import CATCH
from tasks.rl.trainer import ActorCritic

pytestmark = pytest.mark.paper
SEEDS = (2, 3, 4, 5, 6)  # the hyperparameters were found on seed 1
ROUNDS = 20  # of 2,000 agent steps
HYPERS = {"learning_rate": 2e-3, "entropy_cost": 0.01, "unroll": 20.0}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _returns(seed: int, *, auxiliary: bool) -> list[float]:
    """Return the mean of the last ten returns after each round."""
    agent = partial(UNREAL, cells=64)
    if not auxiliary:
        agent = partial(agent, control=0.0, value=0.0, prediction=0.0)
    trainer = ActorCritic(replace(CATCH, agent=agent), seed, "cpu")
    found = []
    for _ in range(ROUNDS):
        trainer.step(HYPERS)
        found.append(float(np.mean(trainer.eval())))
    return found


def test_unreals_auxiliary_losses_speed_learning_up() -> None:
    """Of equally many agent steps: the mean over training of what an episode of catch returns.

    From -3 to 3 (Jaderberg et al. 2016, figure 3, in small).
    """
    differences = []
    for seed in SEEDS:
        curves = [_returns(seed, auxiliary=auxiliary) for auxiliary in (True, False)]
        for name, curve in zip(("with", "without"), curves, strict=True):
            print(seed, name, *(f"{score:.1f}" for score in curve))
        assert max(curves[0][-5:]) > 0  # it has learned: chance is below -2
        differences.append(float(np.mean(curves[0]) - np.mean(curves[1])))
    found = interval(differences)
    assert found is not None
    print(f"difference {np.mean(differences):.2f} ± {found.half:.2f}")
    assert found.low > 0
