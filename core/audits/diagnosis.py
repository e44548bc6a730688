"""Why a trainer does not go on as if nothing had happened: each fault in a sentence of its own."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from core.audits.rig import Print, Rig, moved, scores
from core.member import Hypers
from core.task import Reports, Reseeds, Trainer

LONG = 4  # times as many steps, before bytes that differ count as harmless


@dataclass(frozen=True, slots=True)
class Finding:
    """One point of the contract: kept (True), broken (False), or not to be told (None)."""

    kept: bool | None
    sentence: str


@dataclass(slots=True)
class Diagnosis:
    """The search for the reason; each try begins from the seed or from a saved file.

    rig: makes and compares trainers. hypers: to train with. start: a file of one that was trained
        for `steps`. score: what it scored then.
    forgets: whether a load was found not to bring back all.
    """

    rig: Rig
    hypers: Hypers
    start: Path
    score: tuple[float, ...]
    steps: int
    forgets: bool = False

    def random_training(self) -> str:
        """Say why two trainers of one seed do not train alike."""
        trainer = self.rig.make(0)
        drawn = moved(lambda: self.rig.train(trainer, self.hypers, self.steps))
        if drawn:
            return (
                f"two trainers of one seed train differently: step() draws from {_and(drawn)}, a "
                "generator of the whole process, which the seed does not reach. Draw from one of "
                "the trainer's own, made of its seed and kept in what save() writes"
            )
        return (
            "two trainers of one seed train differently, and no global generator was drawn from: "
            "look for a generator that is made without the seed, for time, threads, the order of a "
            "set, and operations that are not deterministic (torch.use_deterministic_algorithms)"
        )

    def findings(self) -> Iterator[Finding]:
        """Yield what is wrong with a trainer that goes on otherwise when it was loaded."""
        plain = self._after(lambda trainer: None)
        if self._after(lambda trainer: None) != plain:  # its steps draw from what is not seeded
            self.forgets = True
            yield Finding(False, self.random_training())
            return
        looks: dict[str, Callable[[Trainer], object]] = {"eval": lambda trainer: trainer.eval()}
        if isinstance(self.rig.make(0), Reports):
            looks["report"] = lambda t: t.report() if isinstance(t, Reports) else None
        looks["save"] = self.rig.digest
        impure = []
        for name, look in looks.items():
            if self._after(look) != plain:
                impure.append(name)
                yield Finding(False, self._impure(name, look))
        loaded = self.rig.make(1)
        loaded.load(self.start)
        self.rig.train(loaded, self.hypers, 2 * self.steps)
        there = self.rig.print(loaded)
        if there != plain and not self._is_harmless(plain, there):
            self.forgets = True
            yield Finding(False, self._forgotten(noisy="eval" in impure))
        elif not impure:
            yield Finding(
                None,
                "what a trainer saves after a load has other bytes than without one, though it "
                "trains on and scores alike: a time, a path or an order in the file? That does no "
                "harm, and hides what would",
            )

    def _after(self, look: Callable[[Trainer], object]) -> Print:
        """Return a trainer that was looked at half-way."""
        trainer = self.rig.make(0)
        self.rig.train(trainer, self.hypers, self.steps)
        look(trainer)
        self.rig.train(trainer, self.hypers, 2 * self.steps)
        return self.rig.print(trainer)

    def _is_harmless(self, one: Print, other: Print) -> bool:
        """Whether two trainers differ in bytes alone, and go on so."""
        if one.scores != other.scores:
            return False
        pair = self.rig.make(0), self.rig.make(1)
        self.rig.train(pair[0], self.hypers, self.steps)
        pair[1].load(self.start)
        for trainer in pair:
            self.rig.train(trainer, self.hypers, LONG * self.steps)
        return scores(pair[0]) == scores(pair[1])

    def _impure(self, name: str, look: Callable[[Trainer], object]) -> str:
        """Say what a look at a trainer changes."""
        trainer = self._trained()
        if drawn := moved(lambda: look(trainer)):
            return (
                f"{name}() draws random numbers from {_and(drawn)}, so the steps after it see "
                "others than without it: give it a generator of its own, seeded alike each time"
            )
        if isinstance(trainer, Reseeds) and self._reseeded(look) == self._reseeded(lambda t: None):
            return (
                f"{name}() draws random numbers from the stream of the training, so the steps "
                "after it see others than without it: give it a generator of its own, seeded alike "
                "each time"
            )
        if isinstance(trainer, Reseeds):
            return (
                f"{name}() trains: it changes the weights, the optimiser or the position in the "
                "data, not the random state alone. It may only look: no step of an optimiser, no "
                "statistics updated (in torch: model.eval() and torch.no_grad())"
            )
        return (
            f"{name}() changes the weights, the optimiser, the position in the data or the random "
            "state: it may only look"
        )

    def _reseeded(self, look: Callable[[Trainer], object]) -> Print:
        trainer = self._trained()
        look(trainer)
        return self._on_with_stream(trainer)

    def _on_with_stream(self, trainer: Trainer) -> Print:
        assert isinstance(trainer, Reseeds), "asked before"
        trainer.reseed(7)
        self.rig.train(trainer, self.hypers, self.steps)
        return self.rig.print(trainer)

    def _trained(self) -> Trainer:
        trainer = self.rig.make(0)
        self.rig.train(trainer, self.hypers, self.steps)
        return trainer

    def _loaded(self) -> Trainer:
        trainer = self.rig.make(1)
        trainer.load(self.start)
        return trainer

    def _forgotten(self, *, noisy: bool) -> str:
        """Say what a load does not bring back.

        Args:
            noisy: whether eval() changes the trainer, so that its scores tell little.
        """
        trainer = self._loaded()
        now = scores(trainer)
        if now != self.score and not noisy:
            return (
                f"load() does not bring the weights back: right after it eval() says {now[0]:.6g}, "
                f"and {self.score[0]:.6g} when they were saved (into a trainer of another seed)"
            )
        trainer = self._loaded()
        drawn = moved(lambda: self.rig.train(trainer, self.hypers, self.steps))
        if drawn:
            return (
                f"load() does not bring back the state of {_and(drawn)}, from which step() draws: "
                "let save() write it too, and load() set it"
            )
        if isinstance(trainer, Reseeds):
            streams = self._on_with_stream(self._loaded()), self._on_with_stream(self._trained())
            if streams[0].scores == streams[1].scores:
                return (
                    "load() brings back weights and optimiser, and not the random state: let "
                    "save() write the state of the trainer's generator, and load() set it"
                )
        rest = "" if isinstance(trainer, Reseeds) else "a random generator, "
        return (
            "load() brings the weights back (eval() says the same), and not all that training "
            f"depends on: the optimiser's state (momentum, moments, its step count), {rest}a "
            "schedule's or the position in the data. Let save() write it, and load() set it"
        )


def _and(names: list[str]) -> str:
    return " and ".join(names)
