"""A report: some runs as one HTML page that needs no other file and no network."""

import base64
import hashlib
import html
import json
import math
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace as replaced
from itertools import islice
from pathlib import Path

import numpy as np

from analysis.data.made import (
    Output,
    Source,
    check_folder,
    make_folder,
    read_source,
    refuse,
    replace,
    source,
)
from analysis.data.names import HYPER, numbered, some, told_apart
from analysis.data.places import run_directories
from analysis.data.runs import STUDY, by_arm, folders, identity
from analysis.figures import bars
from analysis.figures.catalogue import figures, saved
from analysis.figures.drawing import Drawing
from analysis.report.embed import embedded
from analysis.report.evidence import Evidence, read_evidence
from analysis.report.lineage_data import colours, packed_lineage
from analysis.report.markup import Html, data, date, details, join, number, table, tag, value
from analysis.report.provenance import provenance
from analysis.report.troubles import count, members_said, troubles
from analysis.report.verdict import Verdict, seeds_compared, verdicts
from analysis.tables.compare import Comparison
from analysis.tables.comparison_files import difference, higher, mean_as_text, number_as_text
from core.directory.run import RunError, read_info

HERE = Path(__file__).parent
OPEN = 6  # figures that are shown at once; a click shows the others
ENDS = ("member", "step", "score")  # columns of the table of members before the hypers
FATES = ("founder", "copied", "was copied", "state")  # columns after the hypers
MADE = "made-from"  # the name of a page's meta tag
LARGEST_HEAD = 2**20  # letters of a page in which we look for that tag
Arms = tuple[str, Sequence[Evidence]]  # the name of an arm, and its seeds
POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{}'; "
    "base-uri 'none'; form-action 'none'"
)


def write_report(
    paths: Sequence[Path],
    out: Path,
    lower: Sequence[str] = (),
    output: Output | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the page of some run directories; of a study, the page of its finished runs.

    Args:
        lower: reported numbers of which a lower one is better.
        output: the folder for the figures as files too; None to write none.
        overwrite: whether a page of other runs may be replaced.

    Raises:
        RunError: a path is not a run directory, or has published nothing; no run of a study is
            done.
        ValueError: no run reports a number of `lower`, or a page of other runs is there.
    """
    check_folder(out.absolute().parent)
    left_out: list[str] = []
    places = run_directories(paths, left_out.append)
    found = {place.path: identity(read_info(place.path)) for place in places}
    made = Source("report", [{id: str(path) for path, id in found.items()}])
    if out.exists() and not overwrite:
        refuse(out, made_from(out), made, f"--out {out.with_stem(out.stem + '-2')}")
    runs: list[Evidence] = []
    for place in places:
        try:
            run = read_evidence(place.path)
        except RunError as error:
            if place.within is None:
                raise
            left_out.append(f"left out: {error}")
            continue
        if place.within is not None and (place.within / STUDY).exists() and not run.data.is_done:
            left_out.append(f"left out of the study: {place.path} is {run.data.state}")
            continue
        runs.append(run)
    if not runs:
        raise RunError(
            f"of {some(list(map(str, paths)))} no run is done: nothing to report yet"
            + "".join(f"\n  {sentence}" for sentence in left_out)
        )
    text = page(runs, left_out, lower, output, made)
    make_folder(out.absolute().parent)
    replace(out, text)
    return out


def made_from(page: Path) -> Source | None:
    """Return what a report was made from; None if the file does not say so."""
    try:
        with page.open(encoding="utf-8", errors="replace") as file:
            head = file.read(LARGEST_HEAD)
        found = re.search(rf'<meta name="{MADE}" content="([^"]*)">', head)
        return read_source(json.loads(html.unescape(found[1]))) if found else None
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def page(
    runs: Sequence[Evidence],
    left_out: Sequence[str] = (),
    lower: Sequence[str] = (),
    output: Output | None = None,
    made: Source | None = None,
) -> str:
    """Return the page of some runs.

    Args:
        left_out: a sentence for each run that is left out.
        lower: reported numbers of which a lower one is better.
        output: the folder for the figures as files too; None to write none.
        made: what the page says it was made from; None for these runs.
    """
    script = (HERE / "page.js").read_text("utf-8")
    groups = by_arm([run.data for run in runs])
    called = dict(zip((run.data.path for run in runs), names_of_runs(runs), strict=True))
    runs = [replaced(run, called=called[run.data.path]) for run in runs]
    evidence = {run.data.path: run for run in runs}
    shown = [
        (name, [evidence[run.path] for run in group])
        for name, group in zip(bars.labels(groups), groups, strict=True)
    ]
    found = verdicts(groups, lower, bars.labels(groups))
    title = ", ".join(name for name, _ in shown)
    about = made or source("report", [run.data for run in runs])
    sections = {
        "help": (
            "Did it help?",
            join([_left_out(left_out), _help(shown, found), _tiles(shown)]),
        ),
        "runs": ("What was run", join(provenance(name, group) for name, group in shown)),
        "lineage": ("Lineage", _lineage(runs)),
        "members": ("How each member ended", _members(runs)),
        "figures": ("Figures", _figures(runs, lower, output)),
        "warnings": ("Warnings and failures", troubles(runs)),
    }
    links = tag("nav", *(tag("a", name, href=f"#{id}") for id, (name, _) in sections.items()))
    body = tag(
        "body",
        tag(
            "header",
            tag("h1", title),
            tag(
                "p", f"{count(len(runs), 'run')}, reported on {date(time.time())}. ", _alerts(runs)
            ),
            links,
        ),
        tag(
            "main",
            *(
                tag("section", tag("h2", name), content, id=id)
                for id, (name, content) in sections.items()
            ),
        ),
        data({"colours": colours(), "runs": len(runs)}, "page"),
        *(data(packed_lineage(run.data), f"run-{i}") for i, run in enumerate(runs)),
        tag("script", Html(script)),
    )
    return "<!doctype html>\n" + tag("html", _head(title, about, script), body, lang="en") + "\n"


def _head(title: str, made: Source, script: str) -> Html:
    """Return the head of a page that may run this script and no other."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY.format(digest)),
        tag("meta", name=MADE, content=made.as_json()),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"Report: {title}"),
        tag("style", Html((HERE / "page.css").read_text("utf-8"))),
    )


