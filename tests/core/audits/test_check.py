"""`check`: a good trainer keeps the contract, each bad one is told in a sentence what it breaks."""

import json
import random
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.audits.check import check, cost
from core.audits.diagnosis import Finding
from core.directory.run import resolve
from core.member import Hypers
from core.settings import PBT
from core.space import Choice, LogUniform, Prior, Space, Uniform
from core.strategies.ready import Every
from core.task import Task
from tests.trainers import SPACE, Walk, walk


def _check(preset: str) -> list[Finding]:
    return list(check(resolve(f"tests.trainers:{preset}")))


def _broken(pbt: PBT) -> list[str]:
    return [finding.sentence for finding in check(pbt) if finding.kept is False]


def _of(trainer: Any, space: Space = SPACE) -> PBT:
    return replace(walk(), task=Task(trainer, space))


class Momentum(Walk):
    """A climb with momentum, which a load must bring back."""

    speed = 0.0

    def step(self, hypers: Hypers) -> None:
        """Climb, with the speed of before."""
        for _ in range(3):
            self.speed = 0.9 * self.speed + float(hypers["rate"]) * float(self.rng.normal(0.5))
            self.height += self.speed

    def state(self) -> list[object]:
        """Return all that it depends on."""
        return [self.height, self.speed, self.rng.bit_generator.state]

    def save(self, path: Path) -> None:
        """Write all of it."""
        path.write_text(json.dumps(self.state()))

    def load(self, path: Path) -> None:
        """Read it."""
        self.height, self.speed, self.rng.bit_generator.state = json.loads(path.read_text())


class ForgetsOptimiser(Momentum):
    """Its speed is lost."""

    def load(self, path: Path) -> None:
        """Read all but the speed."""
        super().load(path)
        self.speed = 0.0


class ForgetsStream(Momentum):
    """Its random state is lost."""

    def load(self, path: Path) -> None:
        """Read all but the random state."""
        self.height, self.speed, _ = json.loads(path.read_text())


class ForgetsWeights(Momentum):
    """Its height is lost."""

    def load(self, path: Path) -> None:
        """Read all but the height."""
        _, self.speed, self.rng.bit_generator.state = json.loads(path.read_text())


class EvalTrains(Momentum):
    """Its evaluation moves it."""

    def eval(self) -> float:
        """Climb a little."""
        self.height += 0.1
        return self.height


class EvalDraws(Momentum):
    """Its evaluation draws from the stream of the training."""

    def eval(self) -> float:
        """Return the height with noise."""
        return self.height + float(self.rng.normal())


class EvalDrawsGlobally(Momentum):
    """Its evaluation draws from a global generator, and so does its training."""

    def step(self, hypers: Hypers) -> None:
        """Climb, a little by chance."""
        super().step(hypers)
        self.height += np.random.random()  # noqa: NPY002

    def eval(self) -> float:
        """Return the height with noise."""
        return self.height + np.random.random()  # noqa: NPY002

    def reseed(self, seed: int) -> None:
        """Seed the global generator too."""
        super().reseed(seed)
        np.random.seed(seed)  # noqa: NPY002

    def __init__(self, seed: int, device: str) -> None:
        super().__init__(seed, device)
        np.random.seed(seed)  # noqa: NPY002

    def state(self) -> list[object]:
        """Return that of the global generator too."""
        name, keys, *rest = np.random.get_state()  # noqa: NPY002
        return [*super().state(), [name, list(map(int, keys)), *rest]]

    def load(self, path: Path) -> None:
        """Set it."""
        self.height, self.speed, self.rng.bit_generator.state, found = json.loads(path.read_text())
        np.random.set_state((found[0], np.array(found[1], dtype=np.uint32), *found[2:]))  # noqa: NPY002


class DrawsFromPython(Momentum):
    """Its training draws from what its seed does not reach."""

    def step(self, hypers: Hypers) -> None:
        """Climb, a little by chance."""
        super().step(hypers)
        self.height += random.random()


class TorchStream(Momentum):
    """It seeds torch's generator, as most torch code does, and does not save its state."""

    def __init__(self, seed: int, device: str) -> None:
        super().__init__(seed, device)
        sys.modules["torch"].manual_seed(seed)

    def step(self, hypers: Hypers) -> None:
        """Climb, a little by chance."""
        super().step(hypers)
        self.height += float(sys.modules["torch"].randn(()))


