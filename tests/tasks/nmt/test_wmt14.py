"""WMT'14: from archives in their original format to batches, on a small corpus, without network."""

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tasks.nmt.fairseq import needs_fairseq

needs_fairseq()

from sacrebleu.dataset import DATASETS  # noqa: E402

from tasks.download import DownloadError  # noqa: E402
from tasks.nmt import wmt14  # noqa: E402
from tasks.nmt.batches import Batches  # noqa: E402
from tasks.nmt.corpus import Corpus  # noqa: E402
from tasks.nmt.subwords import learn  # noqa: E402
from tasks.nmt.wmt14 import ARCHIVES, Archive, DataError, is_clean, prepare  # noqa: E402

SENTENCES = [
    (f"the {animal} sees {number} old houses", f"{der} sieht {number} alte Häuser")
    for animal, der in (("dog", "der Hund"), ("cat", "die Katze"), ("child", "das Kind"))
    for number in range(20)
]
ARCHIVE = Archive("https://127.0.0.1:9/parallel.tgz", "training/parallel.de-en")


def _pack(path: Path, en: str, de: str, stem: str = ARCHIVE.stem) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for language, text in (("en", en), ("de", de)):
            data = text.encode()
            entry = tarfile.TarInfo(f"{stem}.{language}")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an archive as WMT's: dirty lines among clean ones, one with a separator."""
    folder = tmp_path / "wmt14"
    folder.mkdir()
    dirty = [("", "leer"), ("one", "sehr viel länger als das"), ("a\u2028b  c", "a b c")]
    sides = ("\n".join(side) + "\n" for side in zip(*SENTENCES, *dirty, strict=True))
    _pack(folder / ARCHIVE.name, *sides)
    return folder


def news(name: str) -> list[tuple[str, str]]:
    """A test of three sentences, other ones for each name."""
    first = list(wmt14.TESTS.values()).index(name) * 3
    return SENTENCES[first : first + 3]


def _prepare(folder: Path, subwords: int = 90) -> Corpus:
    prepare(folder, (ARCHIVE,), subwords, news)
    wmt14._wmt14.cache_clear()
    return wmt14.wmt14(folder, news)


def test_the_whole_way_from_archives_to_batches(folder: Path) -> None:
    """What is learnt from are the clean pairs, in their order; the news are what was given."""
    corpus = _prepare(folder)

    subwords = corpus.subwords
    learnt = [
        (subwords.decode(en.tolist()), subwords.decode(de.tolist()))
        for en, de in zip(corpus.train.sources, corpus.train.targets, strict=True)
    ]
    assert learnt == [*SENTENCES, ("a b c", "a b c")]
    assert list(corpus.monitored.references) == [de for _, de in SENTENCES[3:6]]
    assert [len(it) for it in corpus.train.sources] == corpus.train.sizes[:, 0].tolist()
    batch = Batches(corpus.train, subwords, max_tokens=100)[0]
    assert batch["target"].shape[0] == batch["nsentences"]


def test_what_is_done_is_not_done_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupted preparation goes on; a finished one needs no archives any more."""
    before = _prepare(folder)
    os.remove(folder / wmt14.STAMP)
    monkeypatch.setattr(wmt14, "learn", None)

    with pytest.raises(DataError, match="is half prepared"):
        _load(folder)
    again = _prepare(folder)
    os.remove(folder / ARCHIVE.name)

    assert _prepare(folder).fingerprint == again.fingerprint == before.fingerprint


def _load(folder: Path) -> Corpus:
    wmt14._wmt14.cache_clear()
    return wmt14.wmt14(folder, news)


def test_another_archive_is_prepared_anew(folder: Path) -> None:
    """Also if its subwords are as many: and the corpus is another one."""
    before = _prepare(folder)
    os.remove(folder / wmt14.STAMP)
    _pack(
        folder / ARCHIVE.name,
        *("\n".join(side) + "\n" for side in zip(*SENTENCES[:50], strict=True)),
    )

    after = _prepare(folder)

    assert (len(before.train), len(after.train)) == (61, 50)
    assert before.fingerprint != after.fingerprint


def test_numbers_of_other_subwords_are_made_again(folder: Path) -> None:
    """They would be read as other words."""
    before = _prepare(folder)

    corpus = _prepare(folder, 80)

    assert corpus.subwords.decode(corpus.train.targets[0].tolist()) == SENTENCES[0][1]
    assert corpus.fingerprint != before.fingerprint


def test_numbers_that_were_cut_are_seen(folder: Path) -> None:
    """Before a sentence of them is read."""
    _prepare(folder)
    with (folder / "train.de.bin").open("r+b") as file:
        file.truncate(200)

    with pytest.raises(DataError, match="or a file of it is not what it was"):
        _load(folder)


def test_a_sentence_of_very_many_pieces_is_left_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One word by its spaces; no batch could hold it."""
    long = [("1" * 600, "2" * 600), *SENTENCES]
    _pack(folder / ARCHIVE.name, *("\n".join(side) + "\n" for side in zip(*long, strict=True)))

    corpus = _prepare(folder)

    assert len(corpus.train) == len(SENTENCES)
    assert corpus.train.sizes.max() <= wmt14.PIECES


