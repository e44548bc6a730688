"""Ablation studies: improvements over the right baseline, intervals over seeds, interactions."""

import itertools
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from scipy import stats

from analysis.__main__ import main
from analysis.data.runs import read_runs
from analysis.figures.ablation import draw_axes
from analysis.figures.style import new_figure
from analysis.tables.ablation import (
    Ablation,
    half,
    interaction,
    p_value,
    ranking,
    read_ablation,
)
from analysis.tables.statistics import holm
from core.directory.members import Members
from core.directory.run import Run, RunError, open_run
from core.member import Hypers, rank
from core.space import Fixed, Space
from core.strategies.ready import never
from core.strategies.schedules import Anneal
from core.study.study import Study, open_study, work_study
from core.workers.worker import work
from tests.trainers import walk

PRESET = "tests.trainers:small_study"

EIGHTHS = st.integers(-80, 80).map(lambda number: number / 8)  # whose sums are exact


def _on(run: Run) -> bool:
    return work(run, durable=False)


def _best(root: Path, arm: str, seed: int) -> float:
    run = open_run(root / arm / str(seed))
    population = Members(run.root)
    ends = [population.history(id)[-1].member for id in range(run.pbt.members)]
    return min(ends, key=rank).score


def test_improvements_are_those_over_the_baseline_with_the_same_seed(study: Path) -> None:
    """They equal a plain loop."""
    found = read_ablation(study)

    assert found.seeds == (1, 2, 3)
    assert set(found.improvements) == {
        *("truncation-3", "truncation-5", "tournament-3", "tournament-5", "replay", "final")
    }
    for arm, values in found.improvements.items():
        ours = [_best(study, arm, seed) for seed in found.seeds]
        theirs = [_best(study, "baseline", seed) for seed in found.seeds]
        expected = np.divide(ours, theirs) if found.is_ratio else np.subtract(ours, theirs)
        assert values == pytest.approx(expected)


def test_a_reported_number_is_that_of_the_member_that_was_selected(study: Path) -> None:
    """Here it is twice the score: the same ratios."""
    selected, reported = read_ablation(study), read_ablation(study, "twice")
    for arm, values in selected.improvements.items():
        factor = 1.0 if selected.is_ratio else 2.0
        assert reported.improvements[arm] == pytest.approx(factor * values)
    with pytest.raises(RunError, match="reports no 'thrice'; it reports twice"):
        read_ablation(study, "thrice")


def test_all_can_be_measured_by_one_arm(study: Path) -> None:
    """Random searches and differences too equal a plain loop."""
    found = read_ablation(study, measure="final", difference=True)

    arms = ("truncation-3", "truncation-5", "tournament-3", "tournament-5", "replay", "baseline")
    assert set(found.improvements) == set(arms)
    assert found.neutral == 0.0
    assert set(found.baselines.values()) == {"final"}
    for arm in (*arms, "final"):
        ours = [_best(study, arm, seed) for seed in found.seeds]
        assert found.results[arm] == pytest.approx(ours)
        if arm != "final":
            theirs = [_best(study, "final", seed) for seed in found.seeds]
            assert found.improvements[arm] == pytest.approx(np.subtract(ours, theirs))
    with pytest.raises(RunError, match="has no arm 'finale' that is done: name one of"):
        read_ablation(study, measure="finale")


def test_unequal_budgets_are_said(study: Path) -> None:
    """The arms have no random search of their size."""
    text = ranking(read_ablation(study))
    assert "UNEQUAL BUDGETS: truncation-3 trained 36 steps a run, baseline 60." in text
    assert "truncation-5 trained" not in text


def test_what_is_not_done_is_left_out_and_said(tmp_path: Path) -> None:
    """Its seed is left out of all arms."""
    root = tmp_path / "study"
    work_study(open_study(root, PRESET, [1]), _on)
    open_study(root, PRESET, [1, 2])

    found = read_ablation(root)

    assert found.seeds == (1,)
    assert "truncation-3/2" in found.missing
    text = ranking(found)
    assert "One seed: no interval is claimed." in text
    assert "Left out: seed 2, of which 7 arms are not done (truncation-3, truncation-5," in text
    assert all(math.isnan(half(values)) for values in found.improvements.values())