class KeepsUsed(Momentum):
    """What the member before has changed stays."""

    def __init__(self, seed: int, device: str) -> None:
        super().__init__(seed, device)
        self.known: set[float] = set()

    def step(self, hypers: Hypers) -> None:
        """Climb higher, the more rates it has known."""
        super().step(hypers)
        self.known.add(float(hypers["rate"]))
        self.height += len(self.known)


class Deaf(Momentum):
    """Its stream is not the one that `reseed` seeds."""

    def reseed(self, seed: int) -> None:
        """Forget to."""


class Careless(Momentum):
    """Its `reseed` draws from what nobody has seeded."""

    def reseed(self, seed: int) -> None:
        """Seed with chance."""
        self.rng = np.random.default_rng()


CAUSES: list[tuple[type, str]] = [
    (ForgetsOptimiser, "not all that training depends on: the optimiser's state"),
    (ForgetsStream, "load() brings back weights and optimiser, and not the random state"),
    (ForgetsWeights, "load() does not bring the weights back: right after it eval() says"),
    (EvalTrains, "eval() trains: it changes the weights"),
    (EvalDraws, "eval() draws random numbers from the stream of the training"),
    (EvalDrawsGlobally, "eval() draws random numbers from `np.random`"),
    (DrawsFromPython, "step() draws from Python's `random`"),
    (TorchStream, "does not bring back the state of torch's"),
    (KeepsUsed, "load() leaves in a used trainer what another member's training has changed"),
    (Deaf, "reseed(seed) has no effect"),
    (Careless, "reseed(seed) does not decide what is drawn"),
]


def test_a_good_trainer_keeps_the_contract() -> None:
    """All of it."""
    findings = _check("walk")

    assert [finding.sentence for finding in findings if finding.kept is False] == []
    assert sum(finding.kept is True for finding in findings) == 10


@pytest.mark.parametrize(("trainer", "words"), CAUSES)
def test_each_fault_has_a_sentence_of_its_own(trainer: type, words: str) -> None:
    """Which names the fault, and no other one."""
    pytest.importorskip("torch")

    broken = _broken(_of(trainer))

    assert len(broken) == 1, broken
    assert words in broken[0]


@pytest.mark.parametrize(
    ("preset", "words"),
    [
        ("keeps_its_rate", "rate has no effect after a load"),
        ("forgets", "eval() draws random numbers from the stream of the training"),
        ("forgets", "not the random state"),
        ("unknown_name", "did you mean 'rata'"),
        ("unread_name", "'momentum', which a call of step(hypers) never looked at"),
        ("always_raises", "the trainer raised RuntimeError: no rope"),
        ("returns_nothing", "eval() of the trainer returned None"),
    ],
)
def test_each_broken_promise_is_named(preset: str, words: str) -> None:
    """In a sentence that says what to mend."""
    broken = [finding.sentence for finding in _check(preset) if finding.kept is False]

    assert any(words in sentence for sentence in broken), broken


def test_a_rate_that_a_load_brings_back_is_found() -> None:
    """It is read at every call, and not in force: the most common bug of restored optimisers."""

    class Restored(Momentum):
        rate = 0.0

        def step(self, hypers: Hypers) -> None:
            self.rate = self.rate or float(hypers["rate"])
            dict(hypers)
            super().step({"rate": self.rate})

        def state(self) -> list[object]:
            return [*super().state(), self.rate]

        def load(self, path: Path) -> None:
            state = json.loads(path.read_text())
            self.height, self.speed, self.rng.bit_generator.state, self.rate = state

    [broken] = _broken(_of(Restored))

    assert "rate has no effect after a load" in broken


def test_a_trainer_that_raises_is_told_with_its_own_file_and_line() -> None:
    """Not with a line of the engine's: that is the first thing which a new user meets."""
    [broken] = [f.sentence for f in _check("always_raises") if f.kept is False]

    assert "tests/trainers.py" in broken
    assert "Traceback (most recent call last):" in broken
    assert "core/" not in broken


