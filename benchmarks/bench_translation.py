"""A translation member inside the engine against a plain fairseq loop, in turns; its evaluation.

`python -m benchmarks.bench_translation`: same model, batches and updates, the same score after each
step; the engine writes weights and records besides. Then where its time goes (fsync and checksum
are parts of other phases), and how much memory a process holds at most. `--medium` measures that
preset's member.
"""

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from benchmarks.provenance import say, spread
from core import PBT
from core.directory.members import Members
from core.directory.record import TURN
from core.directory.run import open_run
from core.workers.worker import work
from tasks.nmt import presets
from tasks.nmt.batches import Batches
from tasks.nmt.fairseq_compat import (
    FairseqAdam,
    FairseqAdamConfig,
    LabelSmoothedCrossEntropyCriterion,
    mixed_masks,
    used_parameters,
)
from tasks.nmt.network import DROPOUTS, build, set_dropouts, translation_task
from tasks.nmt.trainer import EVALUATED, RATE, Translation

STEPS, PAIRS = 12, 5
HYPERS = {RATE: 3e-3} | dict.fromkeys(DROPOUTS, 0.05)


def small_member() -> PBT:
    """One member that trains and is scored after each step, and nothing else."""
    return _one(presets.small_random_search())


def medium_member() -> PBT:
    """The same of `medium`."""
    return _one(presets.medium_random_search())


def _one(run: PBT) -> PBT:
    return replace(run, members=1, steps=STEPS, start=(HYPERS,))


def by_engine(member: str) -> tuple[float, dict[str, float]]:
    """Return the seconds that the run takes, without its last report; and those of each phase."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("PBT_BENCH_DIR")) as folder:
        run = open_run(Path(folder) / "run", f"benchmarks.bench_translation:{member}")
        began = time.perf_counter()
        work(run)
        passed = time.perf_counter() - began
        spent: dict[str, float] = {}
        for record in Members(run.root).history(0):
            for phase, seconds in record.seconds.items():
                spent[phase] = spent.get(phase, 0.0) + seconds
    return passed - spent["report"], spent


def by_hand(problem: Translation) -> float:
    """Return the seconds of the same training in a loop of its own."""
    began = time.perf_counter()
    corpus = problem.corpus()
    task = translation_task(corpus.subwords)
    torch.manual_seed(0)
    model = build(problem.network, task)
    set_dropouts(model, HYPERS)
    config = FairseqAdamConfig(adam_betas="(0.9, 0.98)", adam_eps=1e-9, lr=[HYPERS[RATE]])
    adam = FairseqAdam(config, list(used_parameters(model).values()))
    criterion = LabelSmoothedCrossEntropyCriterion(task, False, problem.smoothing)
    batches = Batches(corpus.train, corpus.subwords, problem.max_tokens)
    judged = Batches(corpus.selecting.first(problem.selecting), corpus.subwords, EVALUATED)
    order = batches.order(0, 0) * (1 + STEPS * problem.updates // len(batches))
    with mixed_masks():
        for step in range(STEPS):
            model.train()
            for number in order[step * problem.updates : (step + 1) * problem.updates]:
                loss, size, _ = criterion(model, batches[number])
                adam.zero_grad()
                adam.backward(loss / size)
                adam.clip_grad_norm(problem.clip)
                adam.step()
            model.eval()
            with torch.no_grad():
                sum(float(criterion(model, batch)[2]["nll_loss"]) for batch in judged)
    return time.perf_counter() - began


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the ratio of the two, in pairs whose order alternates, and what evaluation costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--medium", action="store_true", help="a member of medium, not of small")
    medium = parser.parse_args(arguments).medium
    torch.set_num_threads(1)
    problem = presets.MEDIUM if medium else presets.SMALL
    engine = partial(by_engine, "medium_member" if medium else "small_member")
    corpus = problem.corpus()  # is there from now on
    by_hand(problem)
    ratios, rates, phases = [], [], []
    tokens = float(corpus.train.sizes[:, 1].mean()) * len(corpus.train)
    batches = len(Batches(corpus.train, corpus.subwords, problem.max_tokens))
    trained = tokens / batches * problem.updates * STEPS
    for pair in range(PAIRS):
        if pair % 2:
            (inside, spent), plain = engine(), by_hand(problem)
        else:
            plain, (inside, spent) = by_hand(problem), engine()
        ratios.append(plain / inside)
        apart = sum(spent.get(phase, 0.0) for phase in (*TURN, "claim"))
        phases.append(spent | {"other": inside + spent["report"] - apart})
        rates.append(trained / inside)
    say(
        {
            "benchmark": "translation, tokens per second of a member: engine over plain fairseq",
            "preset": "medium" if medium else "small",
            "updates": STEPS * problem.updates,
            "ratio": spread(ratios),
            "target_tokens_per_second_with_scores": spread(rates),
            "share_of_evaluation": spread(
                [it["eval"] / (it["eval"] + it["step"]) for it in phases]
            ),
            "milliseconds_a_step": {
                name: spread([1000 * it[name] / STEPS for it in phases])["median"]
                for name in phases[0]
                if name != "report"
            },
            "last_report_seconds": spread([it["report"] for it in phases]),
            "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "threads": 1,
        }
    )


if __name__ == "__main__":
    main()
