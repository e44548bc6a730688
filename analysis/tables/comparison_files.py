"""`python -m analysis compare`: a comparison as Markdown, CSV and JSON."""

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import get_args

from rich.console import Console

from analysis.data.made import Output, source
from analysis.data.names import LONGEST, cut, file_names, numbered
from analysis.data.numbers import TIMES, label
from analysis.data.places import Place, note, one_arm, read_places, run_directories
from analysis.data.runs import RunData
from analysis.tables.arms import Arm, arm, common_step, names
from analysis.tables.compare import AT_END, Comparison, Row, compare
from analysis.tables.statistics import FEWEST, Interval, Method, least_p
from analysis.tables.tabular import NONE, Table, comma_separated, markdown, show

NARROW = 30  # seeds below which bootstrap intervals are clearly too narrow: see statistics.py
FEW = 0.05  # a note says so if too few seeds cannot give a p below this


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `compare`, besides the runs and --out."""
    add = parser.add_argument
    add("--against", type=Path, nargs="+", required=True, metavar="RUN", help="the baseline")
    add(
        "--target",
        type=float,
        metavar="SCORE",
        help="time how long it takes to this score (default: what the baseline ended with, median)",
    )
    add(
        "--held-out",
        action="append",
        default=[],
        metavar="NAME",
        help="compare this number of the report alone, and time how long it takes to be as high as "
        "the baseline's; may be given again",
    )
    add(
        "--lower",
        action="append",
        default=[],
        metavar="NAME",
        help="the same of a number of which a lower one is better, beside all others",
    )
    add(
        "--interval",
        choices=get_args(Method),
        default="t",
        help="t (the default), or BCa bootstrap, which is too narrow for few seeds",
    )
    add("--so-far", action="store_true", help="compare runs that are not done, at a common step")


def command(options: argparse.Namespace) -> int:
    """Compare, write three files and print.

    Raises:
        ValueError: a run is on both sides, or the two cannot be compared.
    """
    output = Output(options.out, options.overwrite)
    ours_at, theirs_at = (run_directories(some, note) for some in (options.runs, options.against))
    runs, against = (_side(places, options.so_far) for places in (ours_at, theirs_at))
    there = {place.path.resolve() for place in theirs_at}
    if both := next((place.path for place in ours_at if place.path.resolve() in there), None):
        raise ValueError(
            f"{both} is on both sides: nothing differs from itself; leave it out of one"
        )
    step = common_step([*runs, *against]) if options.so_far else None
    ours, theirs = arm(runs, step), arm(against, step)
    steps = {run.steps for run in (*runs, *against)}
    found = compare(
        ours,
        theirs,
        target=options.target,
        held_out=options.held_out,
        lower=options.lower,
        method=options.interval,
        step=step if steps != {step} else None,
    )
    [name] = file_names(["_against_".join(cut(name, LONGEST // 2 - 5) for name in found.names)])
    files = {
        f"{name}.md": (text := comparison_as_markdown(found)),
        f"{name}.csv": comparison_as_csv(ours, theirs, found),
        f"{name}.json": comparison_as_json(found),
    }
    output.plan(dict.fromkeys(files, source("compare", runs, against)))
    paths = [output.write(file, content) for file, content in files.items()]
    if sys.stdout.isatty():
        show([title(found), *parts(found)], Console())
        print("\n".join(map(str, paths)))
    else:
        print(text)
        print(paths[0])
    return 0


def _side(places: Sequence[Place], so_far: bool) -> list[RunData]:
    """Return the runs of a side; of a study or a folder that is one arm, those that are done.

    Raises:
        ValueError: a study or a folder has several arms.
    """
    runs = read_places(places, note)
    one_arm(places, runs)
    found = {place.path for place in places if place.within}
    late = [run for run in runs if run.path in found and not run.is_done]
    if so_far or not late or len(late) == len(runs):
        return runs
    for run in late:
        note(f"left out: {run.path} is {run.state}; --so-far compares it as far as it is")
    return [run for run in runs if run not in late]


def title(found: Comparison) -> str:
    """Return a line that says what is compared."""
    mine, other = map(len, found.seeds)
    seeds = f"{found.n} seeds in pairs" if found.paired else f"{mine} seeds against {other} others"
    seeds = "1 seed" if found.paired and found.n == 1 else seeds
    return f"{found.names[0]} against {found.names[1]}: {seeds}"


def comparison_as_markdown(found: Comparison) -> str:
    """Return a comparison as Markdown."""
    return "\n".join(
        [title(found) + "\n"]
        + [part + "\n" if isinstance(part, str) else markdown(part) for part in parts(found)]
    )


def parts(found: Comparison) -> list[Table | str]:
    """Return the parts in their order: budgets, seeds, means, differences, tests, costs, notes."""
    so_far = f"NOT DONE: runs are compared at step {found.step}, the last that all have done."
    said = [so_far] if found.step is not None else []
    said += [*found.damage, *found.budgets]
    tables = [_seeds(found), _means(found), _differences(found)]
    tables += [_tested(found)] if found.n > 1 else []
    return [*said, *tables, _costs(found), *notes(found)]


def _seeds(found: Comparison) -> Table:
    first = [AT_END, *map(label, found.held_out), "area"][:2]
    shown = [row for row in found.rows if row.name in first]
    seeds = sorted({*found.seeds[0], *found.seeds[1]})

    def cell(row: Row, side: int, seed: int) -> str:
        if seed not in found.seeds[side]:
            return NONE
        return number_as_text((row.ours, row.theirs)[side][found.seeds[side].index(seed)])

    header = ["seed", *(f"{row.name}, {name}" for row in shown for name in found.names)]
    lines = [
        [str(seed), *(cell(row, side, seed) for row in shown for side in (0, 1))] for seed in seeds
    ]
    return Table(f"Every seed ({AT_END}: {found.score}).", numbered(header), lines)


def _means(found: Comparison) -> Table:
    rows = [[row.name, *(mean_as_text(row, side) for side in (0, 1))] for row in found.rows]
    title = "Means, with 95 % intervals:" if found.n > 1 else "Numbers:"
    return Table(title, numbered(["", *found.names]), rows)


def _differences(found: Comparison) -> Table:
    rows = []
    for row in found.rows:
        effect = number_as_text(row.effect, ".2f", sign="+")
        rows.append([row.name, difference(row), effect, higher(found, row)])
    kind = "Paired differences" if found.paired else "Differences of means"
    header = ["", "difference", "g", "higher in"]
    title = f"{kind}, with 95 % intervals:" if found.n > 1 else "Differences:"
    return Table(title, header, rows)


def _tested(found: Comparison) -> Table:
    tests = ("paired t", "sign flips") if found.paired else ("Welch's t", "permutation")
    header = ["", f"p, {tests[0]}", f"p, {tests[1]}", "p, Holm"]
    rows = []
    for row in found.rows:
        ps = [test.p if test else math.nan for test in (row.t, row.permutation)]
        rows.append([row.name, *(number_as_text(p, ".2g") for p in (*ps, row.holm))])
    return Table("Tests:", header, rows)


def _costs(found: Comparison) -> Table:
    rows = []
    for row in found.costs:
        ratio = row.means[0] / row.means[1] if row.means[1] else math.nan
        rows.append(
            [f"{row.name} a run", *map(number_as_text, row.means), number_as_text(ratio, ".3f")]
        )
    return Table("What it cost (means):", ["", *found.names, "ratio"], rows)


def notes(found: Comparison) -> list[str]:
    """Return sentences about how the comparison was made."""
    ours, theirs = map(len, found.seeds)
    said = []
    if found.n < 2:
        said.append("One pair of seeds: no interval is claimed, and nothing can be tested.")
    else:
        below = found.n < NARROW and found.n >= FEWEST and found.method == "bootstrap"
        method = "t" if found.paired else "t, of differences Welch's"
        if found.method == "bootstrap":
            enough = found.n >= FEWEST
            method = "BCa bootstrap" if enough else f"{method} (the bootstrap needs {FEWEST} seeds)"
        said.append(
            f"Intervals: {method}"
            + (f"; too narrow for {found.n} seeds, see analysis/tables/statistics.py" * below)
            + ". g: Hedges' g, the difference in standard deviations of a seed."
        )
        tested = sum(not math.isnan(row.holm) for row in found.rows)
        said.append(
            f"{tested} numbers are tested, so some p are small by chance; p, Holm is the first p "
            f"of a row, corrected for that. Tests: {'; '.join(_tests(found.rows))}."
        )
        if (least := least_p(ours, theirs, paired=found.paired)) > FEW:
            kind = "sign flips" if found.paired else "permutations"
            said.append(f"Of so few seeds, {kind} cannot give a p below {least:.2g}.")
    for goal in found.targets:
        of = f" of {goal.of}" if goal.of else ""
        said.append(f"The target{of} is at {'most' if goal.lower else 'least'} {goal.value:.5g}.")
    for row in found.rows:
        if sum(row.never) and row.name.startswith(TIMES[0]):
            said.append(
                f"{row.name}: {row.never[0]} of {ours} runs of {found.names[0]} and {row.never[1]} "
                f"of {theirs} of {found.names[1]} never reached the target, and count with the "
                "time they had: the means are bounds (≥), and log-rank scores are permuted."
            )
    unsaid = [name for name in found.held_out if name not in found.lower]
    if unsaid:
        said.append(
            f"No run says whether a higher {', '.join(unsaid)} is better (--lower NAME: a lower)."
        )
    if found.lower:
        said.append(f"Of {', '.join(found.lower)}, lower is better.")
    said.append(
        "Members are chosen by the selected score alone; held-out numbers are what they reported."
    )
    return [*said, *found.notes]


def _tests(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(t.name for row in rows for t in (row.t, row.permutation) if t))


def higher(found: Comparison, row: Row) -> str:
    """Return in how many pairs ours is higher; the share of all possible pairs if unpaired."""
    if not row.comparisons:
        return NONE
    if found.paired:
        return f"{row.higher:g} of {row.comparisons}"
    return f"{row.higher / row.comparisons:.0%}"


def difference(row: Row) -> str:
    """Return the difference of a number with its interval."""
    return span(row.difference, row.of, sign="+")


def mean_as_text(row: Row, side: int) -> str:
    """Return the mean of a number in an arm with its interval."""
    text = span(row.means[side], row.intervals[side])
    return f"≥ {text}" if row.never[side] else text


def span(value: float, of: Interval | None, sign: str = "") -> str:
    """Return a number with its interval."""
    text = number_as_text(value, ".4g" if sign else ".5g", sign)
    if of is None or math.isnan(value):
        return text
    if of.method != "BCa bootstrap":
        return f"{text} ± {of.half:.3g}"
    return f"{text} [{of.low:{sign}.4g}, {of.high:{sign}.4g}]"


def number_as_text(value: float, form: str = ".5g", sign: str = "") -> str:
    """Return a number as a table shows it."""
    return NONE if math.isnan(value) else f"{value:{sign}{form}}"


def comparison_as_csv(ours: Arm, theirs: Arm, found: Comparison) -> str:
    """Return all compared numbers as CSV, one row for each seed."""
    rows = [*found.rows, *found.costs]
    seeds = sorted({*found.seeds[0], *found.seeds[1]})
    header = ["seed", *(f"{row.name} of {name}" for row in rows for name in names(ours, theirs))]
    lines = []
    for seed in seeds:
        line = [str(seed)]
        for row in rows:
            for some, values in zip(found.seeds, (row.ours, row.theirs), strict=True):
                line.append(f"{values[some.index(seed)]:.6g}" if seed in some else "")
        lines.append(line)
    return comma_separated(numbered(header), lines)


def comparison_as_json(found: Comparison) -> str:
    """Return a comparison as JSON; NaN and infinity are null."""
    return json.dumps(_plain(asdict(found)), indent=1, ensure_ascii=False) + "\n"


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
