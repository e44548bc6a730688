"""How German inflects what the grammar puts together: articles, adjectives, nouns."""

from typing import Literal

from tasks.nmt.generated.lexicon import Gender, Noun

Case = Literal["nominative", "accusative"]
Article = Literal["the", "a"]

DEFINITE = {"m": ("der", "den"), "f": ("die", "die"), "n": ("das", "das")}
INDEFINITE = {"m": ("ein", "einen"), "f": ("eine", "eine"), "n": ("ein", "ein")}


def noun_phrase(noun: Noun, article: Article, adjective: str, case: Case) -> str:
    """Return a singular noun with its article and, if not "", an adjective's stem.

    After the definite article an adjective has weak endings, after the indefinite one mixed ones.
    """
    accusative = case == "accusative"
    forms = DEFINITE if article == "the" else INDEFINITE
    words = [forms[noun.gender][accusative]]
    if adjective:
        words.append(adjective + _ending(noun.gender, article, accusative))
    return " ".join([*words, noun.de])


def _ending(gender: Gender, article: Article, accusative: bool) -> str:
    if gender == "m" and accusative:
        return "en"
    if article == "the" or gender == "f":
        return "e"
    return "er" if gender == "m" else "es"


def counted(noun: Noun, number: str, adjective: str, definite: bool) -> str:
    """Return several of a noun, in the nominative or the accusative, which are alike.

    Weak endings after an article, strong ones without: "die zehn alten", "zehn alte".
    """
    words = ["die", number] if definite else [number]
    if adjective:
        words.append(adjective + ("en" if definite else "e"))
    return " ".join([*words, noun.des])
