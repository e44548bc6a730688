"""The result of a run in numbers: scores, costs, and numbers that selection does not use.

| number | what it is |
| --- | --- |
| selected | the best of all last scores |
| top five | the mean of the five best last scores |
| area | the mean, over the steps, of the score of the member that is best at the step |
| peak | the best score of any member at any time, including evaluations after copies |
| steps to target | the first step at which a member reached the target |
| seconds to target | the seconds of all members until they had trained for that step |
| steps | of all members together, without those of failed members |
| evaluations | one for each step, and one for each copy |
| seconds | of the workers, without waiting and the search for work |

A reported number never chooses a member. "held_out" is what the member behind "selected"
reported, and "top five, held_out" the mean of those five. "area, held_out" is the mean of the
members behind the area, over the steps with reports. "peak, held_out" was reported with the best
of all scores that have a report.

The area is under the curve of the best member, as Parker-Holder et al. 2020 (PB2) draw runs, and
not under the mean of the top five (Jaderberg et al. 2017, figure 4), which favours populations that
copy. It is not of the best so far, which rises with the noise of the scores.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from analysis.data.columns import Bools, Columns, Floats, Ints
from analysis.data.names import REPORTED

COSTS = ("steps", "evaluations", "seconds")
TIMES = ("steps to target", "seconds to target")
OWN = ("selected", "top five", "area", "peak", *TIMES, *COSTS)


@dataclass(frozen=True, slots=True)
class Target:
    """A score to reach, or a reported number.

    value: what is to be reached.
    of: the name of the reported number; "" for the score.
    lower: whether a lower number is better.
    """

    value: float
    of: str = ""
    lower: bool = False

    def met(self, values: Floats) -> Bools:
        """Return which of the values are as good as the target; NaN is not."""
        return np.asarray(values <= self.value if self.lower else values >= self.value)


def last_step(data: Columns) -> int:
    """Return the last step that all members have finished, including their decisions there."""
    last = data.last()
    return int((data.step[last] - data.waiting[last]).min())


def until(data: Columns, step: int) -> Columns:
    """Return a run as it was when each member had done `step` steps."""
    kept = data.step <= step
    place = np.cumsum(kept) - 1  # the new row of a row that is kept
    counts = np.bincount(data.member[kept], minlength=data.members)
    known = np.where(data.parent >= 0, kept[data.parent], False)  # a donor may be at a later step
    parent = np.where(known, place[data.parent], -1)
    cut: dict[str, object] = {}
    for field in fields(Columns):
        value = getattr(data, field.name)
        if isinstance(value, Mapping):
            cut[field.name] = {name: column[kept] for name, column in value.items()}
        elif isinstance(value, np.ndarray) and field.name != "first":
            cut[field.name] = value[kept]
    cut |= {"first": np.concatenate(([0], np.cumsum(counts))), "parent": parent[kept]}
    return replace(data, **cut)  # type: ignore[arg-type]  # each by its own name


def score_grid(data: Columns) -> Floats:
    """Return [members, steps] the score of each member at each step, before any copy."""
    return data.score_grid(int(data.step.max()))


def leaders(scores: Floats) -> Ints:
    """Return the best member at each step of a score grid; of equal ones, the lower id."""
    return np.asarray(np.nan_to_num(scores, nan=-np.inf).argmax(axis=0))


def reported(data: Columns, name: str) -> Floats:
    """Return [members, steps] what each member reported at each step, not counting copies."""
    own = np.where(data.copied, np.nan, data.report[name])
    values = np.full((data.members, int(data.step.max())), np.nan)
    said = np.isfinite(own) & (data.step > 0)
    values[data.member[said], data.step[said] - 1] = own[said]
    return values


def results(data: Columns) -> dict[str, float]:
    """Return the numbers of a run that need no target; NaN where there is no number."""
    best, five = data.best(), data.top_rows()
    scores, steps = score_grid(data), np.arange(int(data.step.max()))
    first = leaders(scores)
    every = np.concatenate((data.score, data.dropped))
    selected = float(data.score[best])
    values = {"selected": selected if math.isfinite(selected) else math.nan}
    values |= {label(name): float(data.report[name][best]) for name in data.report}
    values["top five"] = _mean(data.score[five])
    values["area"] = float(scores[first, steps].mean()) if len(steps) else math.nan
    values["peak"] = _greatest(every)
    for name in data.report:
        said = reported(data, name)
        at_top = np.where(np.isfinite(said), scores, np.nan)
        peak = math.nan
        if np.isfinite(at_top).any():
            peak = said.flat[np.where(np.isfinite(at_top), at_top, -np.inf).argmax()]
        behind = said[first, steps]
        values |= {
            of_report("top five", name): float(data.report[name][five].mean())
            if len(five)
            else math.nan,
            of_report("area", name): float(np.nanmean(behind))
            if np.isfinite(behind).any()
            else math.nan,
            of_report("peak", name): float(peak),
        }
    return values


def label(name: str) -> str:
    """Return what to call a reported number, so that it has none of our names.

    The answer depends on this name alone, because two runs need not report the same numbers. No two
    names get the same answer, and none gets another's "top five, NAME".
    """
    if name in OWN:
        return f"{name} ({REPORTED})"
    marks = tuple(f"{own}, " for own in OWN)
    if name.startswith((*marks, "“")) or name.endswith(f"({REPORTED})"):
        return f"“{name}” ({REPORTED})"
    return name


def of_report(own: str, name: str) -> str:
    """Return what to call one of our numbers of a reported one, as "top five, held_out"."""
    return f"{own}, {label(name)}"


def costs(data: Columns) -> dict[str, float]:
    """Return the cost of a run: trained steps, evaluations, seconds of workers."""
    pairs = np.stack((data.member, data.step))[:, data.step > 0]
    steps = np.unique(pairs, axis=1).shape[1] - untrained_steps(data)
    copies = int((data.copied & ~data.failed).sum())
    seconds = math.fsum(data.phases().values())
    return dict(zip(COSTS, (float(steps), float(steps + copies), seconds), strict=True))


def untrained_steps(data: Columns) -> int:
    """Return how many steps of failed members were not trained."""
    return int(data.failed[data.first_of_step()].sum())


def highest(data: Columns, name: str) -> float:
    """Return the greatest number that any member ever reported.

    Only the last row of the paper's table 4 is made this way; no comparison is.
    """
    return _greatest(data.report[name])


def times(data: Columns, target: Target, horizon: int) -> tuple[float, float, bool]:
    """Return the step at which the target was reached, the seconds until then, and if it was.

    If a run did not reach it within `horizon` steps, return that step and the seconds until it.
    For a reported number, only the report of the best member at each step counts.
    """
    scores = score_grid(data)
    if not target.of:
        met = np.asarray(target.met(scores).any(axis=0))
    else:
        first = leaders(scores)
        met = target.met(reported(data, target.of)[first, np.arange(len(first))])
    met = met[:horizon]
    step = int(met.argmax()) + 1 if met.any() else horizon
    return float(step), costs(until(data, step))["seconds"], bool(met.any())


def report_steps(data: Columns, name: str) -> tuple[int, ...]:
    """Return the steps at which any member reported a number."""
    said = np.isfinite(reported(data, name)).any(axis=0)
    return tuple(int(step) + 1 for step in np.flatnonzero(said))


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else math.nan


def _greatest(values: Sequence[float] | Floats) -> float:
    finite = np.asarray(values)[np.isfinite(values)]
    return float(finite.max()) if len(finite) else math.nan
