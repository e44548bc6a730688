"""Joint subwords of both languages: sentencepiece's byte-pair encoding, as fairseq's dictionary."""

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import sentencepiece
import torch
from torch import Tensor

from tasks.nmt.fairseq_compat import Dictionary


@dataclass(frozen=True, slots=True)
class Subwords:
    """Text to numbers and back.

    model: what sentencepiece has learnt. dictionary: fairseq's, of its pieces.
    """

    model: bytes
    pieces: sentencepiece.SentencePieceProcessor
    dictionary: Dictionary

    def encode(self, text: str) -> Tensor:
        """Return the numbers of a sentence's pieces and of its end, int64 [T]."""
        index = self.dictionary.index
        numbers = [index(piece) for piece in self.pieces.encode(text, out_type=str)]
        return torch.tensor([*numbers, self.dictionary.eos()])

    def decode(self, numbers: Sequence[int]) -> str:
        """Return the text of numbers; what marks its end or pads it is left out."""
        unspoken = {self.dictionary.eos(), self.dictionary.pad(), self.dictionary.bos()}
        pieces = [self.dictionary[number] for number in numbers if number not in unspoken]
        text: str = self.pieces.decode(pieces)
        return text


def learn(lines: Iterable[str], size: int) -> Subwords:
    """Learn `size` pieces from sentences of both languages; digits are pieces of their own.

    Raises:
        ValueError: the sentences do not have so many pieces.
    """
    written, met = io.BytesIO(), list[BaseException]()

    def watched() -> Iterator[str]:
        try:
            yield from lines
        except BaseException as error:  # sentencepiece makes a RuntimeError of it, Ctrl-C too
            met.append(error)
            raise

    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=watched(),
            model_writer=written,
            vocab_size=size,
            model_type="bpe",
            character_coverage=1.0,
            split_digits=True,
            normalization_rule_name="identity",  # the default rewrites characters
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        if met:
            raise met[0] from None
        raise ValueError(
            f"{size} subwords cannot be learnt from these sentences: take fewer, or more text "
            f"(sentencepiece: {error})"
        ) from error
    return from_model(written.getvalue())


def from_model(model: bytes) -> Subwords:
    """Return the subwords of a model that sentencepiece has learnt."""
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model)
    dictionary = Dictionary()  # has marks of its own for the start, the end, padding, the unknown
    for number in range(pieces.get_piece_size()):
        if not (pieces.is_control(number) or pieces.is_unknown(number)):
            dictionary.add_symbol(pieces.id_to_piece(number))
    return Subwords(model, pieces, dictionary)
