"""English sentences and their German translations, from one grammar for both.

Each sentence is put together once, as what is said, and spoken twice. German has its own order: the
verb is second in a main clause, whatever comes first; participle and infinitive stand at its end,
and so does the verb of a clause after "dass" or "weil"; time comes before the object, place after
it. Numbers, dates, times, amounts, countries and languages are those of the Unicode CLDR, through
Babel, and num2words spells numbers out.
"""

import datetime
import functools
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Literal, NamedTuple

from num2words import num2words

from tasks.nmt.generated.cldr import Cldr, cldr
from tasks.nmt.generated.german import Case, counted, noun_phrase
from tasks.nmt.generated.lexicon import (
    ADJECTIVES,
    HUMAN,
    MODALS,
    MOTIONS,
    PERSONS,
    SAYING,
    THINGS,
    VERBS,
    Noun,
    Verb,
)


class Pair(NamedTuple):
    """A sentence, its translation, and its content: its words without numbers, dates and times."""

    en: str
    de: str
    content: str


class Phrase(NamedTuple):
    """A part of a sentence in both languages; content: what it is about, "" for a number."""

    en: str
    de: str
    content: str = ""


class Clause(NamedTuple):
    """Who does what, when and where; the verb in both languages, in two parts each.

    en_verb: "has seen". finite, rest: "hat" and "gesehen"; of a simple past the rest is "".
    """

    subject: Phrase
    en_verb: str
    finite: str
    rest: str
    object: Phrase
    time: Phrase
    place: Phrase
    content: str

    def main(self, time_first: bool) -> tuple[str, str]:
        """Return it as a main clause, without a full stop."""
        middle = [self.object.de, self.place.de, self.rest]
        en = [self.subject.en, self.en_verb, self.object.en, self.place.en]
        if time_first and self.time.en:
            return (
                _spoken([f"{self.time.en},", *en]),
                _spoken([self.time.de, self.finite, self.subject.de, *middle]),
            )
        return (
            _spoken([*en, self.time.en]),
            _spoken([self.subject.de, self.finite, self.time.de, *middle]),
        )

    def subordinate(self) -> tuple[str, str]:
        """Return it as what follows "that" or "because": in German the verb is last."""
        en, _ = self.main(time_first=False)
        middle = [self.time.de, self.object.de, self.place.de]
        return en, _spoken([self.subject.de, *middle, self.rest, self.finite])


def pair(random: Random) -> Pair:
    """Return a sentence and its translation, all of it drawn."""
    words = cldr()
    shape = random.choice(SHAPES)
    en, de, content = shape(random, words)
    return Pair(_sentence(en), _sentence(de), f"{shape.__name__} {content}")


def _main(random: Random, words: Cldr) -> Phrase:
    clause = _clause(random, words)
    first = random.random() < 0.4
    return Phrase(*clause.main(first), clause.content)


def _that(random: Random, words: Cldr) -> Phrase:
    speaker, clause = _person(random), _clause(random, words)
    en, de = clause.subordinate()
    says = random.choice(sorted(SAYING))
    return Phrase(
        f"{speaker.en} {says} that {en}",
        f"{speaker.de} {SAYING[says]}, dass {de}",
        f"{speaker.content} {says} {clause.content}",
    )


def _because(random: Random, words: Cldr) -> Phrase:
    effect, cause = _clause(random, words), _clause(random, words)
    main, because = effect.main(time_first=False), cause.subordinate()
    return Phrase(
        f"{main[0]}, because {because[0]}",
        f"{main[1]}, weil {because[1]}",
        f"{effect.content} {cause.content}",
    )


def _price(random: Random, words: Cldr) -> Phrase:
    thing, amount = _thing(random, "nominative"), words.amount(random)
    return Phrase(
        f"{thing.en} costs {amount[0]}",
        f"{thing.de} kostet {amount[1]}",
        f"{thing.content} {amount[2]}",
    )


def _weight(random: Random, words: Cldr) -> Phrase:
    thing, mass = _thing(random, "nominative"), words.measure(random, "mass")
    return Phrase(
        f"{thing.en} weighs {mass[0]}", f"{thing.de} wiegt {mass[1]}", f"{thing.content} {mass[2]}"
    )


