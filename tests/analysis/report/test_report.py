"""A report: what it says is what the runs hold, whatever state they are in, and only text."""

import html
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from analysis.__main__ import main
from analysis.data.runs import said
from analysis.figures.style import new_figure
from analysis.report import page as report
from analysis.report.embed import MANY, picture
from analysis.report.evidence import read_evidence
from analysis.report.lineage_data import packed_lineage
from analysis.report.markup import Html, data, tag
from analysis.report.page import HERE, page
from core.directory.members import Members
from core.directory.record import Record
from core.directory.run import open_run
from core.member import rank
from core.workers.worker import work
from tests.analysis.runs import run_of
from tests.analysis.synthetic import warn, write_run

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"


class Page(HTMLParser):
    """A page as a browser would see it: its elements, and its text by section."""

    def __init__(self, text: str) -> None:
        """Read the page."""
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.sections: dict[str, str] = {"": ""}
        self.json: dict[str, object] = {}
        self._section = ""
        self._skip = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        found = dict(attrs)
        self.tags.append((tag, found))
        if tag == "section":
            self._section = str(found["id"])
        self._skip = str(found.get("id") or tag) if tag in ("script", "style") else ""

    def handle_data(self, data: str) -> None:
        """Note text."""
        if self._skip:
            if self._skip not in ("script", "style"):
                self.json[self._skip] = json.loads(data)
            return
        self.sections[self._section] = self.sections.get(self._section, "") + f"{data} "

    def handle_endtag(self, tag: str) -> None:
        """Leave an element."""
        if tag in ("script", "style"):
            self._skip = ""


def _page(*paths: Path) -> Page:
    return Page(page([read_evidence(path) for path in paths]))


def _histories(path: Path) -> list[list[Record]]:
    population = Members(path)
    return [population.history(id) for id in range(len(list((path / "members").iterdir())))]


@pytest.fixture(autouse=True)
def _without_figures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw none where none is looked at: they take most of the time."""
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr(report, "figures", lambda runs, lower: iter(()))


@pytest.fixture
def drawn() -> None:
    """Let the page have its figures."""


@pytest.mark.usefixtures("drawn")
def test_the_page_is_one_file_that_asks_for_nothing(
    tmp_path: Path, arms: tuple[list[Path], list[Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    """It has only data addresses, and a policy that forbids all others."""
    out = tmp_path / "new" / "report.html"

    assert main(["report", str(arms[0][0]), str(arms[1][0]), "--out", str(out)]) == 0

    assert capsys.readouterr().out.strip() == str(out)
    found = Page(out.read_text("utf-8"))
    links = [a.get("src") or a.get("href") or "" for _, a in found.tags]
    assert {link.partition(",")[0].partition(":")[0][:1] for link in links} <= {"", "#", "d"}
    assert all(link.startswith(("data:image/", "#")) for link in links if link)
    policy = next(str(a["content"]) for _, a in found.tags if "http-equiv" in a)
    assert "default-src 'none'" in policy
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/=]{44}';", policy)
    assert not re.search(r"https?://(?!www\.w3\.org/)", out.read_text("utf-8"))


def test_the_numbers_are_those_of_the_runs(arms: tuple[list[Path], list[Path]]) -> None:
    """Best score, top five, copies and steps of each seed equal a loop over the records."""
    text = _page(*arms[0][:3]).sections["runs"]

    for seed, path in enumerate(arms[0][:3]):
        histories = _histories(path)
        ends = [history[-1] for history in histories]
        best = min(ends, key=lambda record: rank(record.member))
        top = np.mean(sorted(end.member.score for end in ends)[-5:])
        copies = sum(r.member.parent is not None for history in histories for r in history)
        turns = sum(len(history) - 1 for history in histories)
        row = f"{seed} {best.member.score:.5g} {best.member.id} {top:.5g} 60/60 {copies} "
        assert row in text
        assert f"of 5 {turns} " in text
    assert "Every(steps=2, start=0, settle=0)" in text
    assert "LogUniform(low=0.01, high=1)" in text
    assert "tests.trainers:walk" in text


def test_the_cost_by_phase_adds_up_to_the_workers_time(
    arms: tuple[list[Path], list[Path]],
) -> None:
    """The share of the engine is the time outside the task's code."""
    run = read_evidence(arms[0][0])
    records = [record for history in _histories(arms[0][0]) for record in history]
    parts = ("checksum", "fsync", "decide")

    whole = sum(s for r in records for phase, s in r.seconds.items() if phase not in parts)

    assert run.worker_seconds == pytest.approx(whole)
    phases = run.columns.phases()
    assert phases["step"] == pytest.approx(sum(r.seconds.get("step", 0) for r in records))
    assert not set(phases) & set(run.parts())
    times = [record.time for record in records]
    assert run.wall_seconds >= max(times) - min(times)


