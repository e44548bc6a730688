"""The hypers of a step: a dict of the trainer's own that knows what was read of it."""

import copy
import io
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from core.member import Value
from core.space import Choice, Integer, LogUniform, Space, Uniform
from core.workers.watched import Reads, Watched

ALL = {"a", "b"}


def _hypers() -> Watched:
    return Watched({"a": 1.0, "b": "x"})


@pytest.mark.parametrize(
    ("use", "read"),
    [
        (lambda h: h["a"], {"a"}),
        (lambda h: h.get("a"), {"a"}),
        (lambda h: h.get("z", 3), set()),
        (lambda h: h.pop("a"), {"a"}),
        (lambda h: h.pop("z", None), {"z"}),
        (lambda h: h.setdefault("a", 3), {"a"}),
        (lambda h: h.popitem(), {"b"}),
        (lambda h: dict(h), ALL),
        (lambda h: {**h}, ALL),
        (lambda h: h | {"c": 1}, ALL),
        (lambda h: {"c": 1} | h, ALL),
        (lambda h: (lambda **names: names)(**h), ALL),
        (lambda h: list(h.items()), ALL),
        (lambda h: list(h.values()), ALL),
        (lambda h: json.dumps(h), ALL),
        (lambda h: copy.copy(h), ALL),
        (lambda h: copy.deepcopy(h), ALL),
        (lambda h: pickle.dumps(h), ALL),
        (lambda h: "{a}".format(**h), ALL),
        (lambda h: "{a}".format_map(h), {"a"}),
        (lambda h: list(h), set()),
        (lambda h: "a" in h, set()),
        (lambda h: len(h), set()),
        (lambda h: repr(h), set()),
    ],
)
def test_what_is_read_is_noted(use: Callable[[Any], object], read: set[str]) -> None:
    """By whatever way it is read; to look at the names reads nothing."""
    hypers = _hypers()

    use(hypers)

    assert hypers.read == read


def test_it_is_written_and_read_again_as_any_dict() -> None:
    """As JSON, by pickle, and by torch, which loads weights and nothing else."""
    torch = pytest.importorskip("torch")
    file = io.BytesIO()

    torch.save({"hypers": _hypers()}, file)
    file.seek(0)

    assert torch.load(file, weights_only=True)["hypers"] == {"a": 1.0, "b": "x"}
    assert pickle.loads(pickle.dumps(_hypers())) == {"a": 1.0, "b": "x"}
    assert json.loads(json.dumps(_hypers())) == {"a": 1.0, "b": "x"}


def test_a_change_is_the_trainers_own() -> None:
    """It stays, and reaches nobody else."""
    given: dict[str, Value] = {"a": 1.0, "b": "x"}
    hypers = Watched(given)

    hypers["a"] *= 3
    hypers.pop("b")

    assert hypers == {"a": 3.0}
    assert given == {"a": 1.0, "b": "x"}


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    """A KeyError, as of any dict."""
    with pytest.raises(KeyError, match="did you mean 'rate'"):
        Watched({"rate": 1.0})["rat"]
    with pytest.raises(KeyError, match="it has rate"):
        Watched({"rate": 1.0}).pop("momentum")


SGD: dict[str, Value] = {"opt": "sgd", "rate": 0.1, "momentum": 0.5}
ADAM: dict[str, Value] = SGD | {"opt": "adam"}
SPACE = Space(
    {"opt": Choice(("sgd", "adam")), "rate": LogUniform(0.1, 1), "momentum": Uniform(0, 1)}
)


def test_without_options_all_must_be_read_at_once() -> None:
    """As there is nothing that could excuse it."""
    reads = Reads(Space({"rate": LogUniform(0.1, 1), "momentum": Uniform(0, 1)}))

    fault = reads.fault({"rate": 0.1, "momentum": 0.5}, {"rate"})

    assert "the space has 'momentum', which a call of step(hypers) never looked at" in fault


def test_what_one_option_alone_reads_is_no_fault_in_any_order() -> None:
    """Whichever of them is trained first, and however often."""
    for calls in ([SGD, ADAM, ADAM, SGD], [ADAM, ADAM, SGD, ADAM]):
        reads = Reads(SPACE)
        for hypers in calls:
            used = {"opt", "rate", "momentum"} if hypers["opt"] == "sgd" else {"opt", "rate"}
            assert reads.fault(hypers, used) == ""


def test_what_the_same_options_have_read_before_is_worth_a_word() -> None:
    """A warm-up that is over, or a value that is put in force once for all members."""
    reads = Reads(SPACE)

    assert reads.fault(SGD, {"opt", "rate", "momentum"}) == ""
    assert "has read 'momentum' before" in reads.doubt(SGD, {"opt", "rate"})
    assert reads.doubt(ADAM, {"opt", "rate"}) == ""
    assert reads.fault(SGD, {"opt", "rate"}) == ""


def test_what_no_option_has_read_is_a_fault_as_soon_as_all_are_tried() -> None:
    """Whole numbers of a small prior count as options too."""
    reads = Reads(SPACE)
    layers = Reads(Space({"layers": Integer(1, 2), "width": Uniform(0, 1)}))

    assert reads.fault(SGD, {"opt", "rate"}) == ""
    assert "'momentum'" in reads.fault(ADAM, {"opt", "rate"})
    assert layers.fault({"layers": 1, "width": 0.5}, {"layers"}) == ""
    assert "'width'" in layers.fault({"layers": 2, "width": 0.5}, {"layers"})