def _alerts(runs: Sequence[Evidence]) -> str:
    """Return a link that counts warnings, failures and unreadable records."""
    parts = {
        "unreadable record": sum(len(run.data.problems) for run in runs),
        "warning": sum(one.times for run in runs for one in run.warned),
        "failed turn": sum(len(run.failures) for run in runs),
    }
    alerts = ", ".join(count(n, what) for what, n in parts.items() if n)
    return tag("a", f"{alerts}.", href="#warnings") if alerts else "No warnings."


# ---------------------------------------------------------------------------- did it help?


def _left_out(sentences: Sequence[str]) -> Html:
    return join(tag("p", sentence, class_="loud") for sentence in sentences)


def _help(groups: Sequence[Arms], found: Sequence[Verdict]) -> Html:
    parts: list[str] = [_unfinished(run) for _, group in groups for run in group]
    parts += [
        tag("p", tag("strong", run.data.idle), class_="loud")
        for _, group in groups
        for run in group
        if run.data.idle
    ]
    parts += [_verdict(verdict) for verdict in found]
    against = {verdict.ours_is for verdict in found}
    for name, group in groups:
        if group[0].data.is_baseline or group[0].data.path in against:
            continue
        seeds = ", ".join(str(one.data.seed) for one in group)
        parts.append(
            tag(
                "p",
                tag("strong", f"{name} has no baseline here. "),
                "Whether it helped cannot be said from these runs alone. Run the same preset with ",
                tag("code", "ready=never"),
                f" (random search: the same starts and budget), seed {seeds}, and give its run "
                "directories to this command too.",
                class_="notice",
            )
        )
    if all(group[0].data.is_baseline for _, group in groups):
        parts.append(tag("p", "All of these runs are baselines: no member ever copies in them."))
    return join(parts)


def _unfinished(evidence: Evidence) -> Html:
    run = evidence.data
    if run.is_done:
        return Html("")
    goal = run.members * run.steps
    text = f"{run.trained:,} of {goal:,} steps ({run.trained / goal:.0%})"
    if run.silent:
        text += f"; {members_said(run.silent)} published nothing yet"
    name = f"{evidence.name}, is not done: "
    return tag("p", tag("strong", name), f"{text}. It is reported as far as it is.", class_="loud")


def _verdict(found: Verdict) -> Html:
    return tag(
        "div",
        tag("p", found.headline, class_="verdict"),
        *(tag("p", sentence, class_="loud") for sentence in found.loud),
        _numbers(found.comparison) if found.comparison else "",
        *(tag("p", sentence, class_="quiet") for sentence in found.said),
        class_="card",
    )