def test_an_arm_that_has_not_begun_is_left_out_and_said(study: Path, tmp_path: Path) -> None:
    """So are seeds of which another arm is not done."""
    shutil.copytree(study, root := tmp_path / "study")
    for run in ("tournament-5/1", "tournament-5/2", "tournament-5/3", "replay/2"):
        shutil.rmtree(root / run)

    assert main(["ablation", str(root), "--out", str(tmp_path / "out")]) == 0

    found = read_ablation(root)
    assert found.seeds == (1, 3)
    assert "tournament-5" not in found.improvements
    text = (tmp_path / "out" / "ablation.md").read_text()
    assert "Left out: seed 2, of which 2 arms are not done (tournament-5, replay)." in text
    assert "nan" not in text + (tmp_path / "out" / "ablation.json").read_text().lower()
    assert (tmp_path / "out" / "interaction_exploit_members.png").exists()


def test_a_report_of_a_study_is_of_its_runs_that_are_done(study: Path, tmp_path: Path) -> None:
    """The others are named; without finished runs it is refused."""
    shutil.copytree(study, root := tmp_path / "study")
    for arm in ("replay", "final", "truncation-3", "truncation-5", "tournament-3"):
        shutil.rmtree(root / arm)
    shutil.rmtree(root / "tournament-5" / "2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("analysis.report.page.figures", lambda runs, lower: iter(()))
        assert main(["report", str(root), "--out", str(tmp_path / "a.html")]) == 0

    text = (tmp_path / "a.html").read_text()
    assert "5 runs, reported on" in text
    assert f"of the study {root}, 16 runs have not begun, left out here: {root}" in text
    assert "2 paired seeds" in text
    open_study(tmp_path / "new", PRESET)
    assert main(["report", str(tmp_path / "new"), "--out", str(tmp_path / "b.html")]) == 2


def test_a_directory_that_is_no_study_is_named(tmp_path: Path) -> None:
    """A study without finished runs is named too."""
    with pytest.raises(RunError, match=r"is not a study: it has no study\.json"):
        read_ablation(tmp_path)
    open_study(tmp_path / "study", PRESET)
    with pytest.raises(RunError, match="has no seed of which all arms are done"):
        read_ablation(tmp_path / "study")


def test_the_command_writes_figures_table_and_numbers(study: Path, tmp_path: Path) -> None:
    """There is a panel for each axis, and a map for each pair."""
    assert main(["ablation", str(study), "--out", str(tmp_path)]) == 0

    names = {path.name for path in tmp_path.iterdir()}
    assert {"ablation.png", "ablation.pdf", "ablation.md", "ablation.json"} <= names
    assert "interaction_exploit_members.png" in names
    captions = (tmp_path / "captions.md").read_text()
    assert "(ablation). Each bar is the mean of all arms with that level" in captions
    assert "the random search with the same seed." in captions
    assert "(interaction_exploit_members). " in captions
    body = json.loads((tmp_path / "ablation.json").read_text())
    assert body["arms"]["tournament-3"]["levels"] == {"exploit": "tournament", "members": 3.0}
    assert body["results"]["baseline"] == [_best(study, "baseline", seed) for seed in (1, 2, 3)]

    out = str(tmp_path / "against")
    command = ["ablation", str(study), "--against", "final", "--difference", "--out", out]
    assert main(command) == 0
    text = (tmp_path / "against" / "ablation.md").read_text()
    assert "difference from final with the same seed." in text
    row = next(line for line in text.splitlines() if line.startswith("| baseline |"))
    best = [_best(study, "baseline", seed) for seed in (1, 2, 3)]
    assert row.split("|")[-2].strip() == ", ".join(f"{score:.4g}" for score in best)


def _study(cells: dict[tuple[str, str], list[float]]) -> Ablation:
    arms = {f"{a}-{b}": np.array(values) for (a, b), values in cells.items()}
    levels = {f"{a}-{b}": {"one": a, "other": b} for a, b in cells}
    seeds = tuple(range(len(next(iter(cells.values())))))
    return Ablation(seeds, arms, dict.fromkeys(arms, "search"), levels, True, "selected")


def _heights(ax: Axes) -> list[float]:
    return [1 + bar.get_height() for bar in ax.patches if isinstance(bar, Rectangle)]


def test_bars_are_means_over_arms_and_whiskers_are_over_seeds() -> None:
    """The seeds are independent, the arms are not."""
    found = _study(
        {("a", "x"): [1.0, 2.0], ("a", "y"): [3.0, 4.0], ("b", "x"): [1, 1], ("b", "y"): [1, 1]}
    )
    with new_figure(6, 3) as figure:
        draw_axes(figure, found)

    first, second = figure.axes
    assert [ax.get_title(loc="left") for ax in (first, second)] == ["(a) one", "(b) other"]
    assert _heights(first) == pytest.approx([2.5, 1.0])
    assert _heights(second) == pytest.approx([1.25, 2.25])
    assert half(found.mean(found.having({"one": "a"}))) == pytest.approx(
        stats.t.ppf(0.975, 1) * stats.sem([2.0, 3.0])
    )


@given(
    st.lists(EIGHTHS, min_size=2, max_size=4),
    st.lists(EIGHTHS, min_size=2, max_size=4),
)
def test_axes_that_add_up_do_not_interact(one: list[float], other: list[float]) -> None:
    """This holds for any effects."""
    cells = {
        (str(i), str(j)): [one[i] + other[j], one[i] + other[j] + 1]
        for i, j in itertools.product(range(len(one)), range(len(other)))
    }
    effect, halves = interaction(_study(cells), "one", "other")
    assert effect == pytest.approx(np.zeros_like(effect), abs=1e-9)
    assert halves == pytest.approx(np.zeros_like(effect), abs=1e-9)


def test_an_interaction_is_what_is_beyond_the_sum() -> None:
    """By hand: only the pair (b, y) is better, by 4: a quarter of it is in each cell."""
    cells = {(a, b): [5.0 if a + b == "by" else 1.0] * 2 for a in "ab" for b in "xy"}
    effect, _ = interaction(_study(cells), "one", "other")
    assert effect == pytest.approx(np.array([[1, -1], [-1, 1]]))


def test_p_values_are_scipys_and_corrected_by_hand() -> None:
    """Holm: the least p times their number, the next times one less, never falling."""
    values = np.array([1.1, 1.3, 0.9, 1.4])
    assert p_value(values, 1.0) == pytest.approx(stats.ttest_1samp(values, 1.0).pvalue)
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, math.nan, 0.9])[0] == pytest.approx(1.0)
    assert math.isnan(holm([0.5, math.nan])[1])
    assert p_value(np.array([1.0, 1.0]), 1.0) == 1.0
    assert p_value(np.array([2.0, 2.0]), 1.0) == 0.0