def _size(random: Random, words: Cldr) -> Phrase:
    thing, length = _thing(random, "nominative"), words.measure(random, "length")
    en, de = random.choice((("long", "lang"), ("wide", "breit"), ("high", "hoch")))
    return Phrase(
        f"{thing.en} is {length[0]} {en}",
        f"{thing.de} ist {length[1]} {de}",
        f"{thing.content} {en} {length[2]}",
    )


def _translation(random: Random, words: Cldr) -> Phrase:
    who, what = _person(random), _thing(random, "accusative")
    (one, eins), (other, anders) = random.sample(words.languages, 2)
    return Phrase(
        f"{who.en} has translated {what.en} from {one} into {other}",
        f"{who.de} hat {what.de} aus dem {eins}en ins {anders}e übersetzt",
        f"{who.content} {what.content} {one} {other}",
    )


def _journey(random: Random, words: Cldr) -> Phrase:
    who, verb = _person(random), random.choice(MOTIONS)
    country, land = random.choice(words.countries)
    if random.random() < 0.5:
        de = [who.de, "ist", f"nach {land}", verb.partizip]
        en = [who.en, f"has {verb.participle}", f"to {country}"]
    else:
        time = Phrase(*random.choice(TIMES)(random, words))
        de = [who.de, verb.vergangenheit, time.de, f"nach {land}"]
        en = [who.en, verb.past, f"to {country}", time.en]
    return Phrase(_spoken(en), _spoken(de), f"{who.content} {verb.en} {country}")


def _list(random: Random, words: Cldr) -> Phrase:
    who, verb = _person(random), random.choice(VERBS)
    things = [_object(random) for _ in range(3)]
    english, german = ([thing[i] for thing in things] for i in (0, 1))
    return Phrase(
        f"{who.en} {verb.past} {english[0]}, {english[1]} and {english[2]}",
        f"{who.de} {verb.vergangenheit} {german[0]}, {german[1]} und {german[2]}",
        " ".join([who.content, verb.en, *(thing.content for thing in things)]),
    )


SHAPES: Sequence[Callable[[Random, Cldr], Phrase]] = (
    *[_main] * 6,
    *[_that] * 3,
    _because,
    _price,
    _weight,
    _size,
    _translation,
    _journey,
    _list,
)


def _clause(random: Random, words: Cldr) -> Clause:
    subject, what = _person(random), _object(random)
    verb = random.choice(VERBS)
    en_verb, finite, rest, kind = _verb(random, verb)
    time = NOTHING
    if kind != "perfect" and random.random() < 0.7:  # English has none with a time: "has seen"
        times = [_weekday] if kind in MODALS else TIMES  # "must see" it on Monday, not in 1950
        time = Phrase(*random.choice(times)(random, words))
    place = _place(random, words) if random.random() < 0.35 else NOTHING
    content = " ".join([subject.content, kind, verb.en, what.content, place.content])
    return Clause(subject, en_verb, finite, rest, what, time, place, content)


def _verb(random: Random, verb: Verb) -> tuple[str, str, str, str]:
    """Return the verb in English, in German in two parts, and which kind it is."""
    kind = random.choice(("past", "perfect", "modal"))
    if kind == "past":
        return verb.past, verb.vergangenheit, "", kind
    if kind == "perfect":
        return f"has {verb.participle}", "hat", verb.partizip, kind
    # "may lose" is hardly a permission, which the German is
    modals = set(MODALS) - ({"may"} if verb.en in ("need", "lose") else set())
    modal = random.choice(sorted(modals))
    return f"{modal} {verb.en}", MODALS[modal], verb.infinitive, modal


NOTHING = Phrase("", "")


def _person(random: Random) -> Phrase:
    return _one(random, random.choice(PERSONS), HUMAN, "nominative")


def _thing(random: Random, case: Case) -> Phrase:
    return _one(random, random.choice(THINGS), ADJECTIVES, case)


def _one(random: Random, noun: Noun, adjectives: Mapping[str, str], case: Case) -> Phrase:
    """Return one of a noun, with an adjective or without."""
    adjective = random.choice(sorted(adjectives)) if random.random() < 0.35 else ""
    stem = adjectives.get(adjective, "")
    described = f"{adjective} {noun.en}" if adjective else noun.en
    if random.random() < 0.75:
        return Phrase(f"the {described}", noun_phrase(noun, "the", stem, case), f"the {described}")
    a = "an" if described[0] in "aeiou" else "a"
    return Phrase(f"{a} {described}", noun_phrase(noun, "a", stem, case), f"a {described}")