def test_an_interruption_while_subwords_are_learnt_is_one(folder: Path) -> None:
    """And not taken for too few sentences."""

    def interrupted() -> Iterator[str]:
        yield "a b c"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn(interrupted(), 50)


@pytest.mark.parametrize(
    ("en", "de", "clean"),
    [
        ("a b", "a b c", True),
        ("a b", "a b c d", False),
        ("", "", False),
        ("a " * 250, "b " * 250, True),
        ("a " * 251, "b " * 251, False),
    ],
)
def test_sentences_unlike_their_translation_are_left_out(en: str, de: str, clean: bool) -> None:
    """Longer by more than a half, empty, or of more than 250 words."""
    assert is_clean(en, de) is clean


@pytest.mark.parametrize("broken", ["no tar", "another name", "sides of two lengths"])
def test_a_broken_archive_is_refused_with_what_to_do(folder: Path, broken: str) -> None:
    """Nothing is learnt of a part of it."""
    path = folder / ARCHIVE.name
    if broken == "no tar":
        path.write_bytes(b"not found")
    elif broken == "another name":
        _pack(path, "a\n", "b\n", stem="other")
    else:
        _pack(path, "a\na\n", "b\n")

    with pytest.raises(DataError, match=r"cannot be read as training/parallel\.de-en\.en and \.de"):
        _prepare(folder)
    assert not (folder / "subwords").exists()


def test_without_a_network_one_sentence_says_what_to_bring(tmp_path: Path) -> None:
    """Of an archive, and of the news."""
    with pytest.raises(DataError, match=r"Where there is no network: fetch https://127\.0"):
        prepare(tmp_path, (ARCHIVE,), news=news)


def test_news_that_cannot_be_fetched_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command of sacrebleu's that fetches them."""

    def fail(name: str, pair: str) -> str:
        raise OSError("no network")

    monkeypatch.setattr(wmt14, "get_source_file", fail)

    with pytest.raises(DataError, match="type sacrebleu -t wmt14/full -l en-de --echo src"):
        wmt14.newstest("wmt14/full")


@pytest.fixture(params=sorted(wmt14.TESTS.values()))
def test_set(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """Return a test set that sacrebleu finds at another address: small, in its format."""
    dataset = DATASETS[request.param]
    path = tmp_path / "served.tgz"
    with tarfile.open(path, "w:gz") as tar:
        for name, lines in zip(dataset.langpairs["en-de"], NEWS, strict=True):
            segments = "".join(f'<seg id="{i}">{line}</seg>\n' for i, line in enumerate(lines, 1))
            data = f'<srcset setid="news">\n<doc docid="1">\n<p>\n{segments}</p>\n</doc>\n'.encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    monkeypatch.setattr(dataset, "data", [path.as_uri()])
    monkeypatch.setattr(dataset, "md5", [hashlib.md5(path.read_bytes()).hexdigest()])
    monkeypatch.setattr(dataset, "_outdir", str(tmp_path / "sacrebleu"))
    monkeypatch.setattr(dataset, "_rawdir", str(tmp_path / "sacrebleu/raw"))
    return str(request.param)


NEWS = (["A dog  sees\u2028me.", "&quot;No&quot;, he said."], ["Ein Hund sieht mich.", "„Nein“."])


def test_news_come_through_sacrebleu_in_their_original_format(test_set: str) -> None:
    """Fetched, checked, unpacked and cut into sentences by it; each beside its translation."""
    assert wmt14.newstest(test_set) == [
        ("A dog sees me.", "Ein Hund sieht mich."),
        ("&quot;No&quot;, he said.", "„Nein“."),
    ]


def test_news_that_are_not_what_was_published_are_refused(
    test_set: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By sacrebleu's checksum; and the sentence says what to delete."""
    monkeypatch.setattr(DATASETS[test_set], "md5", ["0" * 32])

    with pytest.raises(DataError, match=f"Delete its half of a copy, ~/.sacrebleu/{test_set}"):
        wmt14.newstest(test_set)


def test_a_folder_without_anything_says_the_whole_way(tmp_path: Path) -> None:
    """Before hours of training."""
    with pytest.raises(DataError, match=r"there is no prepared WMT'14 in .* type python -m tasks"):
        wmt14.wmt14(tmp_path, news)


def test_the_command_refuses_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And with an exit status of 2."""

    def broken(url: str, path: Path, md5: str | None) -> None:
        raise DownloadError(f"{url} cannot be reached (no network).")

    monkeypatch.setattr(wmt14, "download", broken)
    monkeypatch.setattr(wmt14.prepare, "__defaults__", (ARCHIVES, 32_000, news, print))

    status = wmt14.main([str(tmp_path)])

    assert status == 2
    assert "europarl-v7.tgz cannot be reached" in capsys.readouterr().err
