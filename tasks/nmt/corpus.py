"""Sentences with their translations, in four parts, as numbers: what a trainer learns from."""

import functools
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tasks.nmt.fairseq_compat import LanguagePairDataset, ListDataset
from tasks.nmt.generated.grammar import Pair, pair
from tasks.nmt.subwords import Subwords, learn


@dataclass(frozen=True, slots=True)
class Part:
    """Some sentences: as numbers, int64 [T] each with its end, and the translations as text.

    sizes: the T of each sentence and its translation, [N, 2]. references: the texts, of what is
    translated; () of what is only learnt.
    """

    sources: Sequence[Tensor]
    targets: Sequence[Tensor]
    sizes: NDArray[np.int32]
    references: Sequence[str]

    def __len__(self) -> int:
        return len(self.sizes)

    def first(self, count: int | None) -> "Part":
        """Return the first of them; None for all."""
        if count is None:
            return self
        return Part(
            self.sources[:count], self.targets[:count], self.sizes[:count], self.references[:count]
        )

    def dataset(self, subwords: Subwords) -> Any:
        """Return fairseq's data set of them."""
        dictionary, (en, de) = subwords.dictionary, self.sizes.T
        return LanguagePairDataset(
            ListDataset(self.sources, en),
            en,
            dictionary,
            ListDataset(self.targets, de),
            de,
            dictionary,
            left_pad_source=False,
            shuffle=False,  # it would be by numpy's global generator
        )


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """What is learnt from, and what it is judged by; equal to itself alone.

    train: what is learnt. selecting: what the score is of (newstest2012 in the paper). monitored:
    what is watched (newstest2013). test: what is reported (newstest2014).
    fingerprint: of all that it was made of, so that weights of another one are not taken for its.
    """

    subwords: Subwords
    train: Part
    selecting: Part
    monitored: Part
    test: Part
    fingerprint: str


def encoded(subwords: Subwords, pairs: Sequence[tuple[str, str]]) -> Part:
    """Return sentences and translations as numbers."""
    sources = [subwords.encode(en) for en, _ in pairs]
    targets = [subwords.encode(de) for _, de in pairs]
    sizes = [(len(en), len(de)) for en, de in zip(sources, targets, strict=True)]
    return Part(sources, targets, np.array(sizes, np.int32), [de for _, de in pairs])


def fingerprint(subwords: Subwords) -> str:
    """Return what tells one dictionary from another."""
    return hashlib.sha256(subwords.model).hexdigest()[:16]


HELD_OUT = ("selecting", "monitored", "test")


def generated(sentences: int, subwords: int = 2000, held_out: int = 500, seed: int = 0) -> Corpus:
    """Return a corpus out of the grammar: the same for the same arguments, in seconds.

    No content is in two parts (grammar.py says what a content is): a sentence that is judged
    differs from each that was learnt in more than its numbers, dates and times. No sentence and no
    translation is there twice.

    Args:
        sentences: to learn. subwords: of both languages. held_out: sentences in each other part.

    Raises:
        ValueError: the sentences do not have so many subwords.
    """
    return _generated(sentences, subwords, held_out, seed)


@functools.cache  # all members of a population learn from one
def _generated(sentences: int, subwords: int, held_out: int, seed: int) -> Corpus:
    parts: dict[str, list[tuple[str, str]]] = {"train": [], **{name: [] for name in HELD_OUT}}
    wanted = dict.fromkeys(HELD_OUT, held_out) | {"train": sentences}
    for drawn in _distinct(Random(seed)):
        part = _part(drawn.content)
        if len(parts[part]) < wanted[part]:
            parts[part].append((drawn.en, drawn.de))
        elif all(len(parts[name]) == wanted[name] for name in parts):
            break
    learnt = learn((side for both in parts["train"] for side in both), subwords)
    made = {name: encoded(learnt, pairs) for name, pairs in parts.items()}
    of = f"{sentences}-{held_out}-{seed}-{fingerprint(learnt)}"
    return Corpus(subwords=learnt, fingerprint=of, **made)


def _distinct(random: Random) -> Iterator[Pair]:
    seen: set[str] = set()
    while True:
        drawn = pair(random)
        if drawn.en not in seen and drawn.de not in seen:
            seen |= {drawn.en, drawn.de}
            yield drawn


def _part(content: str) -> str:
    """Return the part that a content belongs to: one in twelve to each of those held out."""
    slot = hashlib.sha256(content.encode()).digest()[0] % 12
    return HELD_OUT[slot] if slot < len(HELD_OUT) else "train"
