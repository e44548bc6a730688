"""Batches of sentences of like length, by fairseq; their order, drawn for each epoch."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from tasks.nmt.corpus import Part
from tasks.nmt.subwords import Subwords


class Batches:
    """The batches of a part of a corpus: which sentences are together never changes.

    Args:
        max_tokens: pieces in a batch at most, padding included, of the longer of both sides.

    Raises:
        ValueError: a sentence is longer than that.
    """

    def __init__(self, part: Part, subwords: Subwords, max_tokens: int) -> None:
        self.data = part.dataset(subwords)
        longest = int(self.data.sizes.max())
        if longest > max_tokens:
            raise ValueError(
                f"a sentence has {longest} pieces, and max_tokens is {max_tokens}: a batch must "
                "hold the longest one"
            )
        self.rows = self.data.batch_by_size(self.data.ordered_indices(), max_tokens=max_tokens)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> Any:
        """Return a batch as fairseq's models take it."""
        return self.data.collater([self.data[row] for row in self.rows[number]])

    def __iter__(self) -> Iterator[Any]:
        """Return all of them, the shortest sentences first."""
        return (self[number] for number in range(len(self)))

    def order(self, stream: int, epoch: int) -> list[int]:
        """Return the order of an epoch in a random stream: a function of both."""
        rng = np.random.default_rng(np.random.SeedSequence(stream, spawn_key=(epoch,)))
        return [int(number) for number in rng.permutation(len(self))]
