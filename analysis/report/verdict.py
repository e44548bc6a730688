"""Did it help? Each arm of a report against each of its baselines."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from analysis.data.runs import RULES, RunData
from analysis.tables.arms import arm, names
from analysis.tables.compare import Comparison, compare
from analysis.tables.comparison_files import higher, notes


@dataclass(slots=True)
class Verdict:
    """An arm against a baseline.

    ours: the name of the arm.
    theirs: the name of the baseline.
    score: the selected score, which is compared first.
    ours_is: the directory of the arm's first run.
    comparison: of the finished runs; None if it was impossible.
    loud: sentences that no reader must miss.
    said: other sentences for the reader.
    """

    ours: str
    theirs: str
    score: str
    ours_is: Path
    comparison: Comparison | None = None
    loud: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    @property
    def headline(self) -> str:
        """The answer in a sentence."""
        found, both = self.comparison, f"{self.ours} and {self.theirs}"
        if found is None:
            return f"{both} could not be compared."
        row, unequal = found.rows[0], "" if found.equal else " The budgets were unequal."
        if not math.isfinite(row.difference):
            return f"{both} have no finite scores to compare."
        apart, way = abs(row.difference), "below" if row.difference < 0 else "above"
        if row.of is None:
            return (
                f"{self.ours} ended {apart:.4g} {way} {self.theirs} in {self.score}. "
                f"That is one seed: an observation, no evidence.{unequal}"
            )
        of = f"95 % interval of {seeds_compared(found)}; higher in {higher(found, row)}"
        if row.of.low <= 0 <= row.of.high:
            size = f"{row.difference:+.4g} ± {row.of.half:.3g}"
            return f"No difference is shown between {both}: {size} in {self.score} ({of}).{unequal}"
        answer = ("It helped: " if row.difference > 0 else "It hurt: ") if found.equal else ""
        size = f"{apart:.4g} ± {row.of.half:.3g}"
        return f"{answer}{self.ours} is {size} {way} {self.theirs} in {self.score} ({of}).{unequal}"


def verdicts(
    arms: Sequence[Sequence[RunData]], lower: Sequence[str] = (), called: Sequence[str] = ()
) -> list[Verdict]:
    """Compare each arm that copies with each baseline of the same task.

    Args:
        lower: reported numbers of which a lower one is better.
        called: the name of each arm; () for the functions of their presets.
    """
    names = called or [arm[0].name for arm in arms]
    both = list(zip(arms, names, strict=True))
    return [
        verdict(ours, theirs, lower, (mine, other) if called else None)
        for ours, mine in both
        if not ours[0].is_baseline
        for theirs, other in both
        if theirs[0].is_baseline
        if ours[0].settings["task"] == theirs[0].settings["task"]
    ]


def verdict(
    ours: Sequence[RunData],
    theirs: Sequence[RunData],
    lower: Sequence[str] = (),
    called: tuple[str, str] | None = None,
) -> Verdict:
    """Compare the finished runs of two arms, in pairs if they have the same seeds."""
    found = Verdict(*(called or names(ours[0], theirs[0])), ours[0].score, ours[0].path)
    for runs, name in ((ours, found.ours), (theirs, found.theirs)):
        late = [run.seed for run in runs if not run.is_done]
        if late and len(late) < len(runs):
            found.loud.append(
                f"{name} is not done with {_seeds(late)}: left out of the comparison."
            )
        if torn := [run.seed for run in runs if run.problems]:
            found.loud.append(f"{name} has unreadable records in {_seeds(torn)}.")
    try:
        mine, other = (
            replace(arm(_done(runs)), name=name)
            for runs, name in ((ours, found.ours), (theirs, found.theirs))
        )
        both = [name for name in lower if name in mine.held_out and name in other.held_out]
        comparison = compare(mine, other, lower=both)
    except ValueError as error:
        found.loud.append(str(error))
        return found
    found.comparison = comparison
    for line in comparison.budgets:
        loud = line.startswith(("UNEQUAL BUDGETS", "UNEQUAL STEPS"))
        (found.loud if loud else found.said).append(line)
    if comparison.n == 1:
        found.loud.append("One seed: no interval can be claimed. Run more seeds of both.")
    if different := ours[0].different(theirs[0], (*RULES, "seed")):
        found.loud.append(f"They differ in more than the rules: {', '.join(different)}.")
    found.said += notes(comparison)
    if mine.held_out:
        found.said.append(
            "“selected” is the score by which members were ranked, so its best is biased upwards; "
            "the other numbers that the task reported were not used to select."
        )
    return found


def _done(runs: Sequence[RunData]) -> Sequence[RunData]:
    if not any(run.is_done for run in runs):
        raise ValueError(f"No run of {runs[0].name} is done: nothing is compared yet.")
    return [run for run in runs if run.is_done]


def seeds_compared(found: Comparison) -> str:
    """Return the number of seeds in a comparison, as a phrase."""
    mine, other = map(len, found.seeds)
    if found.paired:
        return f"{found.n} paired seed{'s' * (found.n > 1)}"
    return f"{mine} seeds and {other} others"


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
