"""The contract that every trainer must keep, as a command and as a test helper.

A good trainer costs little: one comparison shows that save, load, eval and report all do what they
must. Where it fails, core/audits/diagnosis.py finds out which of them is at fault, at more cost.
"""

import hashlib
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from core.audits.diagnosis import Diagnosis, Finding
from core.audits.rig import Print, Rig, scores
from core.directory.record import plain_report
from core.member import Hypers
from core.rehearsal import doubts, extents, rehearse
from core.rules import RuleError
from core.settings import PBT
from core.space import Fixed
from core.strategies.ready import never
from core.task import Reports, Reseeds, Snapshots, TaskError, Trainer
from core.tracebacks import entered, of_user, said
from core.workers.guarded_trainer import RAISED, numbers
from core.workers.watched import Reads, options


@dataclass(frozen=True, slots=True)
class Cost:
    """What `check` takes of a trainer that keeps the contract."""

    builds: int
    steps: int
    loads: int
    evals: int


def cost(pbt: PBT, steps: int = 1) -> Cost:
    """Return what `check` takes if nothing is broken; some times as much if something is."""
    moving = sum(not isinstance(prior, Fixed) for prior in pbt.task.space.values())
    made = (
        pbt.task.trainer
    )  # a class says what it can; of a function that makes one it is not known
    more = all(hasattr(made, name) for name in ("snapshot", "restore"))
    return Cost(
        builds=3 + more, steps=steps * (11 + moving + 6 * more), loads=7 + moving + more, evals=4
    )


def check(pbt: PBT, device: str = "cpu", steps: int = 1) -> Iterator[Finding]:
    """Hold a task's trainer and the rules of a run to their contracts, one finding after the other.

    Args:
        pbt: a run.
        device: given to the trainer.
        steps: how many steps to train between two looks; a task whose hyperparameters show their
            effect late needs more.
    """
    yield from _rules(pbt)
    with TemporaryDirectory() as folder:
        yield from _Check(Rig(pbt, device, Path(folder)), steps).findings()


def _rules(pbt: PBT) -> Iterator[Finding]:
    try:
        rehearse(pbt)
    except RuleError as error:
        yield Finding(False, str(error))
        return
    if pbt.ready is not never:
        yield Finding(True, "ready, exploit and explore work on a made-up population")
    for sentence in doubts(pbt):
        yield Finding(None, sentence)
    for line in extents(pbt.task.space):
        yield Finding(None, line)


MOST = 30  # combinations of options that are tried, where a hyperparameter was not read


class _Stop(Exception):
    """There is no use in going on: what was found says why."""