def test_whether_it_helped_is_said_with_an_interval(arms: tuple[list[Path], list[Path]]) -> None:
    """Seeds are paired as in scipy, in any order of the directories."""
    found = _page(*arms[1][2::-1], *arms[0][:3]).sections["help"]

    ends = [[max(h[-1].member.score for h in _histories(path)) for path in arm[:3]] for arm in arms]
    difference = np.array(ends[0]) - np.array(ends[1])
    half = stats.sem(difference) * stats.t.ppf(0.975, 2)
    size = f"{difference.mean():+.4g} ± {half:.3g}"
    assert size in found
    assert "95 % interval of 3 paired seeds" in found
    assert "n = 3 paired seeds" in found
    assert "Equal budgets: 60 steps a run; " in found
    assert "no interval" not in found


def test_one_seed_claims_no_interval(arms: tuple[list[Path], list[Path]]) -> None:
    """The page says so."""
    found = _page(arms[0][0], arms[1][0]).sections["help"]

    assert "One seed: no interval can be claimed" in found
    assert "an observation, no evidence" in found
    assert "±" not in found
    assert "nan" not in found


def test_no_baseline_is_said_with_what_to_run(arms: tuple[list[Path], list[Path]]) -> None:
    """The sentence names the seeds; a page of baselines alone says that too."""
    found = _page(*arms[0][:2]).sections["help"]

    assert "walk has no baseline here" in found
    assert "ready=never" in found
    assert "seed 0, 1" in found
    assert "All of these runs are baselines" in _page(arms[1][0]).sections["help"]


def test_unequal_budgets_are_said_aloud(
    tmp_path: Path, arms: tuple[list[Path], list[Path]]
) -> None:
    """The answer itself says so, and claims nothing."""
    preset = "tests.trainers:walk_random_search"
    short = [run_of(tmp_path / str(s), preset, seed=s, steps=6) for s in range(3)]

    found = _page(*arms[0][:3], *short).sections["help"]

    assert "UNEQUAL BUDGETS: walk trained 60 steps a run, walk_random_search 30; " in found
    assert "The budgets were unequal." in found
    assert "It helped" not in found


def test_a_run_that_goes_on_is_reported_as_far_as_it_is(
    tmp_path: Path, arms: tuple[list[Path], list[Path]]
) -> None:
    """The page says so first; the run is in lineage and tables, but not compared."""
    work(open_run(tmp_path / "run", "tests.trainers:walk", {"seed": 0}), durable=False, turns=20)

    found = _page(tmp_path / "run", arms[1][0])

    run = read_evidence(tmp_path / "run")
    assert not run.data.is_done
    assert f"is not done:  {run.data.trained} of 60 steps" in found.sections["help"]
    assert "nothing is compared yet" in found.sections["help"]
    assert f"{run.data.trained}/60" in found.sections["runs"]


def test_members_that_never_reported_are_named(tmp_path: Path) -> None:
    """Everything else on the page works without them."""
    root = write_run(tmp_path / "run", until=dict.fromkeys(range(8), 5))
    for id in (2, 4):
        (root / "members" / f"{id:03d}" / "history" / "00000000.jsonl").unlink()

    found = _page(root)

    assert "2 members (2, 4) published nothing yet" in found.sections["help"]
    assert "2 members (2, 4) never published a record." in found.sections["warnings"]