def _numbers(found: Comparison) -> Html:
    several = found.n > 1
    head = ["", "difference", *found.names, "higher in"]
    rows = [
        [row.name, difference(row), mean_as_text(row, 0), mean_as_text(row, 1), higher(found, row)]
        for row in found.rows
    ]
    if several:
        head += ["g", "p", "p, Holm"]
        for shown, row in zip(rows, found.rows, strict=True):
            test = row.t or row.permutation
            p = test.p if test else math.nan
            shown += [
                number_as_text(row.effect, ".2f", "+"),
                number_as_text(p, ".2g"),
                number_as_text(row.holm, ".2g"),
            ]
    what = "means ± half of their 95 % intervals" if several else "no interval"
    return table(numbered(head), rows, caption=f"n = {seeds_compared(found)}, {what}")


def _tiles(groups: Sequence[Arms]) -> Html:
    return tag("div", *(_tile(name, group) for name, group in groups), class_="tiles")


def _tile(name: str, group: Sequence[Evidence]) -> Html:
    best = [run.data.result() for run in group]
    top = [run.top() for run in group]
    seeds = f"{len(group)} seed{'s' * (len(group) > 1)}"
    run = group[0].data
    return tag(
        "div",
        tag("div", name, class_="name"),
        tag("div", number(float(np.mean(best))), class_="big"),
        tag(
            "div",
            f"{run.score}: best member's last score{', mean of ' * (len(group) > 1)}"
            f"{seeds if len(group) > 1 else ', ' + seeds}",
        ),
        tag("div", f"mean of the five best {number(float(np.mean(top)))}", class_="quiet"),
        class_="tile",
    )


# ---------------------------------------------------------------------------- lineage, members


def _lineage(runs: Sequence[Evidence]) -> Html:
    options = [tag("option", run.name, value=str(i)) for i, run in enumerate(runs)]
    return tag(
        "div",
        tag(
            "p",
            "A row is a member, coloured by its score at each step; a line leads from the member "
            "that was copied to the one that copied it. Hover or tap for what happened there, "
            "click for its ancestry.",
        ),
        tag("noscript", tag("p", "The lineage needs JavaScript; the table below does not.")),
        tag("div", *options, id="lineage-runs", hidden=True),
        tag("div", id="lineage-view"),
    )


def names_of_runs(runs: Sequence[Evidence]) -> list[str]:
    """Return what the page calls each run, with its folder if preset and seed are not unique."""
    names = [run.name for run in runs]
    apart = folders([run.data for run in runs])
    return [
        name if names.count(name) == 1 else f"{name} ({folder})"
        for name, folder in zip(names, apart, strict=True)
    ]


def _members(runs: Sequence[Evidence]) -> Html:
    shown = [
        details(
            f"{run.name}: {run.data.members} members",
            tag("p", "On paper: the 25 best.", class_="quiet paper")
            if run.data.members > 25
            else "",
            _ends(run),
            data_run=str(i),
            open=i == 0,
        )
        for i, run in enumerate(runs)
    ]
    note = "A click on a heading sorts; a click on a member shows its ancestry above."
    return join([tag("p", note, class_="quiet"), *shown])


def _ends(run: Evidence) -> Html:
    columns = run.columns
    founders = columns.founders()
    copies = np.bincount(columns.member[columns.copied], minlength=columns.members)
    donors = np.bincount(columns.donor[columns.copies()], minlength=columns.members)
    rows = []
    for row in columns.ranked():
        me = int(columns.member[row])
        rows.append(
            (
                tag("button", str(me), type="button", data_row=str(row)),
                str(columns.step[row]),
                number(columns.score[row]),
                *(value(of[row]) for of in columns.hypers.values()),
                str(founders[row]) if founders[row] >= 0 else "lost",
                str(copies[me]),
                str(donors[me]),
                "failed" if columns.failed[row] else "",
            )
        )
    hypers = told_apart(columns.hypers, ENDS + FATES, HYPER)
    head = (*ENDS, *hypers.values(), *FATES)
    return table(head, rows, sortable=True, title=f"members of {run.name}")


# ---------------------------------------------------------------------------- figures


def _figures(runs: Sequence[Evidence], lower: Sequence[str], output: Output | None) -> Html:
    drawn: Iterable[Drawing] = figures([run.data for run in runs], lower)
    if output:
        drawn = (one for one, _ in saved(drawn, output))
    shown = map(embedded, drawn)
    first, rest = list(islice(shown, OPEN)), list(shown)
    more = details(f"{len(rest)} more figures", *rest) if rest else ""
    return join([*first, more])