def test_other_bytes_alone_are_no_fault() -> None:
    """A time in the file, or an order, does no harm; it is said, as it hides what would."""

    class Stamps(Momentum):
        saved = 0

        def state(self) -> list[object]:
            Stamps.saved += 1
            return [*super().state(), Stamps.saved]

        def load(self, path: Path) -> None:
            self.height, self.speed, self.rng.bit_generator.state, _ = json.loads(path.read_text())

    findings = list(check(_of(Stamps)))

    assert [f.sentence for f in findings if f.kept is False] == []
    assert any("other bytes each time" in f.sentence for f in findings if f.kept is None)


def test_a_trainer_is_given_what_a_run_gives() -> None:
    """The same kind of hypers and the same range of seeds: what passes here can start there."""
    seen: list[tuple[int, str]] = []

    class Strict(Walk):
        def __init__(self, seed: int, device: str) -> None:
            np.random.RandomState(seed)
            seen.append((seed, device))
            super().__init__(seed, device)

        def step(self, hypers: Hypers) -> None:
            json.dumps(hypers)
            super().step(hypers)

    assert _broken(_of(Strict)) == []
    assert all(2**20 < seed < 2**31 for seed, _ in seen)


def test_a_file_that_torch_writes_by_its_path_is_compared_by_its_bytes() -> None:
    """torch.save(x, path) writes the name of the file into it: the bytes are those of one name."""
    torch = pytest.importorskip("torch")

    class Saves(Momentum):
        def save(self, path: Path) -> None:
            torch.save(json.dumps(self.state()), path)

        def load(self, path: Path) -> None:
            state = json.loads(torch.load(path, weights_only=True))
            self.height, self.speed, self.rng.bit_generator.state = state

    class Hidden(Saves):
        seen = 0

        def state(self) -> list[object]:
            return [*super().state(), self.seen]

        def load(self, path: Path) -> None:
            state = json.loads(torch.load(path, weights_only=True))
            self.height, self.speed, self.rng.bit_generator.state, self.seen = state

        def eval(self) -> float:  # as statistics of a batch norm, which no score shows
            self.seen += 1
            return self.height

    assert not any("other bytes" in finding.sentence for finding in check(_of(Saves)))
    assert _broken(_of(Saves)) == []
    [broken] = _broken(_of(Hidden))
    assert "eval() trains" in broken


def test_a_constraint_is_kept_by_what_is_tried() -> None:
    """No value is tried that a run would never give."""

    class Ordered(Momentum):
        def step(self, hypers: Hypers) -> None:
            assert float(hypers["low"]) < float(hypers["high"]), "low must be below high"
            super().step({"rate": float(hypers["high"]) - float(hypers["low"])})

    space = Space({"low": Uniform(0, 1), "high": Uniform(0, 1)}, constraint=_ordered)

    assert _broken(_of(Ordered, space)) == []


def _ordered(hypers: Hypers) -> bool:
    return float(hypers["low"]) < float(hypers["high"])


def test_conditions_may_be_nested() -> None:
    """A hyperparameter that two options together need is found by their combinations."""

    class Nested(Momentum):
        def step(self, hypers: Hypers) -> None:
            super().step(hypers)
            if hypers["optimiser"] == "sgd" and hypers["nesterov"] == 1:
                self.height += float(hypers["momentum"])

    priors: dict[str, Prior] = {
        "optimiser": Choice(("adam", "sgd")), "nesterov": Choice((0, 1)),
        "momentum": Uniform(0, 1), "rate": LogUniform(0.01, 1),
    }  # fmt: skip

    broken = _broken(_of(Nested, Space(priors)))

    assert not any("never looked at" in sentence for sentence in broken)
    assert not any("momentum has no effect" in sentence for sentence in broken)


class Pictures(Walk):
    """A walk that can be copied without a file."""

    def snapshot(self) -> object:
        """Return copies."""
        return self.height, self.steps, self.rng.bit_generator.state

    def restore(self, state: object) -> None:
        """Go on from them."""
        self.height, self.steps, self.rng.bit_generator.state = state  # type: ignore[misc]


