"""The contract that every trainer must keep, as a command and as a test helper."""

import hashlib
import math
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from core.member import Hypers
from core.pbt import PBT
from core.record import report_size
from core.seat import Seat, numbers
from core.space import Fixed
from core.task import Reports, Reseeds, TaskError, Trainer

Print = tuple[tuple[float, ...], str]  # of a trainer: its scores, and the hash of what it saves


@dataclass(frozen=True, slots=True)
class Finding:
    """One point of the contract: kept (True), broken (False), or not to be told (None)."""

    kept: bool | None
    sentence: str


def check(pbt: PBT, device: str = "cpu", steps: int = 2) -> Iterator[Finding]:
    """Hold a task's trainer to the contract of core/task.py, one finding after the other.

    Args:
        pbt: a run; only its task is looked at.
        device: given to the trainer.
        steps: how many steps to train between two looks; a task whose hyperparameters show their
            effect late needs more.
    """
    with TemporaryDirectory() as folder:
        yield from _Check(pbt, device, steps, Path(folder)).findings()


@dataclass(frozen=True, slots=True)
class _Check:
    pbt: PBT
    device: str
    steps: int
    folder: Path

    def findings(self) -> Iterator[Finding]:
        space = self.pbt.task.space
        hypers = space.sample(np.random.default_rng(0))
        try:
            self._names(hypers)
        except TaskError as error:
            yield Finding(False, str(error))
            return
        yield Finding(True, f"step(hypers) reads all of {', '.join(space)}")
        try:
            trainer = self._make(1)
            self._train(trainer, hypers)
            score = numbers(trainer.eval())
            start = self.folder / "start.tmp"  # as the engine names it
            trainer.save(start)
        except Exception as error:
            yield Finding(False, f"step, eval or save fails: {type(error).__name__}: {error}")
            return
        if not start.is_file():
            yield Finding(False, "save(path) leaves no file at its path")
            return
        yield Finding(True, f"eval() returns {'a number' if len(score) == 1 else 'a sample'}")
        parts = [
            self._continues(trainer, start, hypers),
            self._looks_change_nothing(start, hypers),
            self._random_stream(start, hypers),
            *(self._has_effect(name, start, hypers) for name in space),
        ]
        for part in parts:
            try:
                yield from part
            except Exception as error:
                where = traceback.extract_tb(error.__traceback__)[-1].name
                yield Finding(False, f"{where}() fails: {type(error).__name__}: {error}")
        yield self._divergence(start, hypers)

    def _names(self, hypers: Hypers) -> None:
        seat = Seat(self.pbt.task, self.device)
        seat.take(0, 1)
        seat.step(hypers)
        if seat.failed:
            raise TaskError(f"step fails: {(seat.error or '').strip().splitlines()[-1]}")

    def _continues(self, trainer: Trainer, start: Path, hypers: Hypers) -> Iterator[Finding]:
        self._train(trainer, hypers)
        unbroken = self._print(trainer)
        again = self._make(1)
        self._train(again, hypers)
        self._train(again, hypers)
        alike = self._print(again) == unbroken
        yield Finding(alike, "two trainers of one seed train alike, bit for bit")
        if not alike:
            yield Finding(
                None,
                "what is said below may follow from this: look for numbers drawn from a global "
                "generator, and for operations that are not deterministic",
            )
        fresh = self._loaded(2, start)
        self._train(fresh, hypers)
        yield Finding(
            self._print(fresh) == unbroken,
            "saved, loaded into a trainer of another seed and trained on: the same as unbroken",
        )
        other = self.pbt.task.space.sample(np.random.default_rng(1))
        self._train(fresh, other)
        fresh.load(start)
        self._train(fresh, hypers)
        yield Finding(
            self._print(fresh) == unbroken,
            "loaded into a used trainer and trained on: the same as loaded into a fresh one",
        )

    def _looks_change_nothing(self, start: Path, hypers: Hypers) -> Iterator[Finding]:
        def after(look: Callable[[Trainer], object]) -> Print:
            trainer = self._loaded(2, start)
            look(trainer)
            self._train(trainer, hypers)
            return self._print(trainer)

        untouched = after(lambda _: None)
        yield Finding(
            after(lambda trainer: trainer.eval()) == untouched,
            "eval() changes neither the weights nor the random state",
        )
        trainer = self._loaded(2, start)
        if isinstance(trainer, Reports):
            says = trainer.report()
            for key, entry in says.items():
                try:
                    report_size({key: entry})
                except (TypeError, ValueError) as error:
                    yield Finding(False, f"report() says {key!r}, but {error}")
                    return
            yield Finding(True, f"report() returns numbers, lists or texts: {', '.join(says)}")
            yield Finding(
                after(lambda t: t.report() if isinstance(t, Reports) else None) == untouched,
                "report() changes neither the weights nor the random state",
            )

    def _random_stream(self, start: Path, hypers: Hypers) -> Iterator[Finding]:
        def after(seed: int) -> Print:
            trainer = self._loaded(2, start)
            assert isinstance(trainer, Reseeds)
            trainer.reseed(seed)
            self._train(trainer, hypers)
            return self._print(trainer)

        if not isinstance(self._make(1), Reseeds):
            sentence = "there is no reseed(seed): right if the steps draw no random numbers"
            yield Finding(None, sentence + "; else a copy would see the very noise of its donor")
            return
        yield Finding(after(1) == after(1), "reseed(seed) determines the random stream")
        yield Finding(after(1) != after(2), "two seeds give two random streams")

    def _has_effect(self, name: str, start: Path, hypers: Hypers) -> Iterator[Finding]:
        prior = self.pbt.task.space[name]
        if isinstance(prior, Fixed):
            return
        rng = np.random.default_rng(2)
        others = [v for v in (prior.sample(rng) for _ in range(20)) if v != hypers[name]]
        others += [v for v in (prior.scaled(hypers[name], 2.0, rng),) if v != hypers[name]]
        used = self._loaded(2, start)  # as a worker's: it has trained another member before
        self._train(used, hypers)
        unchanged = self._print(used)
        for value in others[:3]:
            used.load(start)
            self._train(used, dict(hypers) | {name: value})
            if self._print(used) != unchanged:
                yield Finding(True, f"{name} has an effect after a load")
                return
        if others:
            yield Finding(
                False,
                f"{name} has no effect after a load: training goes on alike with {hypers[name]!r} "
                f"and {others[0]!r}. Put it in force at every step (a restored optimiser brings "
                "back the rate that it was saved with)",
            )

    def _divergence(self, start: Path, hypers: Hypers) -> Finding:
        trainer = self._loaded(2, start)
        extreme = dict(hypers)
        for name, prior in self.pbt.task.space.items():
            if isinstance(hypers[name], float):
                extreme[name] = prior.scaled(hypers[name], 1e6, np.random.default_rng(3))
        try:
            self._train(trainer, extreme)
            score = numbers(trainer.eval())
        except Exception as error:
            return Finding(
                None,
                f"with hypers a million times larger the trainer raises {type(error).__name__}: "
                "the member counts as failed, which is right, but NaN from eval() says it better",
            )
        if all(map(math.isfinite, score)):
            return Finding(
                None,
                f"hypers a million times larger give the score {score[0]:.4g}: no divergence",
            )
        return Finding(True, "a diverged training is reported as not a number")

    def _make(self, seed: int) -> Trainer:
        return self.pbt.task.trainer(seed, self.device)

    def _loaded(self, seed: int, path: Path) -> Trainer:
        trainer = self._make(seed)
        trainer.load(path)
        return trainer

    def _train(self, trainer: Trainer, hypers: Hypers) -> None:
        for _ in range(self.steps):
            trainer.step(dict(hypers))

    def _print(self, trainer: Trainer) -> Print:
        """Return what tells two trainers apart."""
        path = self.folder / "print.tmp"
        path.unlink(missing_ok=True)
        trainer.save(path)
        scores = tuple(-math.inf if math.isnan(s) else s for s in numbers(trainer.eval()))
        return scores, hashlib.sha256(path.read_bytes()).hexdigest()