def test_a_run_without_records_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A directory that is no run is refused too."""
    open_run(tmp_path / "run", "tests.trainers:walk")

    assert main(["report", str(tmp_path / "run"), "--out", str(tmp_path / "a.html")]) == 2
    assert "has nothing to show" in capsys.readouterr().err
    (tmp_path / "else").mkdir()
    assert main(["report", str(tmp_path / "else"), "--out", str(tmp_path / "a.html")]) == 2
    assert "is not a run directory" in capsys.readouterr().err
    assert not (tmp_path / "a.html").exists()


def test_a_torn_history_is_said_and_the_rest_is_shown(tmp_path: Path) -> None:
    """The page names the file and the line."""
    root = write_run(tmp_path / "run")
    path = root / "members" / "003" / "history" / "00000000.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:4], lines[4][:-30] + b"\n", *lines[5:]]))

    found = _page(root)

    assert "Records that cannot be read" in found.sections["warnings"]
    assert "line 5" in found.sections["warnings"]
    assert "1 unreadable record" in found.sections[""]
    assert len(read_evidence(root).columns.rows(3)) == len(lines) - 1


def test_failed_members_are_shown_with_their_tracebacks(tmp_path: Path) -> None:
    """The last line of each is shown, and a click shows the rest."""
    root = run_of(tmp_path / "run", "tests.trainers:raises")
    errors = [r for history in _histories(root) for r in history if r.error]

    found = _page(root)

    text = found.sections["warnings"]
    assert errors
    for record in errors[:20]:
        assert record.error is not None
        last = record.error.strip().splitlines()[-1]
        assert f"member {record.member.id} at step {record.member.step}: {last}" in text
        assert record.error in text
    assert "Warnings of its workers" in text
    assert f"{len(errors)} failed turn" in found.sections[""]


def test_every_warning_is_there_equal_ones_once(tmp_path: Path) -> None:
    """Each has its count, a click shows those after the twentieth; torn lines are skipped."""
    root = write_run(tmp_path / "run")
    warn(root, *(f"sentence {i}" for i in range(30)), "again", "again")
    with (root / "workers" / "worker-1.jsonl").open("a") as log:
        log.write('{"time": 1, "warn')

    text = _page(root).sections["warnings"]

    assert all(f"sentence {i} (worker-1)" in text for i in range(30))
    assert text.count("again (worker-1, 2 times)") == 1
    assert "11 more" in text


def test_options_of_a_choice_are_shown_as_texts(tmp_path: Path) -> None:
    """This holds in the table and in the lineage."""
    options = ("adam", "sgd")

    def draw(rng: np.random.Generator) -> dict[str, float | str]:
        return {"kind": str(rng.choice(options)), "rate": float(rng.uniform())}

    found = _page(root := write_run(tmp_path / "run", steps=12, preset="m:odd", draw=draw))

    assert re.search(r"12 -?[\d.]+ (adam|sgd) [\d.]+", found.sections["members"])
    kind = packed_lineage(read_evidence(root).data)["hypers"][0]  # type: ignore[index]
    assert kind["options"] == ["adam", "sgd"]


@pytest.mark.usefixtures("drawn")
def test_nothing_that_a_run_says_is_markup(tmp_path: Path) -> None:
    """Presets, settings, names, options, warnings, tracebacks and directories are text."""

    def draw(rng: np.random.Generator) -> dict[str, float | str]:
        return {EVIL: f"{EVIL}{rng.integers(2)}", "rate": 0.5}

    task = {"space": {"priors": {EVIL: {"is": EVIL, "domain": [EVIL, 1]}}}, "score": EVIL}
    settings = {"exploit": EVIL, EVIL: {"is": EVIL, EVIL: EVIL}, "task": task}
    name = EVIL.replace("/", "∕")
    root = write_run(tmp_path / name, draw=draw, preset=f"m:{EVIL}", settings=settings)
    warn(root, EVIL)
    innocent = write_run(tmp_path / "innocent")

    found, plain = _page(root), _page(innocent)

    strange = {"onerror", "onload", "onclick"}
    assert not any(strange & set(attributes) for _, attributes in found.tags)
    count = {name: [t for t, _ in found.tags].count(name) for name in ("script", "img", "meta")}
    assert count == {n: [t for t, _ in plain.tags].count(n) for n in ("script", "img", "meta")}
    for section in ("runs", "members", "warnings"):
        assert EVIL in found.sections[section]
    assert found.json["run-0"]["unit"] == EVIL  # type: ignore[index]


@pytest.mark.usefixtures("drawn")
def test_a_name_with_dollars_is_no_formula(tmp_path: Path) -> None:
    """The name of a hyperparameter or of the score is written as it is."""
    names = [r"$\nothing$", "fee_$ of_$"]

    def draw(rng: np.random.Generator) -> dict[str, float | str]:
        return {name: float(rng.uniform()) for name in names}

    found = _page(write_run(tmp_path / "run", steps=12, preset="m:odd", draw=draw))

    assert "could not be drawn" not in found.sections["figures"]
    assert all(name in found.sections["members"] for name in names)


def test_pictures_are_lines_or_pixels_as_is_smaller() -> None:
    """The number of points decides."""
    with new_figure(4, 3) as few, new_figure(4, 3) as many:
        few.subplots().plot(range(100))
        many.subplots().plot(range(MANY + 1))

    assert picture(few)[0] == "image/svg+xml"
    kind, content = picture(many)
    assert kind == "image/png"
    assert int.from_bytes(content[16:20], "big") == 4 * 200  # the width, in the header


def test_text_is_escaped_unless_it_is_markup() -> None:
    """This holds in content, in attributes and in data."""
    assert tag("p", "<b>", tag("b", "&"), title='"<') == (
        '<p title="&quot;&lt;">&lt;b&gt;<b>&amp;</b></p>'
    )
    assert tag("input", hidden=True, value=None, disabled=False) == "<input hidden></input>"
    text = data({"a": "</script><!--\u2028"}, "x")
    assert isinstance(text, Html)
    body = text.partition(">")[2].removesuffix("</script>")
    assert not set("<>&\u2028") & set(body)
    assert json.loads(body) == {"a": "</script><!--\u2028"}


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_has_contrast_enough(scheme: int) -> None:
    """It is 4.5 to 1 for text, as WCAG's level AA asks, and 3 to 1 for drawings."""
    style = (HERE / "page.css").read_text("utf-8").partition("@media print")[0]
    block = re.findall(r":root \{(.*?)\}", style, re.DOTALL)[scheme]
    colours = dict(re.findall(r"--([\w-]+): (#\w{6});", block))

    def light(name: str) -> float:
        parts = [int(colours[name][i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return float(np.dot((0.2126, 0.7152, 0.0722), linear)) + 0.05

    def contrast(a: str, b: str) -> float:
        return max(light(a), light(b)) / min(light(a), light(b))

    for paper in ("paper", "card"):
        assert all(contrast(ink, paper) >= 4.5 for ink in ("ink", "quiet", "strong"))
        assert contrast("way", paper) >= 3
    assert contrast("loud", "loud-paper") >= 4.5


def test_a_setting_is_written_as_a_person_would() -> None:
    """Rules are calls, and functions are names."""
    assert said({"is": "core:Every", "steps": 4}) == "Every(steps=4)"
    assert said("core:never") == "never"
    assert said({"is": "m:Chain", "of": [{"is": "m:A"}, "core:keep"]}) == ("Chain(of=[A(), keep])")
    assert said({"a": 1e-5, "b": None}) == "{a=1e-05, b=None}"


@pytest.mark.parametrize("offset", [0.0, 1e9, math.nan])
def test_the_lineage_holds_every_record(tmp_path: Path, offset: float) -> None:
    """It is decoded as the page does it; rounded scores still differ."""
    run = read_evidence(write_run(tmp_path / "run", members=300, steps=5))
    run.columns.score[:] += offset
    packed = packed_lineage(run.data)

    def unpack(name: str) -> np.ndarray:
        import base64

        given = packed[name]
        assert isinstance(given, dict)
        return np.frombuffer(base64.b64decode(given["data"]), f"<{given['type']}")

    columns = run.columns
    assert (unpack("step") == columns.step).all()
    assert (unpack("first") == columns.first).all()
    assert (unpack("flags") & 3 == columns.cause).all()
    reach = np.ptp(columns.score[np.isfinite(columns.score)]) if not math.isnan(offset) else 0.0
    assert np.allclose(unpack("score"), columns.score, rtol=0, atol=2e-6 * reach, equal_nan=True)
    parent = np.full(len(columns.step), -1)
    parent[unpack("copied")] = unpack("donor")
    assert (parent == columns.parent).all()


def test_the_same_runs_make_the_same_page_but_for_its_date(
    arms: tuple[list[Path], list[Path]],
) -> None:
    """Two reports can be compared."""
    first, second = (page([read_evidence(arms[0][0])]) for _ in range(2))

    undated = [re.sub(r"reported on [\d: -]+UTC", "", text) for text in (first, second)]
    assert undated[0] == undated[1]
    assert html.escape("height (m)") in first
