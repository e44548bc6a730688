"""What a seed means: below 2**31 for trainers; a run of before goes on with those that it had."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from core.audits.verify import verify
from core.directory.run import RunError, differences, open_run, read_info
from core.streams import PURPOSES, random_seed
from core.workers.worker import work

GOLDEN = Path(__file__).parent / "golden"
WHOLE = "4e63c94d4216e8acd2352f92151654cd89dac1b08edf4d48abd8b17a9564b5e3"
OF_BEFORE = {"seed": 5, "members": 3, "steps": 8}  # that run, whole, by the program that began it


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """A run that a program with seeds of 63 bits began (commit 58d17d8), and did not end."""
    with tarfile.open(GOLDEN / "seeds_of_63_bits.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "begun"


def test_a_run_of_before_goes_on_as_it_would_have(begun: Path) -> None:
    """To the same history, bit for bit, by its directory alone or by its preset."""
    before = (begun / "run.json").read_bytes()
    run = open_run(begun, "tests.trainers:walk", OF_BEFORE)

    assert work(run, durable=False)

    verdict = verify(open_run(begun))
    assert (verdict.problems, verdict.digest) == ([], WHOLE)
    assert (begun / "run.json").read_bytes() == before


def test_a_new_run_is_another_one_and_says_so(begun: Path, tmp_path: Path) -> None:
    """The same seed means other starts: the two are never compared as if they were paired."""
    new = open_run(tmp_path / "new", "tests.trainers:walk", OF_BEFORE)
    work(new, durable=False)

    assert verify(new).digest != WHOLE
    one, other = (read_info(root)["settings"] for root in (begun, new.root))
    assert differences(one, other) == ['seeds: "none" in the run, "below 2**31" now']


def test_an_older_program_refuses_a_new_run(tmp_path: Path) -> None:
    """It compares all settings, and knows none of that name: it trains with no other seeds."""
    new = open_run(tmp_path / "new", "tests.trainers:walk")
    settings = dict(json.loads(json.dumps(new.info["settings"])))

    assert settings.pop("seeds") == "below 2**31"
    assert differences(new.info["settings"], settings) != []


@pytest.mark.parametrize("purpose", ["trainer", "reseed"])
def test_any_generator_takes_the_seeds(purpose: str) -> None:
    """numpy's old one, scikit-learn's and torch's take no more than 32 bits; these have 31."""
    seeds = {random_seed(seed, purpose, member) for seed in range(50) for member in range(20)}

    assert len(seeds) == 1000
    assert max(seeds) < 2**31 <= 2 * max(seeds)
    for seed in list(seeds)[:20]:
        np.random.RandomState(seed)
    assert purpose in PURPOSES


def test_a_seed_of_31_bits_is_the_upper_part_of_one_of_63() -> None:
    """One draw behind both."""
    assert random_seed(7, "trainer", 3) == random_seed(7, "trainer", 3, bits=63) >> 32


def test_a_directory_that_is_no_run_is_refused(tmp_path: Path) -> None:
    """As before."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other/notes").touch()

    with pytest.raises(RunError, match="is not a run directory"):
        open_run(tmp_path / "other", "tests.trainers:walk")
