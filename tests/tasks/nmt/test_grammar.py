"""Generated German: its inflection and order against sentences written by hand; its corpus."""

import random
import re
from random import Random

import pytest

from tests.tasks.nmt.fairseq import needs_fairseq

needs_fairseq()

from tasks.nmt.corpus import HELD_OUT, Corpus, _distinct, _part, generated  # noqa: E402
from tasks.nmt.generated.cldr import cldr  # noqa: E402
from tasks.nmt.generated.german import Article, Case, counted, noun_phrase  # noqa: E402
from tasks.nmt.generated.grammar import (  # noqa: E402
    Clause,
    Pair,
    Phrase,
    _object,
    cardinal,
    ordinal,
    pair,
    year,
)
from tasks.nmt.generated.lexicon import ADJECTIVES, HUMAN, PERSONS, THINGS, VERBS, Noun  # noqa: E402

LETTER = Noun("letter", "letters", "m", "Brief", "Briefe")
DOOR = Noun("door", "doors", "f", "Tür", "Türen")
BOOK = Noun("book", "books", "n", "Buch", "Bücher")


@pytest.mark.parametrize(
    ("noun", "article", "case", "expected"),
    [
        (LETTER, "the", "nominative", "der alte Brief"),
        (LETTER, "the", "accusative", "den alten Brief"),
        (LETTER, "a", "nominative", "ein alter Brief"),
        (LETTER, "a", "accusative", "einen alten Brief"),
        (DOOR, "the", "nominative", "die alte Tür"),
        (DOOR, "the", "accusative", "die alte Tür"),
        (DOOR, "a", "nominative", "eine alte Tür"),
        (DOOR, "a", "accusative", "eine alte Tür"),
        (BOOK, "the", "nominative", "das alte Buch"),
        (BOOK, "the", "accusative", "das alte Buch"),
        (BOOK, "a", "nominative", "ein altes Buch"),
        (BOOK, "a", "accusative", "ein altes Buch"),
    ],
)
def test_articles_and_adjectives_are_inflected(
    noun: Noun, article: Article, case: Case, expected: str
) -> None:
    """The whole table of both articles, three genders and the two cases that there are."""
    assert noun_phrase(noun, article, "alt", case) == expected


def test_several_have_strong_endings_without_an_article() -> None:
    """And weak ones behind it."""
    assert counted(BOOK, "zehn", "alt", definite=False) == "zehn alte Bücher"
    assert counted(BOOK, "zehn", "alt", definite=True) == "die zehn alten Bücher"
    assert counted(BOOK, "zehn", "", definite=True) == "die zehn Bücher"


CLAUSE = Clause(
    subject=Phrase("the aunt", "die Tante"),
    en_verb="has carried",
    finite="hat",
    rest="getragen",
    object=Phrase("the ten books", "die zehn Bücher"),
    time=Phrase("on Sunday, March 18, 1984", "am Sonntag, dem 18. März 1984,"),
    place=Phrase("in Canada", "in Kanada"),
    content="",
)


def test_german_has_its_own_order() -> None:
    """The verb second, also behind the time; the participle last; all of it last behind "dass"."""
    assert CLAUSE.main(time_first=False) == (
        "the aunt has carried the ten books in Canada on Sunday, March 18, 1984",
        "die Tante hat am Sonntag, dem 18. März 1984, die zehn Bücher in Kanada getragen",
    )
    assert CLAUSE.main(time_first=True) == (
        "on Sunday, March 18, 1984, the aunt has carried the ten books in Canada",
        "am Sonntag, dem 18. März 1984, hat die Tante die zehn Bücher in Kanada getragen",
    )
    assert CLAUSE.subordinate()[1] == (
        "die Tante am Sonntag, dem 18. März 1984, die zehn Bücher in Kanada getragen hat"
    )


def test_numbers_are_spelled_out_in_their_own_order() -> None:
    """Tens behind ones in German; an ordinal as a stem."""
    assert cardinal(532) == ("five hundred and thirty-two", "fünfhundertzweiunddreißig")
    assert ordinal(81) == ("eighty-first", "einundachtzigst")
    assert ordinal(3) == ("third", "dritt")
    assert year(1931) == ("nineteen thirty-one", "neunzehnhunderteinunddreißig")


def test_the_cldr_speaks_both_languages() -> None:
    """Twelve hours and twenty-four; decimal points and commas; its own inflection."""
    import datetime

    words = cldr()

    assert words.clock(datetime.time(19, 30)) == ("7:30 PM", "19:30")
    assert words.date(datetime.date(1984, 3, 18)) == ("March 18, 1984", "18. März 1984")
    assert words.ago("week", 5) == ("5 weeks ago", "vor 5 Wochen")
    assert words.ago("month", 11) == ("11 months ago", "vor 11 Monaten")
    en, de, _ = words.measure(Random(3), "mass")
    assert re.fullmatch(r"\d+(\.\d)? \w+", en)
    assert re.fullmatch(r"\d+(,\d)? \w+", de)
    assert ("Germany", "Deutschland") in words.countries
    assert not any("Schweiz" in land for _, land in words.countries)  # "in der Schweiz"
    assert ("Breton", "Bretonisch") in words.languages
    drawn = [words.amount(Random(seed))[:2] for seed in range(300)]
    kroner = next(both for both in drawn if "Danish kroner" in both[0])
    assert kroner[1].endswith(" dänische Kronen")  # as a title the CLDR has a capital
    assert any(de.endswith(" Schweizer Franken") for _, de in drawn)


