"""The translator: its contract, its hyperparameters in force, and fairseq's parts put together."""

import math
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import sacrebleu
import torch

from tests.tasks.nmt.fairseq import needs_fairseq

needs_fairseq()

from core.audits.check import check  # noqa: E402
from core.audits.verify import verify  # noqa: E402
from core.directory.members import Members  # noqa: E402
from core.directory.run import open_run  # noqa: E402
from core.settings import PBT  # noqa: E402
from core.space import LogUniform, Space  # noqa: E402
from core.strategies.exploit import Truncation  # noqa: E402
from core.strategies.explore import keep  # noqa: E402
from core.task import TaskError  # noqa: E402
from core.workers.worker import work  # noqa: E402
from tasks.nmt import network, presets, trainer  # noqa: E402
from tasks.nmt.batches import Batches  # noqa: E402
from tasks.nmt.bleu import bleu, signature, tokenised_bleu  # noqa: E402
from tasks.nmt.corpus import generated  # noqa: E402
from tasks.nmt.fairseq_compat import mixed_masks, used_parameters  # noqa: E402
from tasks.nmt.network import DROPOUTS, Network, build, dropouts, translation_task  # noqa: E402
from tasks.nmt.trainer import RATE, Translation, Translator  # noqa: E402
from tasks.nmt.warm_up import WarmUp  # noqa: E402

TINY = Translation(
    corpus=partial(generated, 300, 400, 8),
    network=Network(width=16, inner=24, heads=2, layers=1, longest=128),
    max_tokens=400,
    updates=2,
    select_by="likelihood",
    selecting=6,
    beam=2,
    clip=1.0,
)
HYPERS = {RATE: 3e-3, "attention_dropout": 0.1, "layer_dropout": 0.2, "relu_dropout": 0.3}


def _translator(seed: int = 1, problem: Translation = TINY) -> Translator:
    return Translator(problem, seed, "cpu")


def _weights(translator: Translator) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in translator.parameters.values()])


@pytest.mark.parametrize("select_by", ["likelihood", "bleu"])
def test_the_trainer_keeps_the_contract(select_by: Any) -> None:
    """Exactly: each dropout and the rate have an effect after a load, and nothing is undone."""
    problem = replace(TINY, select_by=select_by)
    run = replace(presets.small(), task=presets._task(problem, presets.WIDE))

    findings = check(run, steps=2)

    assert [finding.sentence for finding in findings if finding.kept is False] == []


def test_each_dropout_is_where_the_paper_has_it() -> None:
    """Of two layers a side: six attentions, four feed-forwards, six outputs (two of embeddings)."""
    model = build(replace(TINY.network, layers=2), translation_task(TINY.corpus().subwords))

    kinds = [network.kind(name) for name, _ in network._dropouts(model)]

    assert [kinds.count(name) for name in DROPOUTS] == [6, 6, 4]


def test_hypers_are_in_force_after_a_load_that_brings_others(tmp_path: Path) -> None:
    """In the modules and in the optimiser."""
    donor, translator = _translator(2), _translator(1)
    donor.step(HYPERS | {RATE: 1e-4, "relu_dropout": 0.0})
    donor.save(tmp_path / "donor")
    translator.step(HYPERS)

    translator.load(tmp_path / "donor")
    translator.step(HYPERS | {RATE: 7e-3})

    assert translator.adam.get_lr() == 7e-3
    assert dropouts(translator.model) == {name: {HYPERS[name]} for name in DROPOUTS}