def halved(start: Hypers, step: int) -> Hypers:
    """A rule of a user's own: a plain function, of which run.json has the name."""
    return {"rate": float(start["rate"]) / (2 if step > 2 else 1)}


def by_hand() -> Study:
    """A search and what was set by hand: an annealing, and values that are fixed."""
    run = replace(walk(), steps=4)
    fixed = replace(run.task, space=Space({"rate": Fixed(0.5)}))
    return Study(
        arms={
            "fixed": replace(run, task=fixed, ready=never),
            "annealed": replace(run, ready=never, schedule=Anneal(("rate",), hold=2, fall=2)),
            "halved": replace(run, ready=never, schedule=halved),
            "search": replace(run, ready=never),
            "pbt": run,
        },
        seeds=(1, 2),
        baseline="search",
    )


def test_what_was_set_by_hand_is_an_arm_and_no_search(tmp_path: Path) -> None:
    """Fixed and annealed hypers are measured against the random search, as PBT is."""
    work_study(open_study(tmp_path / "study", "tests.analysis.tables.test_ablation:by_hand"), _on)

    found = read_ablation(tmp_path / "study")

    assert found.baselines == dict.fromkeys(("fixed", "annealed", "halved", "pbt"), "search")


def test_an_annealed_run_is_a_baseline_and_no_replay(tmp_path: Path) -> None:
    """It has its own name, is drawn behind PBT, and PBT is compared with it."""
    work_study(open_study(tmp_path / "study", "tests.analysis.tables.test_ablation:by_hand"), _on)

    paths = [tmp_path / "study" / arm / "1" for arm in ("pbt", "annealed", "halved")]
    pbt, *by_rule = read_runs(paths)

    for run, name in zip(by_rule, ("annealed", "halved"), strict=True):
        assert run.name == name
        assert run.is_baseline_of(pbt)
        assert not run.settings.is_search
