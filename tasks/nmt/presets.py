"""Runs of the translation task: the paper's on WMT'14, and in small on generated sentences."""

from dataclasses import replace
from functools import partial

from core.pbt import PBT
from core.space import LogUniform, Space
from core.strategies import Every, Perturb, Truncation, never
from core.task import Task
from tasks.nmt.corpus import generated
from tasks.nmt.network import DROPOUTS, Network
from tasks.nmt.trainer import RATE, Translation, Translator

BELOW_ONE = (0.0, 0.95)  # of a dropout: with no unit left nothing is learnt


def _space(rate: tuple[float, float], dropout: tuple[float, float]) -> Space:
    return Space(
        {RATE: LogUniform(*rate)}
        | {name: LogUniform(*dropout, domain=BELOW_ONE) for name in DROPOUTS}
    )


def _task(problem: Translation, space: Space) -> Task:
    score = {"bleu": "BLEU (%)", "likelihood": "log-likelihood (nats a piece)"}[problem.select_by]
    return Task(partial(Translator, problem), space, score)


# ----------------------------------------------------------------- one run, and its baselines

SMALL = Translation(
    corpus=partial(generated, 10_000),
    network=Network(width=64, inner=128, heads=4, layers=1, longest=256),
    max_tokens=512,
    updates=20,
    select_by="likelihood",
    selecting=200,
    clip=1.0,
)
MEDIUM = replace(
    SMALL,
    corpus=partial(generated, 20_000),
    network=replace(SMALL.network, layers=2),
    updates=48,
)
WIDE = _space((1e-5, 1e-2), (0.01, 0.4))


def small() -> PBT:
    """Eight members, 25 rounds of 20 updates: about a minute and a half with two workers.

    Selected by likelihood, as BLEU below 2, where all members are for the first ten rounds, is
    noise. What is reported is BLEU.
    """
    return PBT(
        task=_task(SMALL, WIDE),
        members=8,
        steps=25,
        ready=Every(1),
        exploit=Truncation(0.25),
        explore=Perturb((0.8, 1.2)),
        report=never,
        mode="lockstep",
    )


def small_random_search() -> PBT:
    """Baseline: the same starts with the same budget, and none ever looks at another."""
    return replace(small(), ready=never)


def small_by_bleu() -> PBT:
    """The same selected by BLEU, as in the paper, from the tenth round on."""
    by_bleu = replace(SMALL, select_by="bleu")
    return replace(small(), task=_task(by_bleu, WIDE), ready=Every(1, start=10))


def medium() -> PBT:
    """Two layers a side, 1,200 updates: less on the plateau where every sentence begins alike."""
    return replace(small(), task=_task(MEDIUM, WIDE))


def medium_random_search() -> PBT:
    """Baseline of `medium`."""
    return replace(medium(), ready=never)