def _object(random: Random) -> Phrase:
    """Return what is done something to: one thing, the seventh thing, or several."""
    drawn = random.random()
    if drawn < 0.4:
        return _thing(random, "accusative")
    noun = random.choice(THINGS)
    if drawn < 0.55:
        number = random.randint(2, 99)
        en, stem = ordinal(number)
        de = noun_phrase(noun, "the", stem, "accusative")
        return Phrase(f"the {en} {noun.en}", de, f"the {noun.en}")
    adjective = random.choice(sorted(ADJECTIVES)) if random.random() < 0.35 else ""
    definite = random.random() < 0.3
    en, de = _number(random)
    german = counted(noun, de, ADJECTIVES.get(adjective, ""), definite)
    english = _spoken(["the" if definite else "", en, adjective, noun.ens])
    return Phrase(english, german, f"{definite} {adjective} {noun.ens}")


def _number(random: Random) -> tuple[str, str]:
    """Return a number from 2 to 999, in digits or spelled out; none ends with one."""
    number = random.choice((random.randint(2, 20), random.randint(2, 999)))
    number += number % 100 == 1  # "hunderteins Bücher" is no German that one writes
    return (str(number), str(number)) if random.random() < 0.4 else cardinal(number)


def _place(random: Random, words: Cldr) -> Phrase:
    country, land = random.choice(words.countries)
    return Phrase(f"in {country}", f"in {land}", country)


def _weekday(random: Random, words: Cldr) -> tuple[str, str]:
    en, de = words.weekday(random.randrange(7))
    if random.random() < 0.5:
        return f"on {en}", f"am {de}"
    clock = words.clock(datetime.time(random.randrange(24), random.randrange(0, 60, 5)))
    return f"on {en} at {clock[0]}", f"am {de} um {clock[1]} Uhr"


def _date(random: Random, words: Cldr) -> tuple[str, str]:
    day = datetime.date(1900, 1, 1) + datetime.timedelta(random.randrange(44_000))
    en, de = words.date(day)
    if random.random() < 0.6:
        return f"on {en}", f"am {de}"
    weekday = words.weekday(day.weekday())
    return f"on {weekday[0]}, {en}", f"am {weekday[1]}, dem {de},"


def _month(random: Random, words: Cldr) -> tuple[str, str]:
    (en, de), year = words.month(random.randrange(12)), random.randint(1900, 2029)
    return f"in {en} {year}", f"im {de} {year}"


def _year(random: Random, words: Cldr) -> tuple[str, str]:
    en, de = year(random.randint(1100, 1999))
    return f"in the year {en}", f"im Jahr {de}"


def _ago(random: Random, words: Cldr) -> tuple[str, str]:
    return words.ago(random.choice(UNITS_OF_TIME), random.randint(2, 11))


UNITS_OF_TIME: Sequence[Literal["day", "week", "month", "year"]] = ("day", "week", "month", "year")


TIMES: Sequence[Callable[[Random, Cldr], tuple[str, str]]] = (
    _weekday,
    _date,
    _month,
    _year,
    _ago,
)


@functools.cache
def cardinal(number: int) -> tuple[str, str]:
    """Return a number spelled out, such as "twenty-three" and "dreiundzwanzig"."""
    return num2words(number, lang="en"), num2words(number, lang="de")


@functools.cache
def ordinal(number: int) -> tuple[str, str]:
    """Return an ordinal spelled out; in German the stem, which is inflected as an adjective is."""
    return (
        num2words(number, to="ordinal", lang="en"),
        num2words(number, to="ordinal", lang="de").removesuffix("e"),
    )


@functools.cache
def year(number: int) -> tuple[str, str]:
    """Return a year as it is spoken, such as "nineteen thirty-one"."""
    return num2words(number, to="year", lang="en"), num2words(number, to="year", lang="de")


def _spoken(parts: Sequence[str]) -> str:
    return " ".join(part for part in parts if part)


def _sentence(text: str) -> str:
    """Return a clause as a sentence: with a capital, a full stop, and no comma before it."""
    return text[0].upper() + text[1:].removesuffix(",") + "."
