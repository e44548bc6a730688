"""The toy: exactly the paper's numbers where the paper's figure is deterministic."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.figures.toy import PAPER
from core.directory.members import Members
from core.directory.run import Run
from core.settings import PBT
from core.workers.worker import work
from tasks.toy import presets
from tasks.toy.quadratic import Quadratic


def _scores(pbt: PBT, root: Path) -> np.ndarray:
    """Return Q at each plotted step, [2 workers, 8]."""
    assert work(Run(root, "", pbt, {}), durable=False)
    population = Members(root)
    found = []
    for id in range(2):
        first: dict[int, float] = {}
        for record in population.history(id)[1:]:
            first.setdefault(record.member.step, record.member.score)
        found.append([first[step] for step in range(1, 9)])
    return np.array(found)


@pytest.mark.parametrize("name", ["figure_2_grid", "figure_2_exploit_only"])
def test_what_is_deterministic_agrees_with_the_paper_at_every_point(
    name: str, tmp_path: Path
) -> None:
    """Within 0.01, both workers, all eight plotted steps."""
    ours = _scores(getattr(presets, name)(), tmp_path)

    assert np.abs(ours - np.array(PAPER[name])).max() < 0.01


@pytest.mark.parametrize("name", ["figure_2_pbt", "figure_2_explore_only"])
def test_what_is_random_ends_where_the_paper_does_within_the_spread(
    name: str, tmp_path: Path
) -> None:
    """The paper's end values lie between the 5 % and the 95 % quantile of forty seeds."""
    pbt = getattr(presets, name)()
    ends = np.array(
        [_scores(replace(pbt, seed=seed), tmp_path / str(seed))[:, -1] for seed in range(40)]
    )

    low, high = np.quantile(ends, [0.05, 0.95], axis=0)
    paper = np.array(PAPER[name])[:, -1]

    assert (low <= paper).all()
    assert (paper <= high).all()


def test_the_gradient_is_that_of_the_surrogate() -> None:
    """One update is a step of 0.05 along a numerical gradient of Q̂."""
    trainer = Quadratic(0, "cpu")
    h = np.array([0.7, 0.2])

    def surrogate(theta: np.ndarray) -> float:
        return float(1.2 - h @ theta**2)

    theta, small = trainer.theta.copy(), 1e-6
    gradient = np.array(
        [(surrogate(theta + d) - surrogate(theta - d)) / (2 * small) for d in np.eye(2) * small]
    )
    trainer.step({"h0": 0.7, "h1": 0.2, "updates": 1})

    assert trainer.theta == pytest.approx(theta + 0.05 * gradient, abs=1e-8)


def test_twenty_members_beat_random_search_on_the_toy(tmp_path: Path) -> None:
    """Three seeds, in pairs, equal steps: PBT is closer to the optimum of 1.2 in each."""
    for seed in range(3):
        best = []
        for preset in (presets.pbt, presets.random_search):
            root = tmp_path / f"{preset.__name__}-{seed}"
            pbt = replace(preset(), seed=seed)
            work(Run(root, "", pbt, {}), durable=False)
            newest = [Members(root).newest(id) for id in range(pbt.members)]
            best.append(np.mean([record.member.score for record in newest if record is not None]))
        assert best[0] > best[1]
