"""The seat: one trainer, many members, and never one's weights with another's hypers."""

import math
from pathlib import Path

import pytest

from core.space import LogUniform, Space
from core.task import Task, TaskError
from core.workers.guarded_trainer import GuardedTrainer, WeightsFile, numbers
from tests.trainers import SPACE, Walk


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1, (1.0,)), (2.5, (2.5,)), ([1, 2], (1.0, 2.0)), ((3.0,), (3.0,))],
)
def test_a_number_or_a_sample_is_a_score(value: object, expected: tuple[float, ...]) -> None:
    """Of any kind that is a number."""
    import numpy as np

    assert numbers(value) == expected
    assert numbers(np.array(value, dtype=float)) == expected
    assert numbers(np.float32(2)) == (2.0,)


@pytest.mark.parametrize("value", [None, "7", b"7", True, [], [None], 1j, {"score": 1}])
def test_what_is_no_number_is_refused(value: object) -> None:
    """With what came and what should have."""
    with pytest.raises(
        TaskError, match=r"eval\(\) of the trainer returned .* it must return a numb"
    ):
        numbers(value)


def test_weights_are_loaded_when_they_are_needed_and_only_then(tmp_path: Path) -> None:
    """A member that waited and now copies loads its donor's weights, not its own first."""
    loads: list[Path] = []

    class Counts(Walk):
        def load(self, path: Path) -> None:
            loads.append(path)
            super().load(path)

    seat = GuardedTrainer(Task(Counts, SPACE))
    seat.take(0, 1)
    seat.step({"rate": 0.1})
    for name in ("own", "donor"):
        seat.save(tmp_path / name)

    seat.take(0, WeightsFile(tmp_path / "own"))
    seat.load(WeightsFile(tmp_path / "donor", reseed=3))
    seat.eval()
    seat.eval()

    assert loads == [tmp_path / "donor"]
    assert seat.state == WeightsFile(tmp_path / "donor", reseed=3)


def test_a_trainer_that_already_is_what_is_wanted_is_not_loaded_again(tmp_path: Path) -> None:
    """Whoever keeps a member between two turns pays no load."""
    seat = GuardedTrainer(Task(Walk, SPACE))
    seat.take(0, 1)
    seat.step({"rate": 0.1})
    seat.save(tmp_path / "own")
    seat.holds = WeightsFile(tmp_path / "own")
    (tmp_path / "own").unlink()

    seat.take(0, WeightsFile(tmp_path / "own"))

    assert seat.eval()
    assert not seat.failed


def test_a_failed_trainer_is_not_used_again() -> None:
    """Its state is anybody's guess; the next member gets a new one."""

    class Fails(Walk):
        def eval(self) -> float:
            raise RuntimeError("broken")

    seat = GuardedTrainer(Task(Fails, SPACE))
    seat.take(0, 1)

    [score] = seat.eval()

    assert score != score
    assert seat.failed
    assert "RuntimeError: broken" in (seat.error or "")
    assert seat.state is None


def test_hypers_can_be_read_in_every_way_of_a_mapping() -> None:
    """`get` with a default, `in`, `**hypers` and `dict(hypers)` among them."""

    class Reads(Walk):
        def step(self, hypers) -> None:  # type: ignore[no-untyped-def]
            assert hypers.get("momentum", 0.9) == 0.9
            assert "momentum" not in hypers
            assert dict(**hypers) == dict(hypers) == {"rate": 0.1}

    seat = GuardedTrainer(Task(Reads, SPACE))
    seat.take(0, 1)
    seat.step({"rate": 0.1})

    assert not seat.failed, seat.error


def test_hypers_that_are_read_once_and_never_again_are_noticed() -> None:
    """An optimiser that is made with the first member's rate would train all others with it.

    A warning, as a warm-up that is over looks the same; `check` tells the two apart.
    """

    class ReadsOnce(Walk):
        rate = 0.0

        def step(self, hypers) -> None:  # type: ignore[no-untyped-def]
            self.rate = self.rate or hypers["rate"]
            super().step({"rate": self.rate})

    seat = GuardedTrainer(Task(ReadsOnce, SPACE))
    seat.take(0, 1)
    seat.step({"rate": 0.1})
    seat.eval()
    seat.step({"rate": 0.2})
    seat.eval()

    [doubt] = seat.doubts
    assert "has read 'rate' before, and not this time" in doubt


def test_a_name_that_no_call_reads_stops_everything() -> None:
    """Nobody puts it in force."""

    class Deaf(Walk):
        def step(self, hypers) -> None:  # type: ignore[no-untyped-def]
            super().step({"rate": 0.1})

    seat = GuardedTrainer(Task(Deaf, SPACE))
    seat.take(0, 1)
    seat.step({"rate": 0.1})

    with pytest.raises(TaskError, match=r"'rate', which a call of step\(hypers\) never looked at"):
        seat.eval()


def test_whoever_has_diverged_need_not_read_anything() -> None:
    """There is nothing left to train: that ends no run."""

    class Lost(Walk):
        def step(self, hypers) -> None:  # type: ignore[no-untyped-def]
            self.height = math.nan

    seat = GuardedTrainer(Task(Lost, SPACE))
    seat.take(0, 1)
    seat.step({"rate": 0.1})

    assert math.isnan(seat.eval()[0])
    assert not seat.failed


@pytest.mark.parametrize("ending", [SystemExit(0), SystemExit("no data"), GeneratorExit()])
def test_a_trainer_that_ends_its_process_has_failed(ending: BaseException) -> None:
    """With the reason and its own line, as one that raises."""

    class Ends(Walk):
        def step(self, hypers) -> None:  # type: ignore[no-untyped-def]
            raise ending

    seat = GuardedTrainer(Task(Ends, SPACE))
    seat.take(0, 1)
    seat.step({"rate": 0.1})

    assert seat.failed
    assert seat.raised == 1
    assert "test_guarded_trainer.py" in str(seat.error)
    assert type(ending).__name__ in str(seat.error)


def test_a_trainer_without_a_method_or_that_cannot_be_made_stops_everything() -> None:
    """It is no failure of one member."""

    class Nothing:
        def __init__(self, seed: int, device: str) -> None:
            pass

    class NoData:
        def __init__(self, seed: int, device: str) -> None:
            raise FileNotFoundError("no CIFAR-10 in data/: fetch it with ...")

    for trainer, words in ((Nothing, "no method 'step'"), (NoData, "no CIFAR-10 in data/")):
        seat = GuardedTrainer(Task(trainer, Space({"rate": LogUniform(1, 2)})))  # type: ignore[arg-type]
        seat.take(0, 1)
        with pytest.raises(TaskError, match=words):
            seat.eval()
