"""Random numbers of a run: each place of it has a stream of its own, whoever draws and when."""

import numpy as np
from numpy.random import Generator, SeedSequence

PURPOSES = ("start", "trainer", "decision", "reseed", "restart")  # new ones at the end
SEED_BITS = 31  # of a trainer's seeds: what the generators of numpy, scikit-learn and SB3 take


def random_numbers(seed: int, purpose: str, *place: int) -> Generator:
    """Return the random numbers for one place of a run, such as ("decision", id, step)."""
    return np.random.default_rng(_sequence(seed, purpose, *place))


def random_seed(seed: int, purpose: str, *place: int, bits: int = SEED_BITS) -> int:
    """Return a seed in [0, 2**bits) for one place of a run, for a trainer's own generators."""
    drawn = int(_sequence(seed, purpose, *place).generate_state(1, np.uint64)[0])
    return drawn >> (64 - bits)


def _sequence(seed: int, purpose: str, *place: int) -> SeedSequence:
    # spawn_key, because the plain entropy (7, 3) and (7, 3, 0) are the same stream
    return SeedSequence(seed, spawn_key=(PURPOSES.index(purpose), *place))
