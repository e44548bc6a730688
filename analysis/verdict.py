"""Did it help: each arm of a report against each baseline among its runs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from analysis import compare
from analysis.evidence import Evidence
from analysis.runs import RULES


@dataclass(slots=True)
class Verdict:
    """An arm against a baseline.

    ours, theirs: what the arms are called.
    seeds: those that both have.
    score: what was compared first: the score that selection saw.
    selected: the difference in it; None where none could be made.
    equal: whether both had the same budget.
    rows: of each number: its name, the difference, ours, theirs, in how many seeds it is higher, p.
    said: what else a reader must know, a sentence each; those that are `loud` first.
    """

    ours: str
    theirs: str
    score: str
    equal: bool = True
    seeds: Sequence[int] = ()
    selected: compare.Difference | None = None
    rows: list[tuple[str, ...]] = field(default_factory=list)
    loud: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    @property
    def headline(self) -> str:
        """The answer in a sentence."""
        found, names = self.selected, f"{self.ours} and {self.theirs}"
        unequal = "" if self.equal else " The budgets were unequal."
        if found is None:
            return f"{names} could not be compared."
        if not math.isfinite(found.mean):
            return f"{names} have no finite scores to compare."
        if not math.isfinite(found.half):
            way = "below" if found.mean < 0 else "above"
            return (
                f"{self.ours} ended {abs(found.mean):.4g} {way} {self.theirs} in {self.score}. "
                f"That is one seed: an observation, no evidence.{unequal}"
            )
        of = f"95 % interval of {found.n} paired seeds; higher in {found.wins} of {found.n}"
        if abs(found.mean) <= found.half:
            size = f"{found.mean:+.4g} ± {found.half:.3g}"
            return (
                f"No difference is shown between {names}: {size} in {self.score} ({of}).{unequal}"
            )
        way = "above" if found.mean > 0 else "below"
        answer = ("It helped: " if found.mean > 0 else "It hurt: ") if self.equal else ""
        size = f"{abs(found.mean):.4g} ± {found.half:.3g}"
        return f"{answer}{self.ours} is {size} {way} {self.theirs} in {self.score} ({of}).{unequal}"


def verdicts(arms: Sequence[Sequence[Evidence]]) -> list[Verdict]:
    """Compare each arm that copies with each arm of the same task that never does."""
    baselines = [arm for arm in arms if arm[0].data.is_baseline]
    return [
        verdict(ours, theirs)
        for ours in arms
        if not ours[0].data.is_baseline
        for theirs in baselines
        if ours[0].settings["task"] == theirs[0].settings["task"]
    ]


def verdict(ours: Sequence[Evidence], theirs: Sequence[Evidence]) -> Verdict:
    """Compare the finished runs of two arms, paired by seed."""
    found = Verdict(*_names(ours[0], theirs[0]), ours[0].data.score)
    for arm, name in ((ours, found.ours), (theirs, found.theirs)):
        late = [run.data.seed for run in arm if not run.done]
        if late and len(late) < len(arm):
            found.loud.append(
                f"{name} is not done with {_seeds(late)}: left out of the comparison."
            )
        if torn := [run.data.seed for run in arm if run.problems]:
            found.loud.append(f"{name} has unreadable records in {_seeds(torn)}.")
    try:
        mine, other = (
            compare.arm([run.data for run in arm if run.done])
            for arm in (_some(ours), _some(theirs))
        )
        seeds, columns = compare.pair(mine, other)
    except ValueError as error:
        found.loud.append(str(error))
        return found
    found.seeds = seeds
    for name, (left, right) in columns.items():
        difference = compare.paired(left, right)
        if found.selected is None:
            found.selected = difference
        size, p = f"{difference.mean:+.4g}", "–"
        if math.isfinite(difference.half):
            size, p = f"{size} ± {difference.half:.3g}", f"{difference.p:.2g}"
        higher = f"{difference.wins} of {difference.n}"
        texts = (compare.interval(left), compare.interval(right))
        found.rows.append((name, size, *texts, higher, p))
    _budgets(found, mine, other)
    _remarks(found, mine, other, ours[0], theirs[0])
    return found


def _some(arm: Sequence[Evidence]) -> Sequence[Evidence]:
    if not any(run.done for run in arm):
        raise ValueError(f"No run of {arm[0].data.name} is done: nothing is compared yet.")
    return arm


def _budgets(found: Verdict, mine: compare.Arm, other: compare.Arm) -> None:
    found.equal = mine.budget == other.budget
    if not found.equal:
        found.loud.append(
            f"UNEQUAL BUDGETS: {found.ours} trained {mine.budget:,} steps a run, "
            f"{found.theirs} {other.budget:,}."
        )
    else:
        found.said.append(f"Equal budgets: {mine.budget:,} steps a run.")
    for arm, name in ((mine, found.ours), (other, found.theirs)):
        if arm.lost:
            found.loud.append(f"Of {name}, {arm.lost:,} steps of failed members were not trained.")
    if mine.code != other.code:
        found.said.append(f"The code differs: {mine.code} and {other.code}.")


def _remarks(
    found: Verdict, mine: compare.Arm, other: compare.Arm, ours: Evidence, theirs: Evidence
) -> None:
    if len(found.seeds) == 1:
        found.loud.append("One seed: no interval can be claimed. Run more seeds of both.")
    if left := sorted(set(mine.seeds) ^ set(other.seeds)):
        found.said.append(f"Left out, because only one arm has it: {_seeds(left)}.")
    if different := sorted(
        name
        for name in ours.settings
        if name not in (*RULES, "seed") and ours.settings[name] != theirs.settings.get(name)
    ):
        found.loud.append(f"They differ in more than the rules: {', '.join(different)}.")
    if len(found.rows) > 3:  # more than the selected score, the top five and the seconds
        found.said.append(
            "“selected” is the score by which members were ranked, so its best is flattered; "
            "what the task reported beside it was not selected by."
        )


def _names(ours: Evidence, theirs: Evidence) -> tuple[str, str]:
    if ours.data.name != theirs.data.name:
        return ours.data.name, theirs.data.name
    return f"{ours.data.name} (first)", f"{theirs.data.name} (second)"


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
