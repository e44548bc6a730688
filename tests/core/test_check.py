"""`check`: a good trainer keeps the contract, each bad one is told in a sentence what it breaks."""

import pytest

from core.check import Finding, check
from core.run import resolve


def _check(preset: str) -> list[Finding]:
    return list(check(resolve(f"tests.trainers:{preset}")))


def test_a_good_trainer_keeps_the_contract() -> None:
    """All of it."""
    findings = _check("walk")

    assert [finding.sentence for finding in findings if finding.kept is False] == []
    assert sum(finding.kept is True for finding in findings) == 11


@pytest.mark.parametrize(
    ("preset", "words"),
    [
        ("keeps_its_rate", "rate has no effect after a load"),
        ("forgets", "loaded into a trainer of another seed and trained on"),
        ("forgets", "eval() changes neither the weights nor the random state"),
        ("unknown_name", "did you mean 'rata'"),
        ("unread_name", "'momentum', which a call of step(hypers) never looked at"),
        ("always_raises", "step fails: RuntimeError: no rope"),
        ("returns_nothing", "eval() of the trainer returned None"),
    ],
)
def test_each_broken_promise_is_named(preset: str, words: str) -> None:
    """In a sentence that says what to mend."""
    broken = [finding.sentence for finding in _check(preset) if finding.kept is False]

    assert any(words in sentence for sentence in broken), broken


def test_a_trainer_without_a_stream_of_its_own_is_noted_not_refused() -> None:
    """The toy draws nothing, and needs no reseed."""
    findings = list(check(resolve("tasks.toy.presets:pbt")))

    assert [finding.kept for finding in findings].count(False) == 0
    assert any("no reseed" in finding.sentence for finding in findings)
