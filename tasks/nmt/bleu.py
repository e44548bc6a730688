"""BLEU, by sacrebleu: as it is reported today, and tokenised as the paper counted it."""

from collections.abc import Sequence

import sacrebleu


def bleu(hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """Return BLEU in percent under sacrebleu's default tokeniser, 13a; 0 without a word.

    Raises:
        ValueError: not one reference for each hypothesis.
    """
    return _score(hypotheses, references, "13a")[0]


def tokenised_bleu(hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """Return BLEU with the tokeniser "intl", which splits all punctuation, hyphens too.

    The paper used Moses' multi-bleu on text whose hyphenated compounds were split, which gives
    higher numbers than 13a. This is the nearest that sacrebleu has, and not the same.
    """
    return _score(hypotheses, references, "intl")[0]


def signature(hypotheses: Sequence[str], references: Sequence[str]) -> str:
    """Return sacrebleu's description of how `bleu` counts."""
    return _score(hypotheses, references, "13a")[1]


def _score(hypotheses: Sequence[str], references: Sequence[str], by: str) -> tuple[float, str]:
    if len(hypotheses) != len(references) or not references:
        raise ValueError(
            f"{len(hypotheses)} translations for {len(references)} references: BLEU compares one "
            "with one, and needs one at least"
        )
    metric = sacrebleu.BLEU(tokenize=by)
    score = metric.corpus_score(list(hypotheses), [list(references)]).score
    return float(score), str(metric.get_signature())
