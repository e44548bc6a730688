"""How much the digits' Inception score of one generator varies with the samples that it is of.

`python -m benchmarks.bench_score_noise RUN...`: the best member of each run, scored ten times.
"""

import statistics
import sys
from pathlib import Path

from analysis.data.runs import read_runs
from benchmarks.provenance import say, spread
from core.directory.members import Members
from tasks.gan.problems import DIGITS
from tasks.gan.trainer import WGANGP

SCORES = 10


def main() -> None:
    """Print the standard deviation of the score of each run's best member."""
    deviations = []
    for run in read_runs([Path(word) for word in sys.argv[1:]]):
        best = run.best()
        assert best.weights is not None
        trainer = WGANGP(DIGITS, 0, "cpu")
        trainer.load(Members(run.path).weights.find(best.member.id, best.weights))
        scores = []
        for stream in range(SCORES):
            trainer.stream = stream  # which samples are drawn
            scores.append(trainer.eval())
        deviations.append(statistics.stdev(scores))
    say(
        {
            "benchmark": "standard deviation of one generator's score over new samples",
            "scores_each": SCORES,
            "standard_deviation": spread(deviations),
        }
    )


if __name__ == "__main__":
    main()