@dataclass(slots=True)
class _Check:
    """The trials, in an order in which each needs no more than those before."""

    rig: Rig
    steps: int
    hypers: Hypers = field(init=False)
    start: Path = field(init=False)  # what a trainer saved after `steps`
    begun: Print = field(init=False)  # that trainer, then
    later: Print = field(init=False)  # one that was loaded from it, `steps` later
    trial: Trainer = field(init=False)  # of another seed

    def __post_init__(self) -> None:
        self.hypers = self.rig.pbt.task.space.sample(np.random.default_rng(0))
        self.start = self.rig.place("start")

    def findings(self) -> Iterator[Finding]:
        """Yield what is found; nothing is raised."""
        parts = (
            self._goes_on,
            self._snapshots,
            self._random_stream,
            self._effects,
            self._used,
            self._divergence,
        )
        for part in parts:
            try:
                yield from part()
            except _Stop:
                return
            except TaskError as error:
                yield Finding(False, str(error))
                return
            except RAISED as error:
                what = f"the trainer raised {said(error)} in {entered(error)}()"
                yield Finding(False, f"{what}. Its traceback:\n{of_user(error)}")
                return

    # ------------------------------------------------------------------------ save and load

    def _goes_on(self) -> Iterator[Finding]:
        first = self.rig.make(0)
        self.rig.train(first, self.hypers, self.steps)
        yield from self._names(first)
        first.save(self.start)
        if self.start.is_dir():
            yield Finding(
                False,
                "save(path) makes a folder at its path: it must write one file there. Pack the "
                "folder, with tarfile or shutil.make_archive, and unpack it in load(path)",
            )
            raise _Stop
        if not self.start.is_file():
            yield Finding(
                False,
                "save(path) leaves no file at its path: write one file, exactly there (np.save "
                "adds .npy to a path: give it an open file)",
            )
            raise _Stop
        digest = hashlib.sha256(self.start.read_bytes()).hexdigest()
        if not self._is_steady(first, digest):
            yield Finding(
                None,
                "save() writes other bytes each time for the same trainer (a time, the order of a "
                "set?): trainers are compared by their scores alone, which may hide a fault",
            )
        score = numbers(first.eval())
        yield Finding(True, f"eval() returns {'a number' if len(score) == 1 else 'a sample'}")
        self.begun = Print(digest, tuple(-math.inf if math.isnan(s) else s for s in score))
        yield from self._report(first)
        self.rig.train(first, self.hypers, 2 * self.steps)
        unbroken = self.rig.print(first)
        causes = Diagnosis(self.rig, self.hypers, self.start, self.begun.scores, self.steps)
        second = self.rig.make(0)
        self.rig.train(second, self.hypers, self.steps)
        if not self.rig.is_like(second, self.begun):
            yield Finding(False, causes.random_training())
            raise _Stop  # no comparison says anything of a training that is not repeated
        yield Finding(True, "two trainers of one seed train alike, bit for bit")
        loaded = self.trial = self.rig.make(1)
        loaded.load(self.start)
        self.rig.train(loaded, self.hypers, self.steps)
        self.later = Print(self.rig.digest(loaded), ())
        if not self.rig.steady:
            self.later = self.rig.print(loaded)
        self.rig.train(loaded, self.hypers, self.steps)
        if self.rig.is_like(loaded, unbroken) and scores(self._loaded()) == self.begun.scores:
            yield Finding(
                True,
                "saved, loaded into a trainer of another seed and trained on: the same as unbroken",
            )
            also = ", report()" if isinstance(first, Reports) else ""
            yield Finding(
                True, f"eval(){also} and save() change neither the weights nor the random state"
            )
            return
        yield from causes.findings()
        if causes.forgets:
            yield Finding(None, "what follows a load is not looked at as long as that is so")
            raise _Stop

    def _is_steady(self, trainer: Trainer, digest: str) -> bool:
        self.rig.steady = self.rig.digest(trainer) == digest
        return self.rig.steady

    def _names(self, trainer: Trainer) -> Iterator[Finding]:
        """Say which hyperparameters are read, and if some are only for some options of others."""
        space, scratch = self.rig.pbt.task.space, None
        switches = Reads(space).switches
        every = itertools.product(*(options(space[name]) for name in switches))
        for chosen in itertools.islice(every, MOST):
            unread = set(space) - set(self.rig.reads)
            there = dict(self.hypers) | dict(zip(switches, chosen, strict=True))
            if not unread:
                break
            if not space.allows(there):
                continue
            scratch = scratch or self.rig.make(1)
            self.rig.train(scratch, there, 1)
            where = ", ".join(
                f"{name} {value}" for name, value in zip(switches, chosen, strict=True)
            )
            for name in sorted(unread & set(self.rig.reads)):
                yield Finding(None, f"{name} is not read at every call, but with {where} it is")
        always = ", ".join(space)
        yield Finding(True, f"step(hypers) reads {'all of ' if len(space) > 1 else ''}{always}")

    def _report(self, trainer: Trainer) -> Iterator[Finding]:
        if not isinstance(trainer, Reports):
            return
        try:
            says = plain_report(trainer.report())
        except (TypeError, ValueError) as error:
            yield Finding(False, str(error))
            raise _Stop from error
        yield Finding(True, f"report() returns numbers, lists or texts: {', '.join(says)}")

    def _loaded(self) -> Trainer:
        """Return the trainer of another seed as it was saved: the same one again, as a worker's."""
        self.trial.load(self.start)
        return self.trial

    # ------------------------------------------------------------------------ after a load

    def _snapshots(self) -> Iterator[Finding]:
        """Go on from a snapshot twice, after its trainer has trained on."""
        if not isinstance(self.trial, Snapshots):
            return
        trainer = self._loaded()
        assert isinstance(trainer, Snapshots)
        state, other = trainer.snapshot(), self.rig.make(1)
        for one in (trainer, other):
            self.rig.train(one, self.hypers, 2 * self.steps)
        for one in (other, trainer):
            assert isinstance(one, Snapshots)
            one.restore(state)
            self.rig.train(one, self.hypers, self.steps)
            if not self.rig.is_like(one, self.later):
                yield Finding(
                    False,
                    "restore(snapshot()) does not go on as load() of what save() wrote: a run in "
                    "memory would copy other weights. Let snapshot() return copies of all that "
                    "save() writes, which no later step changes, and restore() take copies of them",
                )
                return
        yield Finding(True, "restore(snapshot()) goes on as load() of what save() wrote")

    def _random_stream(self) -> Iterator[Finding]:
        trainer = self.trial
        if not isinstance(trainer, Reseeds):
            sentence = "there is no reseed(seed): right if the steps draw no random numbers"
            yield Finding(None, sentence + "; else a copy would see the very noise of its donor")
            return
        prints = []
        for seed in (1, 1, 2):
            trainer.load(self.start)
            trainer.reseed(seed)
            self.rig.train(trainer, self.hypers, self.steps)
            prints.append(self._seen(trainer))
        if prints[0] != prints[1]:
            yield Finding(
                False,
                "reseed(seed) does not decide what is drawn: the same seed twice gave two "
                "trainings. Make the trainer's generator anew from the seed alone",
            )
        elif prints[0] == prints[2]:
            yield Finding(
                False,
                "reseed(seed) has no effect: two seeds gave the same training, so a copy would see "
                "the very noise of its donor. Let the steps draw from the generator that it seeds",
            )
        else:
            yield Finding(True, "reseed(seed) determines the random stream")

    def _seen(self, trainer: Trainer) -> object:
        return self.rig.digest(trainer) if self.rig.steady else scores(trainer)

    def _effects(self) -> Iterator[Finding]:
        for name, prior in self.rig.pbt.task.space.items():
            if not isinstance(prior, Fixed):
                yield self._has_effect(self.trial, name)

    def _has_effect(self, trainer: Trainer, name: str) -> Finding:
        around = self.rig.reads.get(name, self.hypers)  # where it is read, if not everywhere
        prior, rng = self.rig.pbt.task.space[name], np.random.default_rng(2)
        others = [prior.sample(rng) for _ in range(20)] + [prior.scaled(around[name], 2.0, rng)]
        others = [value for value in others if value != around[name]]
        others = [v for v in others if self.rig.pbt.task.space.allows(dict(around) | {name: v})]
        known = self.later if around == self.hypers else None
        for value, steps in zip(others, (self.steps, 3 * self.steps), strict=False):
            if known is None or steps != self.steps:
                trainer.load(self.start)
                self.rig.train(trainer, around, steps)
                known = self.rig.print(trainer)
            trainer.load(self.start)
            self.rig.train(trainer, dict(around) | {name: value}, steps)
            if not self.rig.is_like(trainer, known):
                return Finding(True, f"{name} has an effect after a load")
        if not others:
            return Finding(None, f"{name} could not be changed alone, so its effect is not known")
        return Finding(
            False,
            f"{name} has no effect after a load: training goes on alike with {around[name]!r} and "
            f"{others[0]!r}. Put it in force at every step (a restored optimiser brings back the "
            "rate that it was saved with). If it acts later than that, try --steps 10",
        )

    def _used(self) -> Iterator[Finding]:
        """Load into a trainer that has trained with other hypers, as a worker does all the time."""
        trainer = self._loaded()
        self.rig.train(trainer, self.hypers, self.steps)
        if self.rig.is_like(trainer, self.later):
            yield Finding(True, "loaded into a used trainer: the same as into a new one")
            return
        yield Finding(
            False,
            "load() leaves in a used trainer what another member's training has changed: trained "
            "on, it differs from a new one. A worker loads member after member into one trainer: "
            "set everything in load(), or in step() from the hypers",
        )

    def _divergence(self) -> Iterator[Finding]:
        trainer = self._loaded()
        extreme = dict(self.hypers)
        for name, prior in self.rig.pbt.task.space.items():
            if isinstance(self.hypers[name], float):
                extreme[name] = prior.scaled(self.hypers[name], 1e6, np.random.default_rng(3))
        if not self.rig.pbt.task.space.allows(extreme):
            return
        moves = extreme != dict(self.hypers)
        try:
            self.rig.train(trainer, extreme, self.steps, judge=False)
            score = numbers(trainer.eval())
        except RAISED as error:
            yield Finding(
                None,
                f"with hypers at the upper end of their domains the trainer raises {said(error)}: "
                "the member counts as failed, which is right, but NaN from eval() says it better",
            )
            return
        if not all(map(math.isfinite, score)):
            yield Finding(True, "a diverged training is reported as not a number")
        elif moves:
            yield Finding(
                None,
                "hypers a million times larger, as far as their domains allow it, give the score "
                f"{score[0]:.4g}: no divergence",
            )
