"""Saved states: the same bytes under every name, no code run, streams that continue."""

import pickle
from pathlib import Path

import pytest
import torch

from tasks.torch_state import load_state, restore_generator, save_state


def test_a_state_has_the_same_bytes_under_every_name(tmp_path: Path) -> None:
    """The files of two equal trainers are equal; what is loaded equals what was saved."""
    weights = torch.arange(3.0)
    state = {"weights": weights, "steps": 7}

    save_state(state, tmp_path / "one")
    save_state(state, tmp_path / "another name")

    assert (tmp_path / "one").read_bytes() == (tmp_path / "another name").read_bytes()
    loaded = load_state(tmp_path / "one")
    assert torch.equal(loaded["weights"], weights)
    assert loaded["steps"] == 7


def test_a_file_that_calls_a_function_is_refused(tmp_path: Path) -> None:
    """Loading runs no code of the file."""
    (tmp_path / "evil").write_bytes(b"\x80\x02cos\nsystem\n(S'false'\ntR.")

    with pytest.raises((pickle.UnpicklingError, RuntimeError)):
        load_state(tmp_path / "evil")


def test_a_stream_continues_and_a_gpus_stream_begins_anew() -> None:
    """The state of a GPU's generator has 16 bytes: a CPU takes the seed instead."""
    saved = torch.Generator().manual_seed(3)
    torch.rand(5, generator=saved)
    state = saved.get_state()
    one, other = torch.Generator(), torch.Generator()

    restore_generator(one, state, seed=1)
    restore_generator(other, torch.zeros(16, dtype=torch.uint8), seed=1)

    assert torch.equal(torch.rand(5, generator=one), torch.rand(5, generator=saved))
    assert other.initial_seed() == 1
