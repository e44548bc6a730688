"""An exploit rule of your own beside a built-in one: `python examples/own_rule.py`."""

from dataclasses import dataclass, replace
from statistics import mean

from numpy.random import Generator

from core import PBT, Member, Peers, Truncation, never, run
from tasks.toy import presets

SEEDS = range(1, 6)


@dataclass(frozen=True, slots=True)
class CopyTheBest:
    """Copy the best member if more than `allowed` members are better than this one."""

    allowed: int = 4

    def __call__(self, me: Member, population: Peers, rng: Generator) -> Member:
        ranked = sorted(population, key=lambda member: (-member.fitness, member.id))
        place = [member.id for member in ranked].index(me.id)
        return ranked[0] if place > self.allowed else me


def pbt() -> PBT:
    """Twenty members of the toy, twelve steps each: few enough that starts still matter."""
    return replace(presets.pbt(), steps=12)


def mine() -> PBT:
    """The same with the rule above; `python -m core run examples.own_rule:mine` runs it too."""
    return replace(pbt(), exploit=CopyTheBest())


if __name__ == "__main__":
    arms = {
        "random search": replace(pbt(), ready=never),
        f"{Truncation(0.2)}": pbt(),
        f"{CopyTheBest()}": mine(),
    }
    for name, settings in arms.items():
        scores = [run(replace(settings, seed=seed)).best.score for seed in SEEDS]
        print(f"{name:28} best score, mean of {len(scores)} seeds: {mean(scores):.4f}")