@pytest.mark.parametrize("snapshots", [False, True])
def test_its_cost_is_told_beforehand_and_is_small(snapshots: bool) -> None:
    """A step may take ten minutes."""
    calls: dict[str, int] = {"build": 0, "step": 0, "eval": 0, "load": 0}

    class Counts(Momentum):
        def __init__(self, seed: int, device: str) -> None:
            calls["build"] += 1
            super().__init__(seed, device)

        def step(self, hypers: Hypers) -> None:
            calls["step"] += 1
            float(hypers["momentum"])
            self.height += float(hypers["momentum"])
            super().step(hypers)

        def eval(self) -> float:
            calls["eval"] += 1
            return super().eval()

        def load(self, path: Path) -> None:
            calls["load"] += 1
            super().load(path)

    class CountsAndSnaps(Counts):
        def snapshot(self) -> object:
            return json.dumps(self.state())

        def restore(self, state: object) -> None:
            self.height, self.speed, self.rng.bit_generator.state = json.loads(str(state))

    space = Space({"rate": LogUniform(0.01, 1), "momentum": Uniform(0, 0.9)})
    pbt = _of(CountsAndSnaps if snapshots else Counts, space)

    assert _broken(pbt) == []
    told = cost(pbt)
    assert calls == {
        "build": told.builds, "step": told.steps, "eval": told.evals, "load": told.loads
    }  # fmt: skip
    assert told.steps <= 13 + 6 * snapshots
    assert told.builds <= 3 + snapshots


def test_what_matters_for_one_option_alone_is_no_fault() -> None:
    """A momentum that only one of two optimisers has; it is tried where it is read."""

    class Either(Momentum):
        def step(self, hypers: Hypers) -> None:
            super().step(hypers)
            if hypers["optimiser"] == "sgd":
                self.height += float(hypers["momentum"])

    space: dict[str, Prior] = {"rate": LogUniform(0.01, 1), "momentum": Uniform(0, 0.9)}
    options = (("sgd", "adam"), ("adam", "sgd"))

    for names in options:
        findings = list(check(_of(Either, Space({"optimiser": Choice(names)} | space))))
        assert [f.sentence for f in findings if f.kept is False] == []
        assert Finding(True, "momentum has an effect after a load") in findings


def test_a_name_that_no_option_has_read_is_a_fault() -> None:
    """Options do not excuse a hyperparameter that nobody puts in force."""

    class Never(Momentum):
        def step(self, hypers: Hypers) -> None:
            super().step({"rate": hypers["rate"]})
            str(hypers["optimiser"])

    space: dict[str, Prior] = {"rate": LogUniform(0.01, 1), "optimiser": Choice(("sgd", "adam"))}

    [broken] = _broken(_of(Never, Space(space | {"momentum": Uniform(0, 1)})))

    assert "'momentum', which a call of step(hypers) never looked at" in broken


def test_rules_are_tried_and_what_they_may_do_is_said() -> None:
    """On a made-up population: that nobody can be ready, and where a hyperparameter may go."""
    findings = list(check(replace(walk(), ready=Every(1000))))

    said = [finding.sentence for finding in findings if finding.kept is None]
    assert any("nobody can ever be ready" in sentence for sentence in said)
    assert any("rate  starts in 0.01 to 1, may go above 0 without end" in s for s in said)


def test_a_trainer_without_a_stream_of_its_own_is_noted_not_refused() -> None:
    """The toy draws nothing, and needs no reseed."""
    findings = list(check(resolve("tasks.toy.presets:pbt")))

    assert [finding.kept for finding in findings].count(False) == 0
    assert any("no reseed" in finding.sentence for finding in findings)


class Forgets(Pictures):
    """Breaks the contract: the random state is not in its snapshot."""

    def snapshot(self) -> object:
        """Return the height and the steps."""
        return self.height, self.steps

    def restore(self, state: object) -> None:
        """Go on from these alone."""
        self.height, self.steps = state  # type: ignore[misc]


class Aliases(Pictures):
    """Breaks the contract: a later step changes what it has returned."""

    def snapshot(self) -> object:
        """Return itself."""
        return self

    def restore(self, state: object) -> None:
        """Go on from what that is by now."""
        assert isinstance(state, Aliases)
        self.height, self.steps = state.height, state.steps
        self.rng.bit_generator.state = state.rng.bit_generator.state


@pytest.mark.parametrize(
    ("trainer", "kept"), [(Pictures, True), (Forgets, False), (Aliases, False)]
)
def test_a_snapshot_must_be_what_is_saved(trainer: type[Walk], kept: bool) -> None:
    """Else a run in memory would pair a donor's hypers with other weights than the donor's."""
    findings = list(check(replace(walk(), task=Task(trainer, SPACE))))

    [found] = [finding for finding in findings if "restore(snapshot())" in finding.sentence]
    assert found.kept is kept
