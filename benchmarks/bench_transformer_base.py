"""How long the paper's translation runs take: an update and a beam search of the Transformer base.

`python -m benchmarks.bench_transformer_base [--device cuda]`: 2,048 tokens of random pieces out of
32,000 a batch, in sentences of 32. The search is of an untrained model, which ends no sentence
before the greatest length: an upper bound, to which copies add a few scores. Hours are those of all
members of `figure_4_translation`, one device each, or one thread.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from benchmarks.provenance import say
from core import Every
from tasks.nmt import presets
from tasks.nmt.corpus import HELD_OUT, Corpus, Part, generated
from tasks.nmt.network import DROPOUTS
from tasks.nmt.trainer import RATE, Translator

VOCABULARY, LENGTH, JUDGED = 32_000, 32, 64
NEWSTEST2012 = 3_003  # sentences
HYPERS = {RATE: 1e-4} | dict.fromkeys(DROPOUTS, 0.1)


def corpus(sentences: int) -> Corpus:
    """Return random pieces in place of a corpus."""
    small = generated(1000)
    dictionary = small.subwords.dictionary
    for number in range(VOCABULARY - len(dictionary)):
        dictionary.add_symbol(f"<{number}>")
    rng = np.random.default_rng(0)

    def part(count: int) -> Part:
        rows = rng.integers(dictionary.nspecial, len(dictionary), (2, count, LENGTH))
        rows[..., -1] = dictionary.eos()
        en, de = (list(torch.from_numpy(side)) for side in rows)
        return Part(en, de, np.full((count, 2), LENGTH, np.int32), [""] * count)

    judged = part(JUDGED)
    return replace(small, train=part(sentences), selecting=judged, monitored=judged, test=judged)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print seconds of an update and of a score, evaluation's share, and hours of the preset."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--updates", type=int, default=4, help="that are timed")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    sentences = presets.BASE.max_tokens // LENGTH * 2 * options.updates
    problem = replace(presets.BASE, corpus=partial(corpus, sentences), updates=options.updates)
    trainer = Translator(problem, 0, options.device)
    trainer.step(HYPERS)  # what is slow only once
    update = _timed(options.device, lambda: trainer.step(HYPERS)) / options.updates
    trainer.translate("selecting", None)
    score = _timed(options.device, trainer.eval) * NEWSTEST2012 / JUDGED
    run = presets.figure_4_translation()
    rounds = presets.UPDATES // presets.BASE.updates
    assert isinstance(run.report, Every)
    scores = rounds + len(HELD_OUT) * rounds // run.report.steps  # a report is of three parts
    member = presets.UPDATES * update + scores * score
    say(
        {
            "benchmark": "Transformer base: 2,048 tokens an update, beam 4 over newstest2012",
            "device": options.device,
            "parameters": sum(p.numel() for p in trainer.parameters.values()),
            "seconds_an_update": round(update, 4),
            "seconds_a_score_at_most": round(score, 1),
            "share_of_evaluation_at_most": round(scores * score / member, 4),
            "hours_of_all_members": round(run.members * member / 3600),
            "updates": options.updates,
        }
    )


def _timed(device: str, act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