def test_hypers_that_do_not_come_into_force_are_loud(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a fairseq that gives its modules other names."""
    monkeypatch.setattr(trainer, "set_dropouts", lambda model, rates: None)

    with pytest.raises(TaskError, match="is not in force: the model has"):
        _translator().step(HYPERS)


@pytest.mark.parametrize("value", [1.0, -0.1, math.nan])
def test_a_dropout_of_everything_is_refused(value: float) -> None:
    """With the value; the space of the presets has a domain below it."""
    with pytest.raises(TaskError, match=f"layer_dropout is {value}: a share of units"):
        _translator().step(HYPERS | {"layer_dropout": value})
    assert presets.WIDE["layer_dropout"].legal(3.0) == 0.95


def test_a_step_is_that_of_a_plain_loop() -> None:
    """The same batches and dropouts, torch's own Adam, and the criterion by its definition.

    All but a few weights are equal: Adam divides a gradient near zero by itself, so rounding shows.
    """
    fast, slow, begun = _translator(), _translator(), _weights(_translator())

    fast.step(HYPERS)
    _plain_loop(slow)

    one, other = _weights(fast), _weights(slow)
    assert torch.isclose(one, other, rtol=1e-4, atol=1e-6).float().mean() > 0.98
    assert torch.isclose(one, begun, rtol=1e-4, atol=1e-6).float().mean() < 0.1


def _plain_loop(translator: Translator) -> None:
    """Updates with label smoothing as in fairseq: the rest is shared by the other words."""
    weights = list(translator.parameters.values())
    adam = torch.optim.Adam(weights, lr=HYPERS[RATE], betas=(0.9, 0.98), eps=1e-9)
    batches = Batches(translator.corpus.train, translator.corpus.subwords, TINY.max_tokens)
    network.set_dropouts(translator.model, HYPERS)
    translator.model.train()
    with torch.random.fork_rng(), mixed_masks():
        torch.manual_seed(translator._seed(0))
        for number in batches.order(stream=1, epoch=0)[: TINY.updates]:
            batch = batches[number]
            logits, _ = translator.model(**batch["net_input"])  # [B, T, V]
            logs = logits.float().log_softmax(-1)
            target = batch["target"].unsqueeze(-1)
            true = logs.gather(-1, target).squeeze(-1)
            others = (logs.sum(-1) - true) / (logs.shape[-1] - 1)
            real = batch["target"] != translator.corpus.subwords.dictionary.pad()
            loss = -((0.9 * true + 0.1 * others) * real).sum() / real.sum()
            adam.zero_grad()
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            adam.step()


def test_the_score_is_the_likelihood_of_the_references() -> None:
    """Nats of a piece, ends of sentences among them; computed sentence by sentence."""
    translator = _translator()
    translator.step(HYPERS)
    translator.model.eval()
    part, dictionary = translator.corpus.selecting.first(6), translator.corpus.subwords.dictionary
    nats, pieces = 0.0, 0
    for source, target in zip(part.sources, part.targets, strict=True):
        shifted = torch.cat([torch.tensor([dictionary.eos()]), target[:-1]])
        with torch.no_grad(), mixed_masks():
            logits, _ = translator.model(source[None], torch.tensor([len(source)]), shifted[None])
        logs = logits[0].log_softmax(-1)  # [T, V]
        nats -= float(logs.gather(1, target[:, None]).sum())
        pieces += len(target)

    assert translator.eval() == pytest.approx(-nats / pieces, rel=1e-5)


def test_translations_stand_in_the_order_of_their_sources(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever batches they were in; one without any hypothesis is empty."""
    translator = _translator()
    subwords, sources = translator.corpus.subwords, translator.corpus.test.sources
    spoken = [subwords.decode(source.tolist()) for source in sources]

    def echo(search: Any, models: Any, batch: Any) -> list[list[dict[str, torch.Tensor]]]:
        rows = batch["net_input"]["src_tokens"]
        return [[{"tokens": row}] if row[0] != sources[2][0] else [] for row in rows]

    monkeypatch.setattr(trainer, "EVALUATED", 80)
    monkeypatch.setattr(translator.task, "inference_step", echo)

    translated = translator.translate("test", None)

    silent = [source[0] == sources[2][0] for source in sources]
    assert translated == ["" if none else text for text, none in zip(spoken, silent, strict=True)]
    assert translator.translate("test", 2) == translated[:2]


def test_bleu_is_sacrebleus() -> None:
    """Of corpora, in percent; with its signature; an empty translation is none, and no crash."""
    hypotheses = ["der Hund sieht ein altes Haus.", "", "die Katze"]
    references = ["der Hund sieht das alte Haus.", "ein Kind schläft.", "die Katze"]

    expected = sacrebleu.corpus_bleu(hypotheses, [references])

    assert bleu(hypotheses, references) == expected.score
    assert bleu(references, references) == pytest.approx(100)
    assert bleu(["", "", ""], references) == 0
    assert "tok:13a" in signature(hypotheses, references)
    parts = ["a state-of-the-art system of the art"]
    assert tokenised_bleu(parts, ["a state-of-the-art engine of the art"]) > bleu(
        parts, ["a state-of-the-art engine of the art"]
    )
    with pytest.raises(ValueError, match="1 translations for 3 references"):
        bleu(["a"], references)


def test_what_is_reported_is_not_what_selects() -> None:
    """The monitored and the test part are other sentences; sacrebleu's signature is there."""
    translator = _translator()
    translator.step(HYPERS)

    report = translator.report()

    assert set(report) >= {"selecting_bleu", "monitored_bleu", "test_bleu", "signature"}
    assert not set(translator.corpus.selecting.references) & set(translator.corpus.test.references)
    assert report["monitored_loss"] != -translator.eval()


def test_every_sentence_is_seen_once_in_an_epoch() -> None:
    """In an order of its own; a step may end in the next one."""
    translator = _translator()
    count = len(translator.train_batches)

    seen = [translator._next_batch()["id"].tolist() for _ in range(2 * count)]

    first, second = seen[:count], seen[count:]
    assert sorted(chain(*first)) == sorted(chain(*second)) == list(range(300))
    assert first != second
    assert (translator.epoch, translator.position) == (1, count)


def test_a_sentence_longer_than_a_batch_is_said() -> None:
    """Before it would be left out."""
    with pytest.raises(ValueError, match=r"a sentence has .* pieces, and max_tokens is 5"):
        _translator(problem=replace(TINY, max_tokens=5))


@pytest.mark.parametrize("select_by", ["likelihood", "bleu"])
def test_a_diverged_translator_is_not_a_number(select_by: Any) -> None:
    """Neither in the score nor in the report, and it does not train on."""
    translator = _translator(problem=replace(TINY, select_by=select_by))
    with torch.no_grad():
        next(iter(translator.parameters.values())).fill_(math.nan)
    translator.step(HYPERS)

    assert math.isnan(translator.eval())
    assert translator.report() == {}


@pytest.mark.parametrize("value", [1e20, math.inf])
def test_weights_that_the_last_update_ruins_are_seen(
    value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No loss is looked at after it, and a beam search would raise; 1e20 is a number, but large."""
    translator = _translator(problem=replace(TINY, select_by="bleu", updates=1))
    ruined = [p.data for name, p in translator.parameters.items() if "fc" in name]
    monkeypatch.setattr(translator.adam, "step", lambda: [data.fill_(value) for data in ruined])
    translator.step(HYPERS)

    assert math.isnan(translator.eval())
    assert translator.report() == {}


@pytest.mark.parametrize("rate", [-1.0, math.nan, math.inf])
def test_a_rate_that_cannot_be_followed_is_refused(rate: float) -> None:
    """With its value."""
    with pytest.raises(TaskError, match=f"learning_rate is {rate}: a finite one"):
        _translator().step(HYPERS | {RATE: rate})


def test_a_copy_finishes_the_epoch() -> None:
    """Another dropout than the donor's, and no sentence twice before all were seen."""
    translator = _translator()
    count = len(translator.train_batches)
    seen = [translator._next_batch()["id"].tolist() for _ in range(2)]
    dropout = translator._seed(0)

    translator.reseed(99)

    seen += [translator._next_batch()["id"].tolist() for _ in range(count - 2)]
    assert sorted(chain(*seen)) == list(range(300))
    assert translator._seed(0) != dropout


def test_a_sentence_longer_than_the_network_reads_is_said() -> None:
    """Translations would be cut, and nothing else would say so."""
    with pytest.raises(TaskError, match="and the network is for 8"):
        _translator(problem=replace(TINY, network=replace(TINY.network, longest=8)))


def one_diverges() -> PBT:
    """Three members, the first with a rate at which nothing survives."""
    rates = {name: presets.WIDE[name] for name in DROPOUTS} | {RATE: LogUniform(1e-3, 1e38)}
    return replace(
        presets.small(),
        task=presets._task(TINY, Space(rates)),
        members=3,
        steps=3,
        start=(HYPERS | {RATE: 1e38}, HYPERS, HYPERS),
        explore=keep,
        exploit=Truncation(0.4),
    )


def test_a_diverged_member_is_rescued(tmp_path: Path) -> None:
    """It goes on with weights and hypers of one that has not diverged."""
    run = open_run(tmp_path / "run", "tests.tasks.nmt.test_translation:one_diverges")

    work(run, durable=False)

    history = Members(run.root).history(0)
    assert any(
        it.member.dropped is not None and math.isnan(it.member.dropped.score) for it in history
    )
    assert history[-1].member.healthy
    assert history[-1].member.hypers == HYPERS
    assert verify(run).problems == []


def test_weights_of_another_corpus_are_refused(tmp_path: Path) -> None:
    """They would load, and speak other words."""
    other = _translator(problem=replace(TINY, corpus=partial(generated, 200, 400, 8)))
    other.save(tmp_path / "other")

    with pytest.raises(TaskError, match="these weights are of corpus"):
        _translator().load(tmp_path / "other")


@pytest.mark.parametrize(
    ("size", "said"),
    [({"inner": 30}, "is \\[30, 16\\] there"), ({"layers": 2}, "on one side only")],
)
def test_weights_of_another_network_are_refused(
    tmp_path: Path, size: dict[str, int], said: str
) -> None:
    """With in what they differ."""
    small = replace(TINY.network, **size)  # type: ignore[arg-type]
    _translator(problem=replace(TINY, network=small)).save(tmp_path / "other")

    with pytest.raises(TaskError, match=f"of another network: .*{said}"):
        _translator().load(tmp_path / "other")


def test_weights_are_loaded_without_running_code(tmp_path: Path) -> None:
    """A pickle that calls something is refused by torch's weights-only loading."""
    import pickle

    (tmp_path / "evil").write_bytes(b"\x80\x02cos\nsystem\n(S'false'\ntR.")

    with pytest.raises((pickle.UnpicklingError, RuntimeError)):
        _translator().load(tmp_path / "evil")


def test_importing_fairseq_leaves_no_trace() -> None:
    """Neither in Python's dataclasses nor in the root logger."""
    import dataclasses
    import logging
    import subprocess
    import sys

    code = (
        "import dataclasses, logging; before = dataclasses.dataclass; "
        "import tasks.nmt.fairseq_compat; root = logging.getLogger(); "
        "assert dataclasses.dataclass is before; "
        "assert (root.handlers, root.level) == ([], logging.WARNING), root.handlers; "
        "assert logging.root.manager.disable == 0"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert dataclasses.dataclass.__module__ == "dataclasses"
    assert logging.root.manager.disable == 0


def test_the_warm_up_is_the_papers() -> None:
    """Linear to the top, then as one over the root of time."""
    rule = WarmUp(RATE, 4)

    rates = [rule({RATE: 2.0, "x": 1.0}, step)[RATE] for step in (0, 1, 3, 4, 16)]

    expected = [2 * min(t / 4, math.sqrt(4 / t)) for t in (0.5, 1.5, 3.5, 4.5, 16.5)]
    assert rates == pytest.approx(expected)
    assert rule({RATE: 2.0, "x": 1.0}, 9)["x"] == 1.0
    with pytest.raises(ValueError, match="must be above 0, got 0"):
        WarmUp(RATE, 0)


def test_the_papers_run_has_the_papers_settings() -> None:
    """Section 4.2: 32 members, 4e5 updates, ready after 2,000; the untuned one warms up to 7e-4."""
    run, untuned = presets.figure_4_translation(), presets.untuned()

    assert (run.members, run.steps * presets.BASE.updates) == (32, 400_000)
    assert presets.WARM_UP({RATE: 7e-4}, 7)[RATE] == pytest.approx(7e-4 * 7.5 / 8)
    assert untuned.task.space[RATE].sample(None) == 7e-4  # type: ignore[arg-type]
    assert set(presets.figure_3_translation().arms) == {"pbt", "random_search", "untuned"}


def test_the_papers_network_is_transformer_base() -> None:
    """6.5e7 parameters in the paper, with 37,000 words in place of 32,000."""
    words = generated(300, 400, 8).subwords
    tokens = len(words.dictionary)
    with torch.device("meta"):
        model = build(presets.BASE.network, translation_task(words))

    count = sum(p.numel() for p in used_parameters(model).values())
    count += (32_000 - tokens) * presets.BASE.network.width

    assert count == pytest.approx(6.05e7, rel=0.01)


def test_without_the_data_the_papers_run_says_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is trained."""
    monkeypatch.setenv("PBT_DATA", str(tmp_path))

    with pytest.raises(TaskError, match=r"type python -m tasks\.nmt\.wmt14"):
        presets.figure_4_translation().task.trainer(1, "cpu")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"select_by": "loss"}, "select_by must be bleu or likelihood, got 'loss'"),
        ({"updates": 0}, "updates must be at least 1, got 0"),
        ({"beam": 0}, "beam must be at least 1, got 0"),
        ({"selecting": -1}, "selecting must be at least 1, got -1"),
        ({"smoothing": 2.0}, r"smoothing is a share in \[0, 1\) .* got 2.0 and 1.0"),
    ],
)
def test_settings_of_no_use_are_refused(setting: dict[str, Any], said: str) -> None:
    """With the value, and what would be right."""
    with pytest.raises(ValueError, match=said):
        replace(TINY, **setting)
