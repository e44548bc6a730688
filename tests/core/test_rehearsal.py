"""What can be told before the first step: rules that cannot be used, and what nobody may mean."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.random import Generator

from core.directory.run import RunError, open_run
from core.member import Hypers, Member
from core.peers import Peers
from core.rehearsal import doubts, extents, first_ready, rehearse
from core.rules import RuleError
from core.settings import PBT
from core.space import EVERYWHERE, Choice, Fixed, Integer, LogUniform, Space, Uniform
from core.strategies.exploit import Among, Truncation, TTest, binary_tournament
from core.strategies.explore import Perturb, keep
from core.strategies.ready import Every, SinceLastReady, never
from core.task import Task
from tests.core.terminal.test_command_line import core
from tests.trainers import Walk, walk


def forgets(hypers: Hypers, space: Space, rng: Generator) -> None:
    """Explore, and forget to return it."""


def short(hypers: Hypers, space: Space, rng: Generator) -> dict[str, float]:
    """Explore, and forget a name."""
    return {}


def raises(hypers: Hypers, space: Space, rng: Generator) -> Hypers:
    """Explore with a mistake in it."""
    return {"rate": hypers["momentum"]}


def stays(me: Member, population: Peers, rng: Generator) -> None:
    """Stay, said as None."""


def an_id(me: Member, population: Peers, rng: Generator) -> int:
    """Whom to copy, as a number."""
    return 0


def maybe(me: Member) -> None:
    """Ready, said as None."""


def late(me: Member) -> bool:
    """Report, with a mistake that shows at the third step."""
    found: dict[str, bool] = {}
    return found["nope"] if me.step >= 3 else True


def leaves(hypers: Hypers, space: Space, rng: Generator) -> Hypers:
    """Explore, and end the program."""
    raise SystemExit(0)


def drawn(hypers: Hypers, space: Space, rng: Generator) -> Hypers:
    """Explore with a generator that nobody else knows."""
    return {"rate": float(hypers["rate"]) * float(np.random.random())}  # noqa: NPY002


@dataclass(frozen=True)
class Counts:
    """A rule that remembers its calls."""

    calls: list[int]

    def __call__(self, hypers: Hypers, space: Space, rng: Generator) -> Hypers:
        self.calls.append(1)
        return {"rate": float(len(self.calls))}


def forgot() -> PBT:
    """A run whose explorer returns nothing."""
    return replace(walk(), explore=forgets)  # type: ignore[arg-type]


def mended() -> PBT:
    """The same, mended."""
    return walk()


@pytest.mark.parametrize(
    ("setting", "rule", "words"),
    [
        ("exploit", Truncation, r"exploit is the class Truncation: .*exploit=Truncation\(\.\.\.\)"),
        ("ready", Every, r"ready is the class Every"),
        ("explore", Perturb, r"explore is the class Perturb"),
        ("report", Every, r"report is the class Every"),
        ("ready", 5, r"ready must be a rule such as Every\(5\), got 5"),
        ("exploit", "truncation", r"exploit must be a rule such as Truncation.*got 'truncation'"),
        ("explore", None, r"explore must be a rule"),
        ("exploit", lambda me: me, r"exploit=.* takes \(me\): exploit\(me, population, rng\)"),
        ("ready", keep, r"ready=keep takes .*: ready\(member\) returns True or False"),
        ("inherit", "weights", r"inherit is a tuple"),
        ("start", {"rate": 0.1}, r"start is a tuple of hypers"),
    ],
)
def test_what_is_no_rule_is_refused_when_the_run_is_made(
    setting: str, rule: object, words: str
) -> None:
    """In a sentence that names the setting, and says what would be right."""
    change: Any = {setting: rule}
    with pytest.raises(ValueError, match=f"(?s){words}"):
        replace(walk(), **change)


@pytest.mark.parametrize(
    ("trainer", "space", "words"),
    [
        (Walk(1, "cpu"), walk().task.space, "a trainer that is made already: give its class"),
        (Walk, {"rate": LogUniform(0.1, 1)}, r"and no Space: write Space\(\{...\}\)"),
        (lambda seed: None, walk().task.space, r"takes \(seed\): a trainer is made as"),
    ],
)
def test_a_task_that_cannot_be_one_is_refused(trainer: Any, space: Any, words: str) -> None:
    """When it is made."""
    with pytest.raises(ValueError, match=words):
        Task(trainer, space)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"explore": forgets}, "explore rule .*:forgets returned None: explore.* returns the new"),
        ({"explore": short}, "explore rule .*:short returned {}; no value for rate"),
        ({"explore": raises}, r"explore rule .*:raises raised KeyError: 'momentum' \(.*rehearsal"),
        ({"explore": drawn}, "answers one question in two ways"),
        ({"explore": Counts([])}, "answers one question in two ways"),
        ({"exploit": stays}, "exploit rule .*:stays returned None"),
        ({"exploit": an_id}, "exploit rule .*:an_id returned 0"),
        ({"ready": maybe}, "ready rule .*:maybe returned None: .* True or False"),
        ({"report": maybe}, "report rule .*:maybe returned None"),
        ({"report": late}, "report rule .*:late raised KeyError"),
        ({"explore": leaves}, "explore rule .*:leaves raised SystemExit"),
    ],
)
def test_a_rule_that_cannot_be_used_is_found_on_a_made_up_population(
    change: dict[str, Any], words: str
) -> None:
    """By its name, and where it raises, by the line of its own file."""
    with pytest.raises(RuleError, match=f"(?s){words}"):
        rehearse(replace(walk(), **change))


@pytest.mark.parametrize("exploit", [Truncation(), TTest(), binary_tournament, Among(Truncation())])
@pytest.mark.parametrize("members", [1, 2, 20])
def test_our_own_rules_pass(exploit: Any, members: int) -> None:
    """With any size of the population, and in a random search."""
    pbt = replace(walk(), exploit=exploit, members=members)

    rehearse(pbt)
    rehearse(replace(pbt, ready=never))


def test_a_partial_and_a_callable_object_are_rules() -> None:
    """Whatever can be called as a rule is one."""
    scaled = partial(_scaled, factor=2.0)

    rehearse(replace(walk(), explore=scaled))


def _scaled(hypers: Hypers, space: Space, rng: Generator, factor: float) -> Hypers:
    return {"rate": float(hypers["rate"]) * factor}


def test_nothing_of_a_broken_rule_reaches_a_run_directory(tmp_path: Path) -> None:
    """And the mended preset begins in the same place."""
    with pytest.raises(RunError, match="forgets returned None"):
        open_run(tmp_path / "run", "tests.core.test_rehearsal:forgot")
    assert not (tmp_path / "run").exists()

    assert open_run(tmp_path / "run", "tests.core.test_rehearsal:mended").note == ""


@pytest.mark.parametrize(
    ("ready", "steps", "first"),
    [
        (Every(4), 12, 4),
        (Every(4), 3, None),
        (Every(1000), 8, None),
        (SinceLastReady(2, start=100), 8, None),
        (Every(2, start=8), 7, None),
        (Every(2, start=7), 8, 8),
        (never, 8, None),
        (Every(1_000_000), 5_000_000, 1_000_000),
        (Every(1_000_000, start=1_500_000), 5_000_000, 2_000_000),
        (SinceLastReady(1_000_000), 5_000_000, 1_000_000),
    ],
)
def test_the_first_ready_step_is_known(ready: Any, steps: int, first: int | None) -> None:
    """Of short and of long runs."""
    assert first_ready(replace(walk(), ready=ready, steps=steps)) == first


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ready": Every(1000)}, "nobody can ever be ready: Every"),
        ({"ready": SinceLastReady(2, start=100)}, "nobody can ever be ready"),
        ({"ready": lambda me: False}, "unless it looks at scores, nobody can ever be ready"),
        ({"ready": Every(12)}, "first ready at step 12, which is the last one"),
        ({"members": 1}, "there is one member"),
        ({"exploit": Among(Truncation(), quorum=50)}, "wants 50 members to look at"),
        ({"exploit": lambda me, population, rng: me}, "let nobody copy anybody"),
    ],
)
def test_what_cannot_be_meant_is_said(change: dict[str, Any], words: str) -> None:
    """It would be a random search without a word."""
    [sentence] = doubts(replace(walk(), **change))

    assert words in sentence


@pytest.mark.parametrize("exploit", [Truncation(), TTest(), binary_tournament])
def test_a_run_that_can_copy_raises_no_doubt(exploit: Callable[..., Any]) -> None:
    """Nor does a random search that is meant as one."""
    assert doubts(replace(walk(), exploit=exploit)) == []
    assert doubts(replace(walk(), ready=never, members=1)) == []


def test_run_and_check_say_so_before_the_first_step(tmp_path: Path) -> None:
    """On the terminal, with where each hyperparameter may go."""
    long = ["--steps", "1"]
    run = core("run", "tests.trainers:walk", "--out", str(tmp_path / "run"), *long)

    assert "nobody can ever be ready" in run.stdout
    assert "rate  starts in 0.01 to 1, may go above 0 without end" in run.stdout
    assert run.stdout.index("nobody can") < run.stdout.index("Done")


def test_where_each_hyperparameter_may_go_is_said() -> None:
    """A line each; what is fixed is left out."""
    space = Space(
        {
            "momentum": Uniform(0, 0.99),
            "gain": Uniform(0, 1, domain=EVERYWHERE),
            "unroll": Uniform(5, 50, domain=(1, 500)),
            "rate": LogUniform(1e-4, 1),
            "layers": Integer(1, 4),
            "opt": Choice(("sgd", "adam")),
            "size": Choice((8, 16), ordered=True),
            "seeds": Fixed(3),
        }
    )

    assert extents(space) == [
        "momentum  starts in 0 to 0.99, stays there",
        "gain      starts in 0 to 1, may go anywhere",
        "unroll    starts in 5 to 50, may go from 1 to 500",
        "rate      starts in 0.0001 to 1, may go above 0 without end",
        "layers    starts in 1 to 4, stays there",
        "opt       one of sgd, adam; moves to any other",
        "size      one of 8, 16; moves to a neighbour",
    ]
