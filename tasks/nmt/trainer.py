"""A translator that learns: fairseq's Transformer, criterion, Adam and beam search."""

import functools
import math
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from core import Hypers, TaskError
from core.task import Report
from tasks.nmt.batches import Batches
from tasks.nmt.bleu import bleu, signature, tokenised_bleu
from tasks.nmt.corpus import Corpus, Part
from tasks.nmt.fairseq_compat import (
    FairseqAdam,
    FairseqAdamConfig,
    LabelSmoothedCrossEntropyCriterion,
    mixed_masks,
    on_device,
    used_parameters,
)
from tasks.nmt.network import DROPOUTS, Network, build, dropouts, set_dropouts, translation_task
from tasks.torch_state import load_state, save_state

RATE = "learning_rate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """What differs between the paper's experiment and its small forms.

    corpus: what is learnt; see corpus.py and wmt14.py.
    max_tokens: pieces in a batch, padding included, of the longer side.
    updates: in one step.
    select_by: what the score is: "bleu", of a beam search, as in the paper; or "likelihood", minus
        the cross entropy of a piece in nats, which says something long before BLEU does.
    selecting: of how many sentences, the first of the part, the score is; None for all of them.
    beam, length_penalty: of the search, as fairseq counts: by the length to this power.
    smoothing: of the labels. clip: of the gradient's norm; 0 for none.
    """

    corpus: Callable[[], Corpus]
    network: Network
    max_tokens: int
    updates: int
    select_by: Literal["bleu", "likelihood"]
    selecting: int | None = None
    beam: int = 4
    length_penalty: float = 0.6
    smoothing: float = 0.1
    clip: float = 0.0

    def __post_init__(self) -> None:
        if self.select_by not in ("bleu", "likelihood"):
            raise ValueError(f"select_by must be bleu or likelihood, got {self.select_by!r}")
        for name in ("max_tokens", "updates", "beam", "selecting"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not (0 <= self.smoothing < 1 and 0 <= self.clip < math.inf):
            raise ValueError(
                "smoothing is a share in [0, 1) and clip a norm of at least 0, got "
                f"{self.smoothing} and {self.clip}"
            )


class Translator:
    """A `Trainer` of a Transformer.

    Hyperparameters: `learning_rate` of Adam (0.9, 0.98, 1e-9), and three dropouts, in [0, 1).
    There is no schedule in it: what is given to `step` holds for the whole of it.

    Source: Jaderberg et al. 2017 (arXiv:1711.09846), section 4.2 and appendix A.2.
    """

    def __init__(self, problem: Translation, seed: int, device: str) -> None:
        self.problem, self.device = problem, torch.device(device)
        self.corpus = problem.corpus()
        self.task = translation_task(self.corpus.subwords)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.model = build(problem.network, self.task).to(self.device)
        self.parameters = used_parameters(self.model)
        config = FairseqAdamConfig(adam_betas="(0.9, 0.98)", adam_eps=1e-9, lr=[1e-4])
        self.adam = FairseqAdam(config, list(self.parameters.values()))
        self.criterion = LabelSmoothedCrossEntropyCriterion(self.task, False, problem.smoothing)
        self.train_batches = _batches(self.corpus, "train", None, problem.max_tokens)
        if (longest := int(self.corpus.train.sizes.max())) > problem.network.longest:
            raise TaskError(
                f"a sentence has {longest} pieces, and the network is for {problem.network.longest}"
                ": give it a larger `longest`, or leave such sentences out"
            )
        self.stream, self.data_stream = seed, seed
        self.steps, self.epoch, self.position = 0, 0, 0
        self.diverged = False

    def step(self, hypers: Hypers) -> None:
        """Update `updates` times; a loss or weight that is not finite ends it: the score is NaN."""
        self._put_in_force(hypers)
        self.model.train()
        gpus = [self.device] if self.device.type == "cuda" else []
        # dropout draws from torch's global generators
        with torch.random.fork_rng(devices=gpus), mixed_masks():
            torch.manual_seed(self._seed(0))
            for _ in range(self.problem.updates):
                if self.diverged:
                    break
                self._update(on_device(self._next_batch(), self.device))
        # the last update may have ruined the weights: a beam search would fail on them
        self.diverged |= not all(bool(p.isfinite().all()) for p in self.parameters.values())
        self.steps += 1

    def _put_in_force(self, hypers: Hypers) -> None:
        rates = {name: float(hypers[name]) for name in DROPOUTS}
        for name, rate in rates.items():
            if not 0 <= rate < 1:
                raise TaskError(f"{name} is {rate}: a share of units in [0, 1) can be left out")
        if not 0 <= float(hypers[RATE]) < math.inf:
            raise TaskError(f"{RATE} is {hypers[RATE]}: a finite one of at least 0 can be followed")
        set_dropouts(self.model, rates)
        self.adam.set_lr(float(hypers[RATE]))
        # read back where they act: a model with modules of another name would train without them
        found = {name: {rate} for name, rate in rates.items()}
        if dropouts(self.model) != found or self.adam.get_lr() != float(hypers[RATE]):
            raise TaskError(
                f"{dict(hypers)} is not in force: the model has {dropouts(self.model)} and Adam "
                f"{self.adam.get_lr()}; this fairseq is not the one that network.py knows"
            )

    def _update(self, batch: Any) -> None:
        loss, size, _ = self.criterion(self.model, batch)
        if not math.isfinite(float(loss.detach())):
            self.diverged = True
            return
        self.adam.zero_grad()
        self.adam.backward(loss / size)
        if self.problem.clip:
            self.adam.clip_grad_norm(self.problem.clip)
        self.adam.step()

    def _next_batch(self) -> Any:
        if self.position == len(self.train_batches):
            self.epoch, self.position = self.epoch + 1, 0
        order = _order(self.train_batches, self.data_stream, self.epoch)
        self.position += 1
        return self.train_batches[order[self.position - 1]]

    def _seed(self, purpose: int) -> int:
        sequence = np.random.SeedSequence(self.stream, spawn_key=(self.steps, purpose))
        return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))

    def eval(self) -> float:
        """Return the score of the selecting part; NaN if the training has diverged."""
        loss = math.nan
        if not self.diverged:
            loss = self._cross_entropy("selecting", self.problem.selecting)
        # a beam search would fail where the model says nothing that is a number
        if self.problem.select_by == "likelihood" or not math.isfinite(loss):
            return -loss if math.isfinite(loss) else math.nan
        part = self.corpus.selecting.first(self.problem.selecting)
        return bleu(self.translate("selecting", self.problem.selecting), part.references)

    def report(self) -> Report:
        """Return what selection does not see; {} if the training has diverged.

        selecting_bleu, monitored_bleu, test_bleu: in percent. test_tokenised_bleu: as the paper
        counted it, nearly (bleu.py). monitored_loss: nats a piece. signature: sacrebleu's.
        """
        names = ("selecting", "monitored", "test")
        losses = [math.nan if self.diverged else self._cross_entropy(it, None) for it in names]
        if not all(map(math.isfinite, losses)):
            return {}
        found: dict[str, float | Sequence[float] | str] = {"monitored_loss": losses[1]}
        for name in names:
            part: Part = getattr(self.corpus, name)
            translated = self.translate(name, None)
            found[f"{name}_bleu"] = bleu(translated, part.references)
        found["test_tokenised_bleu"] = tokenised_bleu(translated, part.references)
        found["signature"] = signature(translated, part.references)
        return found

    @torch.no_grad()
    def translate(self, name: str, count: int | None) -> list[str]:
        """Return translations of a part of the corpus, or of its first sentences, by beam search.

        At most half as many pieces again as the longest source of its batch has, and 10, as fairseq
        counts; an empty one is "".
        """
        self.model.eval()
        arguments = Namespace(
            beam=self.problem.beam,
            lenpen=self.problem.length_penalty,
            max_len_a=1.5,
            max_len_b=10,
        )
        search = self.task.build_generator([self.model], arguments)
        translated: dict[int, str] = {}
        for batch in _batches(self.corpus, name, count, EVALUATED):
            with mixed_masks():
                there = on_device(batch, self.device)
                found = self.task.inference_step(search, [self.model], there)
            for row, hypotheses in zip(batch["id"].tolist(), found, strict=True):
                best = hypotheses[0]["tokens"].tolist() if hypotheses else []
                translated[row] = self.corpus.subwords.decode(best)
        return [translated[row] for row in range(len(translated))]

    @torch.no_grad()
    def _cross_entropy(self, name: str, count: int | None) -> float:
        """Return nats a piece of the references, without smoothing."""
        self.model.eval()
        nats, pieces = 0.0, 0
        for batch in _batches(self.corpus, name, count, EVALUATED):
            with mixed_masks():
                _, _, log = self.criterion(self.model, on_device(batch, self.device))
            nats, pieces = nats + float(log["nll_loss"]), pieces + int(log["ntokens"])
        return nats / pieces

    def reseed(self, seed: int) -> None:
        """Draw dropout from a new stream. The place in the data stays: an epoch is finished."""
        self.stream = seed

    def save(self, path: Path) -> None:
        """Write weights, optimiser, and the place in the data."""
        state = {
            "weights": {name: p.detach() for name, p in self.parameters.items()},
            "adam": self.adam.optimizer.state_dict(),
            "streams": [self.stream, self.data_stream],
            "place": [self.steps, self.epoch, self.position],
            "diverged": self.diverged,
            "corpus": self.corpus.fingerprint,
        }
        save_state(state, path)

    def load(self, path: Path) -> None:
        """Go on exactly from where the trainer that wrote `path` was.

        Raises:
            TaskError: these are weights of another corpus, or of another network.
        """
        state = load_state(path, self.device)
        if state["corpus"] != self.corpus.fingerprint:
            raise TaskError(
                f"these weights are of corpus {state['corpus']}, and this one is "
                f"{self.corpus.fingerprint}: numbers would stand for other words; give the run "
                "the corpus that it began with"
            )
        if misfit := _misfit(self.parameters, state["weights"]):
            raise TaskError(f"these weights are of another network: {misfit}")
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(state["weights"][name])
        self.adam.optimizer.load_state_dict(state["adam"])
        self.stream, self.data_stream = state["streams"]
        self.steps, self.epoch, self.position = state["place"]
        self.diverged = state["diverged"]


EVALUATED = 4096  # pieces in a batch, at most, that is not trained on


@functools.lru_cache(maxsize=16)
def _batches(corpus: Corpus, name: str, count: int | None, max_tokens: int) -> Batches:
    """Return the batches of a part of a corpus: made once in a process."""
    part: Part = getattr(corpus, name)
    return Batches(part.first(count), corpus.subwords, max_tokens)


@functools.lru_cache(maxsize=4)
def _order(batches: Batches, stream: int, epoch: int) -> list[int]:
    return batches.order(stream, epoch)


def _misfit(mine: Any, theirs: Any) -> str:
    """Return in what two networks differ, in a few words; "" if in nothing."""
    if mine.keys() != theirs.keys():
        return f"they have {', '.join(sorted(mine.keys() ^ theirs.keys())[:3])} on one side only"
    for name, parameter in mine.items():
        if parameter.shape != theirs[name].shape:
            return f"{name} is {list(theirs[name].shape)} there and {list(parameter.shape)} here"
    return ""