def test_no_english_word_has_two_translations() -> None:
    """Else a translation would be right by chance."""
    for words in (PERSONS, THINGS, VERBS):
        assert len({word.en for word in words}) == len(words)
    assert not set(ADJECTIVES) & set(HUMAN) - {"old", "small", "big", "famous"}


@pytest.fixture(scope="module")
def drawn() -> list[Pair]:
    """Many sentences."""
    numbers = Random(5)
    return [pair(numbers) for _ in range(20_000)]


def test_there_is_no_end_of_sentences(drawn: list[Pair]) -> None:
    """Of twenty thousand hardly one is drawn twice, so hundreds of thousands are at hand."""
    assert len({it.en for it in drawn}) > 19_900


def test_sentences_are_written_as_sentences(drawn: list[Pair]) -> None:
    """A capital, a full stop, single plain spaces, no comma before the stop, as many numbers."""
    for it in drawn:
        for text in (it.en, it.de):
            assert re.fullmatch(r"[A-ZÄÖÜ0-9][^\xa0\u202f\u2009]*[^\s,]\.", text), text
            assert "  " not in text
            assert " ," not in text
            assert ",," not in text
    years = [(re.findall(r"\b(?:19|20)\d\d\b", it.en), it) for it in drawn]
    for found, it in years:
        assert all(number in it.de.replace(".", "") for number in found), it


def test_english_has_no_time_with_a_perfect(drawn: list[Pair]) -> None:
    """ "Has seen" something in 1950 is no English; no stem of an adjective ends with its ending."""
    times = re.compile(r"\b(ago|in the year|(on|in) (the )?[A-Z][a-z]+(day| \d))")
    for it in drawn:
        for clause in re.split(r", because | that ", it.en):
            assert not (" has " in clause and times.search(clause)), it.en
        assert "müdee" not in it.de


def test_a_number_is_no_content() -> None:
    """The book and the seventh book are one content."""
    contents: dict[str, set[str]] = {}
    ordinals, numbers = {ordinal(number)[0] for number in range(2, 100)}, Random(1)
    for _ in range(4000):
        phrase = _object(numbers)
        masked = " ".join(word for word in phrase.en.split() if word not in ordinals)
        if masked.endswith(" book"):
            contents.setdefault(masked, set()).add(phrase.content)
    assert contents["the book"] == {"the book"}
    assert all(len(found) == 1 for found in contents.values()), contents


def test_the_same_seed_gives_the_same_sentences() -> None:
    """And draws nothing from Python's global generator."""
    before = random.getstate()
    one, other = ([pair(numbers) for _ in range(50)] for numbers in (Random(1), Random(1)))

    assert one == other
    assert random.getstate() == before
    assert pair(Random(2)) != one[0]


def test_content_is_what_a_sentence_says_without_its_numbers(drawn: list[Pair]) -> None:
    """Two sentences that differ in numbers, dates and times alone fall into one part."""
    by_content: dict[str, set[str]] = {}
    for it in drawn:
        by_content.setdefault(it.content, set()).add(it.en)
    twice = [list(found) for found in by_content.values() if len(found) > 1]
    assert len(twice) > 100
    for one, other, *_ in twice:
        words = [
            set(re.findall(r"[a-z]+", re.sub(r"\d", "", text.lower()))) for text in (one, other)
        ]
        assert len(words[0] & words[1]) >= 3, (one, other)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    """A small corpus."""
    return generated(2000, subwords=600, held_out=60)


def test_parts_have_no_content_in_common(corpus: Corpus) -> None:
    """Each sentence is where its content belongs, and none is there twice."""
    sentences = {name: getattr(corpus, name).references for name in ("train", *HELD_OUT)}
    everything = [text for texts in sentences.values() for text in texts]
    assert len(set(everything)) == len(everything)
    assert [len(texts) for texts in sentences.values()] == [2000, 60, 60, 60]
    part_of = {}
    for it in _distinct(Random(0)):
        part_of[it.de] = _part(it.content)
        if len(part_of) == 4000:
            break
    for name, texts in sentences.items():
        assert all(part_of[text] == name for text in texts)


def test_text_survives_being_numbers(corpus: Corpus) -> None:
    """Of every part, without an unknown piece."""
    subwords = corpus.subwords
    for name in ("train", *HELD_OUT):
        part = getattr(corpus, name)
        for numbers, text in zip(part.targets, part.references, strict=True):
            assert subwords.decode(numbers.tolist()) == text
            assert subwords.dictionary.unk() not in numbers.tolist()


def test_another_seed_is_another_corpus(corpus: Corpus) -> None:
    """And the same arguments give the same one, with the same dictionary."""
    other = generated(2000, subwords=600, held_out=60, seed=1)

    assert other.fingerprint != corpus.fingerprint
    assert generated(2000, subwords=600, held_out=60) is corpus


def test_more_subwords_than_there_are_is_said() -> None:
    """Before anything is trained."""
    with pytest.raises(ValueError, match="90000 subwords cannot be learnt from these sentences"):
        generated(100, subwords=90_000, held_out=5)
