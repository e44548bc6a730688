"""WMT'14: from archives in their original format to batches, on a small corpus, without network."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from tests.tasks.fairseq import needs_fairseq

needs_fairseq()

from core.download import DownloadError  # noqa: E402
from tasks.nmt import wmt14  # noqa: E402
from tasks.nmt.batches import Batches  # noqa: E402
from tasks.nmt.wmt14 import Archive, DataError, is_clean, prepare  # noqa: E402

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


def test_the_whole_way_from_archives_to_batches(folder: Path) -> None:
    """What is learnt from are the clean pairs, in their order; the news are what was given."""
    prepare(folder, (ARCHIVE,), subwords=90)
    corpus = wmt14.wmt14(folder, news)

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
    """An interrupted preparation goes on; without its numbers only those are made again."""
    prepare(folder, (ARCHIVE,), subwords=90)
    before = (folder / "train.de.bin").read_bytes()
    os.remove(folder / "train.subwords")
    monkeypatch.setattr(wmt14, "learn", None)

    with pytest.raises(DataError, match="is half prepared"):
        wmt14.wmt14(folder, news)
    prepare(folder, (ARCHIVE,), subwords=90)

    assert (folder / "train.de.bin").read_bytes() == before


def test_numbers_of_other_subwords_are_made_again(folder: Path) -> None:
    """They would be read as other words."""
    prepare(folder, (ARCHIVE,), subwords=90)
    os.remove(folder / "subwords")
    prepare(folder, (ARCHIVE,), subwords=80)

    corpus = wmt14.wmt14(folder, news)

    assert corpus.subwords.decode(corpus.train.targets[0].tolist()) == SENTENCES[0][1]


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


def test_an_archive_that_has_changed_is_refused(folder: Path) -> None:
    """Its publishers give no checksum: that of the first time holds from then on."""
    prepare(folder, (ARCHIVE,), subwords=90)
    _pack(folder / ARCHIVE.name, "other\n", "anders\n")

    with pytest.raises(DataError, match="has changed: its sha256 was"):
        prepare(folder, (ARCHIVE,), subwords=90)


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
        prepare(folder, (ARCHIVE,), subwords=90)
    assert not (folder / "subwords").exists()
    assert not (folder / f"{ARCHIVE.name}.sha256").exists()  # a sound one may take its place


def test_without_a_network_one_sentence_says_what_to_bring(tmp_path: Path) -> None:
    """Of an archive, and of the news."""
    with pytest.raises(DataError, match=r"Where there is no network: fetch https://127\.0"):
        prepare(tmp_path, (ARCHIVE,))


def test_news_that_cannot_be_fetched_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command of sacrebleu's that fetches them."""

    def fail(name: str, pair: str) -> str:
        raise OSError("no network")

    monkeypatch.setattr(wmt14, "get_source_file", fail)

    with pytest.raises(DataError, match="type sacrebleu -t wmt14/full -l en-de --echo src"):
        wmt14.newstest("wmt14/full")


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

    status = wmt14.main([str(tmp_path)])

    assert status == 2
    assert "europarl-v7.tgz cannot be reached" in capsys.readouterr().err
